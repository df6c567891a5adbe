"""The world every test of two people begins with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nautilus_site.common.models import Role
from tests.integration.governance.two_people.world import PEOPLE, World, build


@pytest.fixture
def world(tmp_path: Path, settings: Any, clean_cache: None, db: None) -> World:
    settings.NAUTILUS_HOME = tmp_path
    # A seal that the head file notes and a restore lost.
    (tmp_path / "audit").mkdir()
    lost = {"seal": 10**6, "hash": "f" * 64, "first_entry": 1, "entries": 3}
    (tmp_path / "audit" / "head.log").write_text(json.dumps(lost) + "\n")
    assert set(PEOPLE.values()) == set(Role.values)
    return build()
