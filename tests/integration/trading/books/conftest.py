"""A futures account, hedged or not; no broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.trading.hints import hints as hints

if TYPE_CHECKING:
    from tests.factories.futures import Futures


@pytest.fixture
def futures(db: None) -> Futures:
    """10000 USDT on USD-M in one-way mode."""
    from tests.factories.futures import futures_account

    return futures_account()


@pytest.fixture
def hedged(db: None) -> Futures:
    """The same in hedge mode."""
    from tests.factories.futures import futures_account

    return futures_account(hedge=True)
