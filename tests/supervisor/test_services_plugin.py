"""The plug-in that gives the test suite its database and broker, seen from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.supervisor.conftest import processes_of, wait_for

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
REACHES_BOTH = """
import os, psycopg, redis

def test_both_answer():
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert redis.Redis.from_url(os.environ["REDIS_URL"]).ping()
    assert os.environ["DJANGO_SETTINGS_MODULE"] == "nautilus_site.settings.test"
    with open(os.environ["REPORT"], "a") as report:
        report.write(os.environ["NAUTILUS_HOME"] + "\\n")

def test_both_answer_again():
    test_both_answer()
"""
HANGS = REACHES_BOTH + "\ndef test_hangs():\n    import time; time.sleep(600)\n"


def run(folder: Path, code: str, *options: str, **settings: str) -> subprocess.Popen[bytes]:
    (folder / "test_inner.py").write_text(code)
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DATABASE_URL", "REDIS_URL", "NAUTILUS_HOME", "PYTEST_XDIST_WORKER", "PYTEST_ADDOPTS")
    }
    plugins = ("-p", "tests.services", "-p", "no:django", "-p", "no:cacheprovider")
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *plugins, "-q", *options, str(folder)],
        cwd=folder,
        env=environment
        | {"PYTHONPATH": str(ROOT), "REPORT": str(folder / "report"), "TMPDIR": "/tmp"}
        | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def homes(folder: Path) -> set[Path]:
    report = folder / "report"
    return {Path(line) for line in report.read_text().splitlines()} if report.exists() else set()


@pytest.mark.long
def test_parallel_workers_share_one_pair_of_servers_and_nothing_is_left(tmp_path: Path) -> None:
    process = run(tmp_path, REACHES_BOTH, "-n", "2")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output.decode()
    (home,) = homes(tmp_path)
    assert not home.exists()
    assert processes_of(home) == {}


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGKILL])
def test_no_server_outlives_a_run_that_was_ended(tmp_path: Path, number: signal.Signals) -> None:
    process = run(tmp_path, HANGS)
    (home,) = wait_for(lambda: homes(tmp_path), 60)
    assert "postgres" in " ".join(processes_of(home).values())
    process.send_signal(number)
    process.communicate(timeout=30)
    wait_for(lambda: not processes_of(home), 15, "the end of the servers")
    if number is signal.SIGINT:
        assert not home.exists()


def test_servers_named_by_the_environment_are_used_instead(tmp_path: Path) -> None:
    code = (
        'import os\ndef test_named():\n    assert os.environ["DATABASE_URL"] == "postgresql://elsewhere/x"\n'
    )
    code += '    assert os.environ["REDIS_URL"] == "redis://elsewhere"\n'
    code += '    assert not os.path.exists(os.environ["NAUTILUS_HOME"] + "/postgres")\n'
    process = run(tmp_path, code, DATABASE_URL="postgresql://elsewhere/x", REDIS_URL="redis://elsewhere")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output.decode()
