"""What production demands of sessions, and how `.env` says otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nautilus_site.env import Environment, SettingError

ROOT = Path(__file__).resolve().parents[3]
NEEDED = {
    "SECRET_KEY": "k" * 60,
    "DATABASE_URL": "postgresql://nautilus@database.invalid/nautilus",
    "REDIS_URL": "redis://broker.invalid:6379",
    "ALLOWED_HOSTS": "trading.invalid",
}


def in_force(settings: str, home: Path, **given: str) -> str:
    said = f"import nautilus_site.settings.{settings} as s; print(s.REQUIRE_SECOND_FACTOR, s.SESSION_IDLE)"
    environment = {"PATH": os.environ["PATH"], "NAUTILUS_HOME": str(home), **NEEDED, **given}
    done = subprocess.run(
        [sys.executable, "-c", said], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("settings", "given", "expected"),
    [
        ("production", {}, "True 0:15:00"),
        ("local", {}, "False None"),
        ("test", {}, "False None"),
        ("production", {"REQUIRE_SECOND_FACTOR": "off", "SESSION_IDLE": "off"}, "False None"),
        ("local", {"REQUIRE_SECOND_FACTOR": "on", "SESSION_IDLE": "30"}, "True 0:30:00"),
        ("production", {"REQUIRE_SECOND_FACTOR": "", "SESSION_IDLE": ""}, "True 0:15:00"),
    ],
)
def test_production_demands_a_factor_and_ends_what_is_idle(
    tmp_path: Path, settings: str, given: dict[str, str], expected: str
) -> None:
    assert in_force(settings, tmp_path, **given) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REQUIRE_SECOND_FACTOR", "yes"),
        ("SESSION_IDLE", "0"),
        ("SESSION_IDLE", "601"),
        ("SESSION_IDLE", "15m"),
    ],
)
def test_what_cannot_be_meant_stops_start_up_with_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        Environment.read({name: value})
