"""Closing positions at level FLATTEN, through the real client on the paper exchange."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry
from nautilus_site.common.services.leases import lease_release
from tests.factories.exchange import Exchange, running_exchange
from trading.domain.values import Level
from trading.models import Account, Flatten, Order, Position
from trading.services.controls import enforcement_step, enforcements_due, kill_raise
from trading.services.flatten import MAXIMUM_FAILURES, _slice_steps, flatten_report, flatten_step
from trading.services.planning import plan_refresh
from trading.services.reconcile import account_reconcile
from universe.adapters.binance import BinanceSpotMarketData
from universe.models import Instrument, Quote
from universe.services import instruments_sync

if TYPE_CHECKING:
    from tests.factories.trading import Desk


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_exchange("BTCUSDT", "ETHUSDT") as address:
        yield address


@pytest.fixture
def exchange(url: str) -> Exchange:
    return Exchange(url)


@pytest.fixture
def holding(new_desk: Callable[..., Desk], exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk that has bought 0.1 BTC in two orders, one of them a strategy's, beside the 1 BTC it began with."""
    desk = new_desk(opened=False, symbols=("BTCUSDT", "ETHUSDT"))
    instruments_sync(desk.venue_row, BinanceSpotMarketData(exchange.client))
    desk.instruments = {i.symbol: i for i in Instrument.objects.filter(venue=desk.venue_row)}
    bid, ask = exchange.touch()
    desk.quote("BTCUSDT", str(bid), str(ask))
    desk.venue = exchange.venue  # type: ignore[assignment]
    # The drain looks the account's key up in the database; here the desk holds the venue itself.
    monkeypatch.setattr("trading.services.execution.drain.execution_venue", lambda account: exchange.venue)
    account_reconcile(account_id=desk.account.pk, venue=desk.venue, trigger="start")
    desk.account.refresh_from_db()
    desk.measure()
    desk.send(desk.submit("BUY", "0.06", type="MARKET"))
    desk.send(desk.submit("BUY", "0.04", type="MARKET", strategy=desk.strategies["trend"]))
    lease_release(desk.lease())
    return desk


def stand_at_flatten(desk: Desk, scope: str) -> None:
    kill_raise(scope=scope, level=Level.FLATTEN, reason="drill", actor="test")
    for _ in range(3):
        for due in enforcements_due(desk.account, "control"):
            enforcement_step(account=desk.account, venue=desk.venue, due=due, enforcer="control")


def run(desk: Desk, rounds: int = 12) -> list[dict[str, Any]]:
    """Step as the control worker would, a second's wait being over each time."""
    for _ in range(rounds):
        Flatten.objects.update(retry_at=None)
        # However long a loaded machine takes for a round: the price and the books were looked at just before.
        Quote.objects.exclude(bid=None).update(received_at=now())
        Account.objects.update(reconciled_at=now())
        if not flatten_step(account=desk.account, venue=desk.venue):
            break
    return flatten_report(Flatten.objects.latest("pk").scope) if Flatten.objects.exists() else []


def coins(exchange: Exchange) -> Decimal:
    return next(b.free + b.locked for b in exchange.venue.balances() if b.asset == "BTC")


def flattening_orders() -> list[Order]:
    return list(Order.objects.filter(origin=Order.Origin.FLATTEN).order_by("pk"))


def test_what_the_platform_bought_is_sold_in_slices_and_what_was_there_before_stays(
    holding: Desk, exchange: Exchange
) -> None:
    bid, _ = exchange.touch()
    holding.limit(max_notional=int(bid * Decimal("0.04")))
    acquired = holding.position().quantity
    stand_at_flatten(holding, "account:desk")
    (report,) = run(holding)
    assert report["flatten"] == "done"
    # 0.1 less commission in slices of at most 0.038 coins: three of them.
    assert len(flattening_orders()) == 3
    assert all(o.side == "SELL" and o.reduce_only and o.status == "FILLED" for o in flattening_orders())
    left = holding.position().quantity
    assert 0 <= left < Decimal("0.0001") < acquired, "less than the venue trades may stay"
    assert coins(exchange) == 1 + left
    assert AuditEntry.objects.filter(action="flatten.done").exists()


def test_nothing_is_sold_before_the_cancels_are_confirmed(holding: Desk, exchange: Exchange) -> None:
    kill_raise(scope="global", level=Level.FLATTEN, reason="drill", actor="test")
    assert run(holding) == []
    assert flattening_orders() == []


