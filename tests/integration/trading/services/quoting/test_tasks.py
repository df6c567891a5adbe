"""What the workers do of themselves: at a hint of the feed, and every second should hints be lost."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from nautilus_site.common.clock import now
from trading import tasks
from trading.models import Order, StrategyInstance

if TYPE_CHECKING:
    from tests.integration.trading.services.quoting.conftest import Maker


@pytest.fixture(autouse=True)
def _no_venue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent here: the tests send by hand what is reserved."""
    monkeypatch.setattr(tasks, "drain", lambda **_: 0)


def long_ago(maker: Maker, seconds: float) -> None:
    StrategyInstance.objects.filter(pk=maker.instance.pk).update(
        stepped_at=now() - timedelta(seconds=seconds)
    )


def sides() -> list[str]:
    return sorted(Order.objects.filter(type="LIMIT_MAKER", status="RESERVED").values_list("side", flat=True))


def test_a_hint_that_a_book_changed_steps_its_strategy_and_places_its_quotes(maker: Maker) -> None:
    maker.look()
    long_ago(maker, 1.0)
    tasks.book_changed(maker.desk.instruments["ETHUSDT"].pk)
    assert sides() == []
    tasks.book_changed(maker.desk.btc.pk)
    assert sides() == ["BUY", "SELL"]
    tasks.book_changed(maker.desk.btc.pk)
    assert sides() == ["BUY", "SELL"]


def test_a_tick_does_the_same_where_no_hint_has_come(maker: Maker) -> None:
    maker.look()
    long_ago(maker, 2.0)
    tasks.trading_tick()
    assert sides() == ["BUY", "SELL"]


def test_a_tick_takes_back_what_a_strategy_that_was_switched_off_has_quoted(maker: Maker) -> None:
    maker.round()
    assert len(maker.standing()) == 2
    StrategyInstance.objects.filter(pk=maker.instance.pk).update(is_enabled=False)
    tasks.trading_tick()
    maker.send()
    assert maker.standing() == []
