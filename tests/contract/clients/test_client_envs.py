"""The script that builds the clients' environments, tried on small wheels made here: nothing is downloaded."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from . import environments
from .environments import REQUIREMENTS, ROOT

SCRIPT = ROOT / "scripts" / "client_envs.py"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A tree with the script and one client, `tiny`, whose wheel lies beside it."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")
    (tmp_path / "tests/contract/clients/requirements").mkdir(parents=True)
    require(tmp_path, wheel(tmp_path, "1.0"))
    return tmp_path


def wheel(checkout: Path, version: str) -> tuple[str, str]:
    """Write the smallest wheel there is; returns its version and digest."""
    folder = checkout / "wheels"
    folder.mkdir(exist_ok=True)
    path = folder / f"tiny-{version}-py3-none-any.whl"
    info = f"tiny-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny.py", f"VERSION = {version!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return version, hashlib.sha256(path.read_bytes()).hexdigest()


def require(checkout: Path, pin: tuple[str, str]) -> None:
    file = checkout / "tests/contract/clients/requirements/tiny.txt"
    file.write_text(f"tiny=={pin[0]} --hash=sha256:{pin[1]}\n")


def build(checkout: Path) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(checkout / "wheels"))
    return subprocess.run(
        [sys.executable, str(checkout / "scripts" / "client_envs.py")],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def installed(checkout: Path) -> str:
    python = checkout / ".venv-clients" / "tiny" / "bin" / "python"
    asked = subprocess.run(
        [str(python), "-c", "import tiny; print(tiny.VERSION)"], capture_output=True, text=True, check=True
    )
    return asked.stdout.strip()


def test_installs_once_and_again_only_when_the_file_changes(checkout: Path) -> None:
    assert "installed in" in build(checkout).stdout
    assert installed(checkout) == "1.0"
    assert "up to date" in build(checkout).stdout
    require(checkout, wheel(checkout, "2.0"))
    assert "installed in" in build(checkout).stdout
    assert installed(checkout) == "2.0"


def test_a_wheel_with_another_digest_is_not_installed(checkout: Path) -> None:
    require(checkout, ("1.0", "0" * 64))
    done = build(checkout)
    assert done.returncode == 0
    assert "cannot be installed here" in done.stdout
    assert not (checkout / ".venv-clients" / "tiny").exists()


def test_what_cannot_be_installed_leaves_its_reason_until_it_can(checkout: Path) -> None:
    require(checkout, ("9.9", "0" * 64))
    done = build(checkout)
    reason = checkout / ".venv-clients" / "tiny.unavailable"
    assert done.returncode == 0
    assert "tiny==9.9" in reason.read_text()
    assert len(reason.read_text().splitlines()) == 1
    require(checkout, wheel(checkout, "1.0"))
    build(checkout)
    assert not reason.exists()
    assert installed(checkout) == "1.0"


def test_every_requirement_is_pinned_with_its_digest_and_names_no_host() -> None:
    files = sorted(REQUIREMENTS.glob("*.txt"))
    assert [file.stem for file in files] == ["ccxt", "nautilus", "sdk"]
    for file in files:
        assert "://" not in file.read_text()
        wanted = {line for line in file.with_suffix(".in").read_text().splitlines() if "==" in line}
        pins = [line for line in file.read_text().splitlines() if "==" in line and not line.startswith(" ")]
        assert wanted <= {pin.removesuffix(" \\") for pin in pins}
        assert file.read_text().count("--hash=sha256:") >= len(pins)


def test_the_tests_of_a_client_that_cannot_be_installed_are_skipped_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path)
    (tmp_path / "ccxt.unavailable").write_text("ERROR: no wheel for this machine\n")
    with pytest.raises(
        pytest.skip.Exception, match=r"^ccxt cannot be installed here: ERROR: no wheel for this machine$"
    ):
        environments.interpreter("ccxt")


def test_the_tests_of_a_client_never_installed_are_skipped_with_the_command_that_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path)
    (tmp_path / "ccxt" / "bin").mkdir(parents=True)  # begun and not finished
    with pytest.raises(pytest.skip.Exception, match=r"run python scripts/client_envs\.py"):
        environments.interpreter("ccxt")
