"""What `make` calls besides Python's own tools: installing packages, backing up, collecting measurements."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import psycopg
import pytest

from nautilus_site.env import Environment
from nautilus_site.supervisor.embedded.postgres import EmbeddedPostgres
from nautilus_site.supervisor.home import HomeLock

ROOT = Path(__file__).resolve().parents[2]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- installing


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout, in a path with a space, whose packages are none: installing takes no network."""
    folder = tmp_path / "check out"
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "bootstrap.py", folder / "scripts")
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "requirements.txt").write_text("# nothing\n")
    (folder / "requirements-dev.txt").write_text("# nothing\n")
    return folder


def make(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "NAUTILUS_"))
    }
    return subprocess.run(
        ["make", f"PYTHON3={sys.executable}", *arguments],
        cwd=folder,
        env=environment | settings,
        capture_output=True,
        text=True,
        check=False,
    )


def test_packages_are_installed_once_and_again_only_when_the_pins_change(checkout: Path) -> None:
    first = make(checkout, "install")
    assert first.returncode == 0, first.stderr
    assert "installing the packages of requirements.txt" in first.stdout
    assert make(checkout, "install").stdout == ""
    (checkout / "requirements.txt").write_text("# still nothing\n")
    assert "installing the packages of requirements.txt" in make(checkout, "install").stdout


@pytest.mark.long
def test_a_failed_installation_is_said_so_and_tried_again(checkout: Path) -> None:
    (checkout / "requirements.txt").write_text("./no-such-package.whl --hash=sha256:" + "0" * 64 + "\n")
    for _ in range(2):
        failed = make(checkout, "install")
        assert failed.returncode != 0
        assert "nautilus: the packages could not be installed" in failed.stderr
    (checkout / "requirements.txt").write_text("# nothing\n")
    assert make(checkout, "install").returncode == 0


@pytest.mark.long
def test_an_environment_without_pip_is_made_anew(checkout: Path) -> None:
    broken = checkout / ".venv" / "bin"
    broken.mkdir(parents=True)
    (broken / "python").symlink_to("/bin/false")
    result = make(checkout, "install")
    assert result.returncode == 0, result.stderr
    assert "creating the virtual environment" in result.stdout


def test_a_missing_python_is_said_so(checkout: Path) -> None:
    result = make(checkout, "PYTHON3=python-that-is-not-here", "install")
    assert result.returncode != 0
    assert "there is no python-that-is-not-here: install Python 3.11" in result.stderr


@pytest.mark.parametrize(("version", "ends"), [((3, 10, 9), True), ((3, 11, 0), False), ((3, 13, 1), False)])
def test_an_older_python_stops_and_a_newer_one_warns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], version: tuple[int, ...], ends: bool
) -> None:
    bootstrap = load("bootstrap")
    monkeypatch.setattr(bootstrap.sys, "version_info", version)
    if ends:
        with pytest.raises(SystemExit):
            bootstrap.check_python()
        assert "Python 3.11 is needed" in capsys.readouterr().err
    else:
        bootstrap.check_python()
        assert ("may or may not work" in capsys.readouterr().out) is (version[:2] != (3, 11))


def test_help_lists_every_verb_of_the_makefile(checkout: Path) -> None:
    text = (ROOT / "Makefile").read_text()
    phony = text.split(".PHONY:")[1].split("\n\n")[0].replace("\\", " ").split()
    shown = make(checkout, "help").stdout
    listed = {line.split()[1] for line in shown.splitlines() if line.startswith("  make ")}
    assert listed == set(phony)


@pytest.mark.parametrize("verb", ["build", "up-core", "up-obs", "down", "ps"])
def test_verbs_that_need_docker_say_so(checkout: Path, verb: str, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "make", "env"):
        found = shutil.which(name)
        assert found is not None
        (tools / name).symlink_to(found)
    result = make(checkout, verb, PATH=str(tools))
    assert result.returncode != 0
    assert "this verb needs Docker" in result.stderr


# --- backing up


