"""The desk the daemons work for; no hint leaves for a broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.factories.trading import Desk


@pytest.fixture(autouse=True)
def _no_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    def send_hint(task: str, *, queue: str, **kwargs: Any) -> bool:
        return True

    monkeypatch.setattr("nautilus_site.common.services.hints.send_hint", send_hint)


@pytest.fixture
def desk(db: None) -> Desk:
    """An account with 100000 USDT inside one rolled-back transaction."""
    from tests.factories.trading import trading_desk

    return trading_desk()


@pytest.fixture
def shared_desk(transactional_db: None) -> Desk:
    """The same, committed, for code that brings its own connections."""
    from tests.factories.trading import trading_desk

    return trading_desk()
