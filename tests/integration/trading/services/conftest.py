"""The desk every test here starts from: real Postgres, an exchange in memory, no broker."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.integration.trading.hints import hints as hints

if TYPE_CHECKING:
    from tests.factories.trading import Desk


@pytest.fixture
def desk(db: None) -> Desk:
    """An account with 100000 USDT inside one rolled-back transaction."""
    from tests.factories.trading import trading_desk

    return trading_desk()


@pytest.fixture
def shared_desk(transactional_db: None) -> Desk:
    """The same, committed, for tests with threads and connections of their own."""
    from tests.factories.trading import trading_desk

    return trading_desk()


@pytest.fixture
def new_desk(db: None) -> Callable[..., Desk]:
    """`new_desk(balances={...})` where the account matters."""
    from tests.factories.trading import trading_desk

    return trading_desk
