"""The desk every test here starts from: real Postgres, an exchange in memory, no broker."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.factories.trading import Desk


@pytest.fixture(autouse=True)
def hints(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What would have been put on the broker; a hint is never needed, so none is sent here."""
    sent: list[tuple[str, dict[str, Any]]] = []

    def send_hint(task: str, *, queue: str, **kwargs: Any) -> bool:
        sent.append((task, kwargs))
        return True

    monkeypatch.setattr("nautilus_site.common.services.hints.send_hint", send_hint)
    return sent


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
