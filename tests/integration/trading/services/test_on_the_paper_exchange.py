"""The protocol through the real client on the paper exchange: opened, traded, killed, and equal at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from tests.factories.exchange import Exchange, running_exchange
from trading.domain.values import Level
from trading.models import Account, Divergence, Fill, LedgerEntry, Order, OrderCommand
from trading.services.controls import enforcement_step, enforcements_due, kill_raise
from trading.services.controls.kill_report import kill_report
from trading.services.execution.amend import order_amend, order_amend_request
from trading.services.execution.cancel import order_cancel
from trading.services.reconcile import account_reconcile
from universe.models import Instrument
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
def live(new_desk: Callable[..., Desk], exchange: Exchange) -> Desk:
    """The desk with the exchange's own filters and prices, opened by its first reconciliation."""
    from universe.adapters.binance import BinanceSpotMarketData

    desk = new_desk(opened=False, symbols=("BTCUSDT", "ETHUSDT"))
    instruments_sync(desk.venue_row, BinanceSpotMarketData(exchange.client))
    desk.instruments = {i.symbol: i for i in Instrument.objects.filter(venue=desk.venue_row)}
    bid, ask = exchange.touch()
    desk.quote("BTCUSDT", str(bid), str(ask))
    desk.venue = exchange.venue  # type: ignore[assignment]
    assert reconciled(desk) == "clean"
    desk.account.refresh_from_db()
    desk.measure()
    return desk


def reconciled(desk: Desk) -> str:
    run = account_reconcile(account_id=desk.account.pk, venue=desk.venue, trigger="periodic")
    assert run is not None
    return run.outcome


def test_an_account_is_opened_with_what_the_exchange_lists(live: Desk) -> None:
    opening = LedgerEntry.objects.filter(owner="account", kind="opening")
    assert {e.asset: e.amount for e in opening} == {"USDT": 100_000, "BTC": 1}


def test_a_market_order_is_filled_and_the_books_equal_the_exchanges(live: Desk) -> None:
    order = live.send(live.submit("BUY", "0.01", type="MARKET"))
    assert order.executed_quantity > 0
    assert Fill.objects.filter(order=order).exists()
    assert reconciled(live) == "clean"


def test_a_lost_answer_is_found_by_the_next_reconciliation(live: Desk, exchange: Exchange) -> None:
    order = live.submit("BUY", "0.01", type="MARKET")
    exchange.fault("/api/v3/order", "POST", error_after="drop")
    assert live.send(order).status == "UNKNOWN"
    assert reconciled(live) in ("clean", "repaired")
    assert live.fresh(order).status in ("FILLED", "EXPIRED")
    assert live.position().quantity > 0
    assert reconciled(live) == "clean"


def test_a_kill_cancels_at_the_exchange_what_is_in_its_scope(live: Desk, exchange: Exchange) -> None:
    bid, _ = exchange.touch()
    near = str((bid * Decimal("0.999")).quantize(Decimal("1")))
    order = live.send(live.submit("BUY", "0.001", price=near))
    outside = exchange.order()
    exchange.place(outside)  # somebody else's, on the same account
    kill_raise(scope="account:desk", level=Level.CANCEL, reason="drill", actor="test")
    for _ in range(2):
        for due in enforcements_due(live.account, "control"):
            enforcement_step(account=live.account, venue=live.venue, due=due, enforcer="control")
    assert exchange.venue.open_orders(None) == []
    assert live.fresh(order).status == "CANCELED"
    assert kill_report("account:desk", 0.0).confirmed


def test_zero_balances_alarm_and_are_forgotten_when_they_are_back(live: Desk, exchange: Exchange) -> None:
    fault = exchange.control(
        "POST", "/faults", {"match": {"path": "/api/v3/account"}, "effect": {"zero_balances": True}}
    )
    assert [reconciled(live) for _ in range(2)] == ["divergent", "divergent"]
    exchange.control("DELETE", f"/faults/{fault['id']}")
    assert reconciled(live) == "clean"
    assert not Divergence.objects.filter(resolved_at=None).exists()
    assert Account.objects.get().reconciled_at is not None


def _amendment(live: Desk, exchange: Exchange) -> tuple[Order, OrderCommand]:
    bid, _ = exchange.touch()
    near = str((bid * Decimal("0.999")).quantize(Decimal("1")))
    order = live.send(live.submit("BUY", "0.002", price=near))
    assert order.status == "NEW"
    command = order_amend_request(
        order=order, quantity=Decimal("0.001"), actor="test", reason="less", key=order.client_order_id
    )
    return order, command


def test_an_amendment_makes_the_order_smaller_at_the_exchange_and_keeps_its_id(
    live: Desk, exchange: Exchange
) -> None:
    order, command = _amendment(live, exchange)
    before = live.held_amounts()
    assert order_amend(command_id=command.pk, venue=live.venue) == "done"
    there = live.venue.query("BTCUSDT", client_order_id=order.client_order_id)
    assert there is not None
    assert (there.quantity, there.status) == (Decimal("0.001"), "NEW")
    assert live.fresh(order).quantity == Decimal("0.001")
    assert live.held_amounts() == {name: amount / 2 for name, amount in before.items()}
    assert reconciled(live) == "clean"
    order_cancel(order_id=order.pk, venue=live.venue)
    assert live.held_amounts() == {}


def test_an_amendment_whose_answer_was_lost_is_found_done_and_not_sent_again(
    live: Desk, exchange: Exchange
) -> None:
    order, command = _amendment(live, exchange)
    exchange.fault("/api/v3/order/amend/keepPriority", "PUT", error_after="drop")
    assert order_amend(command_id=command.pk, venue=live.venue) == "unknown"
    assert order_amend(command_id=command.pk, venue=live.venue) == "done"
    command.refresh_from_db()
    assert command.attempts == 1
    assert live.fresh(order).quantity == Decimal("0.001")
    order_cancel(order_id=order.pk, venue=live.venue)
    assert reconciled(live) == "clean"