@pytest.fixture
def home(short_home: Path) -> Iterator[Path]:
    """A home whose database holds one table, its server stopped."""
    server = EmbeddedPostgres(short_home)
    server.start()
    with psycopg.connect(server.owner_url) as connection:
        connection.execute("CREATE TABLE kept (n integer)")
        connection.execute("INSERT INTO kept VALUES (7)")
    server.stop()
    yield short_home
    server.remove()


def ask(home: Path, database: str, query: str) -> tuple[object, ...] | None:
    server = EmbeddedPostgres(home)
    server.start()
    try:
        with psycopg.connect(server.owner_url, dbname=database, autocommit=True) as connection:
            cursor = connection.execute(query)
            return cursor.fetchone() if cursor.description else None
    finally:
        server.stop()


WHOSE = """
SELECT tableowner, has_table_privilege('nautilus', 'kept', 'UPDATE'),
       has_table_privilege('nautilus', 'kept', 'TRUNCATE')
  FROM pg_tables WHERE tablename = 'kept'
"""


def test_a_restore_brings_back_what_was_dumped_and_keeps_what_it_replaces(home: Path) -> None:
    dumps = load("database_dump")
    environment = Environment.read({"NAUTILUS_HOME": str(home)})
    file = dumps.backup(environment, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert file == home / "backups" / "nautilus-20260102T030405Z.dump"
    assert file.stat().st_mode & 0o777 == 0o600
    ask(home, "nautilus", "UPDATE kept SET n = 8")
    kept = dumps.restore(environment, file, datetime(2026, 1, 3, tzinfo=UTC))
    assert ask(home, "nautilus", "SELECT n FROM kept") == (7,)
    assert ask(home, kept, "SELECT n FROM kept") == (8,)
    assert ask(home, "nautilus", WHOSE) == ("nautilus_owner", True, False)


def test_a_broken_dump_leaves_the_present_database_in_force(home: Path) -> None:
    dumps = load("database_dump")
    broken = home / "broken.dump"
    broken.write_bytes(b"not a dump")
    with pytest.raises(dumps.DumpFailure, match="pg_restore failed"):
        dumps.restore(
            Environment.read({"NAUTILUS_HOME": str(home)}), broken, datetime(2026, 1, 3, tzinfo=UTC)
        )
    assert ask(home, "nautilus", "SELECT n FROM kept") == (7,)


def test_a_restore_into_a_running_platform_is_refused_and_a_backup_of_it_works(home: Path) -> None:
    dumps = load("database_dump")
    environment = Environment.read({"NAUTILUS_HOME": str(home)})
    file = dumps.backup(environment, datetime(2026, 1, 2, tzinfo=UTC))
    lock, server = HomeLock(home), EmbeddedPostgres(home)
    lock.acquire()
    server.start()
    try:
        with pytest.raises(dumps.DumpFailure, match=r"already running .*: stop it first"):
            dumps.restore(environment, file, datetime(2026, 1, 3, tzinfo=UTC))
        assert dumps.backup(environment, datetime(2026, 1, 4, tzinfo=UTC)).stat().st_size > 0
    finally:
        server.stop()
        lock.release()


def test_a_home_without_a_database_is_named(tmp_path: Path) -> None:
    dumps = load("database_dump")
    with pytest.raises(dumps.DumpFailure, match="there is no database in"):
        dumps.backup(Environment.read({"NAUTILUS_HOME": str(tmp_path)}), datetime(2026, 1, 2, tzinfo=UTC))
    assert list((tmp_path / "backups").iterdir()) == []


# --- measurements


def test_measurements_are_told_from_other_output() -> None:
    split: Callable[[str], tuple[list[dict[str, object]], list[str]]] = load("bench").measurements
    objects, others = split('warming up\n{"name": "a", "value": 1, "unit": "s"}\n[1]\n{"no": "name"}\n17\n')
    assert objects == [{"name": "a", "value": 1, "unit": "s"}]
    assert others == ["warming up", "[1]", '{"no": "name"}', "17"]


def test_a_command_without_a_running_platform_says_so_in_a_sentence(tmp_path: Path) -> None:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL")
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "klines", "list"],
        cwd=ROOT,
        env={**environment, "NAUTILUS_HOME": str(tmp_path), "PGHOST": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "make run" in done.stderr
    assert "Traceback" not in done.stderr
