"""Rows are locked for everything but their keys: a row that is only named by a new one waits for nobody."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ("trading", "governance", "mlregistry", "universe", "nautilus_site")
_CALL = re.compile(r"select_for_update\((?:[^()]|\([^()]*\))*\)")


def test_no_row_is_locked_against_being_referred_to() -> None:
    """`FOR UPDATE` conflicts with the check of a foreign key at commit, which may wait behind whoever waits for us."""
    calls = [
        (path.relative_to(ROOT), call)
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        for call in _CALL.findall(path.read_text())
    ]
    assert len(calls) > 50
    assert [(str(path), call) for path, call in calls if "no_key=True" not in call] == []