def test_a_strategys_scope_sells_its_own_fills_only(holding: Desk, exchange: Exchange) -> None:
    stand_at_flatten(holding, "strategy:trend")
    (report,) = run(holding)
    assert report["flatten"] == "done"
    sold = sum(o.executed_quantity for o in flattening_orders())
    assert Decimal("0.0399") < sold <= Decimal("0.04")
    assert holding.position().quantity > Decimal("0.0598")


def test_a_flatten_that_cannot_sell_gives_up_and_tells_people(holding: Desk, exchange: Exchange) -> None:
    stand_at_flatten(holding, "global")
    exchange.control(
        "POST",
        "/faults",
        {
            "match": {"path": "/api/v3/order", "method": "POST"},
            "effect": {"error_before": {"status": 400, "code": -2010}},
        },
    )
    try:
        (report,) = run(holding, rounds=30)
        assert report["flatten"] == "stopped"
        assert len(flattening_orders()) == MAXIMUM_FAILURES
        run(holding, rounds=5)
        assert len(flattening_orders()) == MAXIMUM_FAILURES, "it must not go on by itself"
        assert AuditEntry.objects.filter(action="flatten.stopped").exists()
    finally:
        exchange.control("DELETE", "/faults")
    # Asking again is a new decision, and begins anew.
    stand_at_flatten(holding, "global")
    (report,) = run(holding)
    assert report["flatten"] == "done"


def test_a_limit_that_lets_no_slice_pass_is_told_and_leaves_nothing_called_done(
    holding: Desk, exchange: Exchange
) -> None:
    """Whoever tightened it may have meant to stop what buys."""
    holding.limit(max_notional=0)
    acquired = holding.position().quantity
    stand_at_flatten(holding, "global")
    (report,) = run(holding, rounds=2 * MAXIMUM_FAILURES + 2)
    assert report["flatten"] == "stopped"
    assert "NOTIONAL_ABOVE_MAX" in report["note"]
    assert holding.position().quantity == acquired
    assert {o.code for o in flattening_orders()} == {"NOTIONAL_ABOVE_MAX"}
    assert AuditEntry.objects.filter(action="flatten.stopped").exists()


@pytest.mark.parametrize("bid", ["49999.99", "55555.55", "55555.56", "62500.01", "71428.58"])
def test_the_smallest_slice_is_worth_what_the_venue_asks_for_at_its_own_limit(desk: Desk, bid: str) -> None:
    """Sized by the touch it came below that by the collar, and the venue refused every slice."""
    desk.quote("BTCUSDT", bid, str(Decimal(bid) + 1))
    desk.limit(max_notional=0, market_slippage=50)
    row = Flatten(account=desk.account, instrument=desk.btc, side="SELL", scope="global")
    domain = desk.btc.to_domain()
    steps = _slice_steps(row, desk.account, Decimal(1))
    limit = Decimal(bid) * Decimal("0.995") - domain.tick_size
    assert domain.quantity(steps) * limit >= domain.min_notional
    assert domain.quantity(steps - 2) * limit < domain.min_notional


def test_between_two_tries_it_waits_longer_each_time(holding: Desk, exchange: Exchange) -> None:
    stand_at_flatten(holding, "global")
    holding.quote("BTCUSDT", None, None)
    waits = []
    for _ in range(3):
        flatten_step(account=holding.account, venue=holding.venue)  # sends, and is denied for want of a price
        flatten_step(account=holding.account, venue=holding.venue)  # counts it
        row = Flatten.objects.get()
        assert row.retry_at is not None
        waits.append(row.retry_at)
        Flatten.objects.update(retry_at=None)
    assert [o.status for o in flattening_orders()] == ["DENIED"] * 3
    assert waits[1] - waits[0] > timedelta(seconds=0.9)
    assert waits[2] - waits[1] > timedelta(seconds=1.9)


def test_a_planner_does_not_buy_back_what_a_flatten_sold(holding: Desk, exchange: Exchange) -> None:
    holding.decide(1.0)
    stand_at_flatten(holding, "strategy:trend")
    run(holding)
    assert plan_refresh(account_id=holding.account.pk, instrument_id=holding.btc.pk) == []
    assert not Position.objects.filter(open_buy__gt=0).exists()
