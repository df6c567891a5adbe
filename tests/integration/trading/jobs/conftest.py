"""Stored bars, and a person who may ask for runs over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.factories.bars import store_bars


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any, db: None, clean_cache: None) -> Path:
    settings.NAUTILUS_HOME = tmp_path / "home"
    store_bars(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def trader(make_user: Any) -> Any:
    return make_user("trader")
