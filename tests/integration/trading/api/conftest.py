"""The world every test here starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.trading.api.world import World


@pytest.fixture
def world(db: None) -> World:
    """A venue, two symbols with prices, a funded account, a strategy; trading is on."""
    from tests.integration.trading.api.world import build_world

    return build_world()


@pytest.fixture(autouse=True)
def _clean(clean_cache: None) -> None:
    """No throttle of one test reaches the next."""
