"""A futures account, hedged or not; no broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.factories.futures import Futures


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
def futures(db: None) -> Futures:
    """10000 USDT on USD-M in one-way mode."""
    from tests.factories.futures import futures_account

    return futures_account()


@pytest.fixture
def hedged(db: None) -> Futures:
    """The same in hedge mode."""
    from tests.factories.futures import futures_account

    return futures_account(hedge=True)
