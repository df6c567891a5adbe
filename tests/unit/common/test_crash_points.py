"""Crash points: off they are nothing, on they act once, and only the local environment may have them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nautilus_site.common import crash_points
from nautilus_site.common.crash_points import (
    POINTS,
    CrashPointRaised,
    crash_point,
    crash_point_arm,
    crash_points_disable,
    crash_points_enable,
    crash_points_hit,
)
from nautilus_site.env import Environment, SettingError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def enabled(tmp_path: Path) -> Iterator[Path]:
    crash_points_enable(tmp_path)
    yield tmp_path
    crash_points_disable()


def test_a_point_does_nothing_unless_points_are_on_even_when_its_file_is_there(tmp_path: Path) -> None:
    crash_point_arm(tmp_path, "C3", "raise")
    crash_point("C3")
    assert (tmp_path / "C3").exists()


def test_an_armed_point_acts_once_and_only_at_its_place(enabled: Path) -> None:
    crash_point_arm(enabled, "C3", "raise")
    crash_point("C5")
    with pytest.raises(CrashPointRaised):
        crash_point("C3")
    crash_point("C3")
    assert crash_points_hit(enabled) == {"C3": 1}


def test_sleep_waits_as_long_as_it_was_told(enabled: Path) -> None:
    crash_point_arm(enabled, "C2", "sleep", seconds=0.2)
    started = time.monotonic()
    crash_point("C2")
    assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize(("name", "action"), [("C99", "kill"), ("C3", "explode")])
def test_an_unknown_place_or_action_is_refused(tmp_path: Path, name: str, action: str) -> None:
    with pytest.raises(ValueError, match="expected a crash point"):
        crash_point_arm(tmp_path, name, action)


def _reach(directory: Path) -> subprocess.Popen[bytes]:
    program = (
        "from pathlib import Path; from nautilus_site.common import crash_points as c;"
        f"c.crash_points_enable(Path({str(directory)!r})); c.crash_point('C3'); print('after')"
    )
    return subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE)


def test_kill_ends_the_process_as_kill_9_does(tmp_path: Path) -> None:
    crash_point_arm(tmp_path, "C3", "kill")
    process = _reach(tmp_path)
    output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (-signal.SIGKILL, b"")


def test_stop_pauses_the_process_and_lets_it_go_on(tmp_path: Path) -> None:
    crash_point_arm(tmp_path, "C3", "stop", seconds=0.5)
    started = time.monotonic()
    process = _reach(tmp_path)
    output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (0, b"after\n")
    assert time.monotonic() - started >= 0.5


@pytest.mark.parametrize("environment", ["testnet", "demo", "live"])
def test_only_the_local_environment_may_have_crash_points(environment: str) -> None:
    with pytest.raises(SettingError, match="CRASH_POINTS"):
        Environment.read({"CRASH_POINTS": "on", "BINANCE_ENV": environment})
    assert not Environment.read({"BINANCE_ENV": environment}).crash_points
    assert Environment.read({"CRASH_POINTS": "on", "BINANCE_ENV": "local"}).crash_points


def test_every_place_is_in_the_code_exactly_where_it_is_called() -> None:
    """A place that is listed and never reached would prove nothing."""
    called = set()
    for app in ("trading", "nautilus_site", "universe", "governance"):
        for path in (ROOT / app).rglob("*.py"):
            if path != Path(crash_points.__file__):
                text = path.read_text(encoding="utf-8")
                called |= {part.split('"')[0] for part in text.split('crash_point("')[1:]}
    assert called == set(POINTS)
