"""Our books against the exchange's: opened once, gaps found, nothing invented, nothing hidden."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from django.db.models import F

from nautilus_site.common.clock import now
from trading.domain.errors import InvariantViolation, VenueRejected, VenueUnavailable
from trading.domain.ports import VenueOrder
from trading.domain.values import OrderType, Side, TimeInForce
from trading.models import (
    Account,
    Divergence,
    Fill,
    LedgerEntry,
    Order,
    Position,
    ReconcileRun,
    SweepState,
    TradeCursor,
    TradingState,
)
from trading.services.execution.authorise import venue_order
from trading.services.orders import OrderDenied, order_request
from trading.services.reconcile import account_reconcile, reconcile_request

if TYPE_CHECKING:
    from tests.factories.trading import Desk


def reconcile(desk: Desk, trigger: str = "periodic") -> ReconcileRun:
    run = account_reconcile(account_id=desk.account.pk, venue=desk.venue, trigger=trigger)
    assert run is not None
    return run


def later(seconds: float = 6) -> None:
    """Let that much time pass for what the sweeps remember."""
    by = timedelta(seconds=seconds)
    Divergence.objects.update(first_seen_at=F("first_seen_at") - by, same_since=F("same_since") - by)
    TradeCursor.objects.update(swept_at=F("swept_at") - by)
    SweepState.objects.update(started_at=F("started_at") - by, finished_at=F("finished_at") - by)


def stranger(
    side: str = "BUY", quantity: str = "0.01", price: str = "60010", cid: str = "web-1"
) -> VenueOrder:
    return VenueOrder(
        "BTCUSDT", Side(side), OrderType.LIMIT, TimeInForce.GTC, Decimal(quantity), Decimal(price), cid
    )


def test_the_first_run_books_the_opening_balances_and_no_later_one_does(
    new_desk: Callable[..., Desk],
) -> None:
    desk = new_desk(opened=False)
    desk.venue.free = {"USDT": Decimal(5000), "BTC": Decimal("0.5")}
    assert reconcile(desk, "start").outcome == "clean"
    assert reconcile(desk, "start").outcome == "clean"
    opening = LedgerEntry.objects.filter(kind="opening", owner="account")
    assert {e.asset: e.amount for e in opening} == {"USDT": 5000, "BTC": Decimal("0.5")}


def test_trades_from_before_the_opening_are_not_booked_on_top_of_it(new_desk: Callable[..., Desk]) -> None:
    """The earlier system replayed history from zero on top of the venue's balances (W42)."""
    desk = new_desk(opened=False)
    desk.venue.free = {"USDT": Decimal(5000)}
    desk.venue.external(stranger())
    assert reconcile(desk, "start").outcome == "clean"
    desk.account.refresh_from_db()
    desk.measure()
    desk.send(desk.submit("BUY", "0.001", price="60010"))
    assert reconcile(desk).outcome == "clean"
    assert Fill.objects.count() == 1


def test_an_account_without_any_balance_is_not_opened(new_desk: Callable[..., Desk]) -> None:
    desk = new_desk(opened=False)
    assert reconcile(desk, "start").outcome == "failed"
    assert Account.objects.get().opened_at is None
    desk.venue.free = {"USDT": Decimal(100)}
    assert reconcile(desk, "start").outcome == "clean"
    assert Account.objects.get().opened_at is not None


def test_a_fill_nobody_told_us_of_is_found_and_booked_and_the_next_run_changes_nothing(desk: Desk) -> None:
    order = desk.send(desk.submit("BUY", "0.01", price="59000"))
    desk.venue.move("BTCUSDT", Decimal("58990"), Decimal("59000"))
    assert desk.fresh(order).status == "NEW"
    first = reconcile(desk)
    assert (first.outcome, first.report["fills_booked"]) == ("repaired", 1)
    assert desk.fresh(order).status == "FILLED"
    entries = LedgerEntry.objects.count()
    second = reconcile(desk)
    assert (second.outcome, second.report["fills_booked"]) == ("clean", 0)
    assert LedgerEntry.objects.count() == entries
    assert TradeCursor.objects.get(instrument=desk.btc).last_trade_id == 1


def test_an_order_the_exchange_does_not_list_is_asked_for_and_never_assumed_filled(desk: Desk) -> None:
    order = desk.send(desk.submit("BUY", "0.01", price="59000"))
    desk.venue.cancel("BTCUSDT", client_order_id=order.client_order_id)
    assert reconcile(desk).outcome == "repaired"
    assert (desk.fresh(order).status, desk.fresh(order).executed_quantity) == ("CANCELED", 0)
    assert desk.held_amounts() == {}


def test_an_order_somebody_else_placed_is_adopted_with_its_fills_and_its_position(desk: Desk) -> None:
    desk.venue.external(stranger(cid="web-1"))
    desk.venue.external(stranger(price="59000", cid="web-2"))
    desk.send(desk.submit("BUY", "0.001", price="60010"))
    run = reconcile(desk)
    assert run.report["orders_adopted"] == 2
    assert {o.client_order_id: o.status for o in Order.objects.filter(origin="external")} == {
        "web-1": "FILLED",
        "web-2": "NEW",
    }
    assert desk.position().quantity == Decimal("0.01098900") + 0
    assert reconcile(desk).outcome == "clean"


def test_two_strangers_under_one_reused_id_are_two_orders(desk: Desk) -> None:
    from trading.services.adoption import report_settle

    for _ in range(2):
        report = desk.venue.external(stranger(cid="mine"))
        report_settle(account=desk.account, report=report, source="stream")
    orders = Order.objects.filter(origin="external")
    assert [o.status for o in orders] == ["FILLED", "FILLED"]
    assert len({o.client_order_id for o in orders}) == 2
    assert reconcile(desk).outcome == "clean"


@pytest.mark.parametrize("spelling", ["BTCUSDT", "BTCUSDT.BINANCE", "btcusdt"])
def test_every_spelling_of_a_symbol_is_one_position(desk: Desk, spelling: str) -> None:
    """The earlier system held +1 and -1 of one coin after a restart (W43)."""
    from tests.factories.trading import trader

    desk.send(desk.submit("BUY", "0.01", price="60010"))
    outcome = order_request(
        account_name="desk",
        symbol=spelling,
        side="SELL",
        type="LIMIT",
        quantity=Decimal("0.00999"),
        quote_quantity=None,
        price=Decimal("59990"),
        time_in_force=None,
        reduce_only=True,
        strategy_name=None,
        user=trader(),
        request_key="k",
    )
    assert outcome.order is not None
    desk.send(outcome.order)
    assert Position.objects.get().quantity == 0
    assert desk.position().realized == Decimal("-0.1998")  # 0.00999 x (59990 - 60010)


def test_a_request_asked_for_again_finds_its_order_whatever_the_market_has_become(desk: Desk) -> None:
    from tests.factories.trading import trader

    person = trader()

    def ask() -> Order | None:
        return order_request(
            account_name="desk",
            symbol="BTCUSDT",
            side="BUY",
            type="MARKET",
            quantity=None,
            quote_quantity=Decimal(100),
            price=None,
            time_in_force=None,
            reduce_only=False,
            strategy_name=None,
            user=person,
            request_key="same",
        ).order

    first = ask()
    desk.quote("BTCUSDT", None, None)
    assert ask() == first
    assert Order.objects.count() == 1


def test_a_balance_that_differs_twice_stops_new_risk_until_it_is_equal_again(desk: Desk) -> None:
    desk.venue.deposit("USDT", "-5")
    assert reconcile(desk).outcome == "divergent"
    assert desk.submit("BUY", "0.001").status == "RESERVED", "one sighting proves nothing"
    Order.objects.update(status="CANCELED", ended_at=now())
    reconcile(desk)
    assert desk.submit("BUY", "0.001").status == "RESERVED", "two readings at once are one"
    Order.objects.update(status="CANCELED", ended_at=now())
    later()
    reconcile(desk)
    with pytest.raises(OrderDenied) as denied:
        desk.submit("BUY", "0.001")
    assert denied.value.code == "TRADING_HALTED"
    state = TradingState.objects.get(scope="account:desk")
    assert (state.level, "BALANCE_MISMATCH USDT" in state.reason) == (1, True)
    row = Divergence.objects.get()
    assert (row.subject, row.ours, row.theirs, row.sightings) == ("USDT", "100000", "99995", 3)
    state.delete()
    with pytest.raises(OrderDenied) as denied:
        desk.submit("BUY", "0.001")
    assert denied.value.code == "NOT_RECONCILED"
    desk.venue.deposit("USDT", "5")
    assert reconcile(desk).outcome == "clean"
    assert desk.submit("BUY", "0.001").status == "RESERVED"


def test_a_resting_order_does_not_hide_a_balance_that_differs(desk: Desk) -> None:
    desk.send(desk.submit("BUY", "0.01", price="59000"))
    desk.venue.deposit("USDT", "-5")
    reconcile(desk)
    reconcile(desk)
    assert Divergence.objects.get().sightings == 2


def test_a_fill_booked_between_the_readings_puts_the_verdict_on_balances_off(desk: Desk) -> None:
    from trading.services.ledger import Line, ledger_post

    booked = iter([True])

    def book_once() -> None:
        if desk.venue.calls.count("balances") == 2 and next(booked, False):
            desk.venue.deposit("USDT", "1")
            ledger_post(account=desk.account, transaction="late", lines=[Line("USDT", Decimal(1), "trade")])

    desk.venue.hooks["balances"] = book_once
    assert reconcile(desk).outcome == "clean"
    assert not Divergence.objects.exists()


def test_balances_that_are_zero_for_a_while_alarm_and_change_nothing(desk: Desk) -> None:
    desk.send(desk.submit("BUY", "0.01", price="60010"))
    reconcile(desk)
    before = (LedgerEntry.objects.count(), desk.balance("USDT").amount, desk.position().quantity)
    kept, desk.venue.free = dict(desk.venue.free), {}
    for _ in range(3):
        assert reconcile(desk).outcome == "divergent"
    assert (LedgerEntry.objects.count(), desk.balance("USDT").amount, desk.position().quantity) == before
    desk.venue.free = kept
    assert reconcile(desk).outcome == "clean"
    assert not Divergence.objects.filter(resolved_at=None).exists()


def test_the_cursor_does_not_pass_a_trade_nobody_can_explain(desk: Desk) -> None:
    desk.send(desk.submit("BUY", "0.001", price="60010"))
    reconcile(desk, "manual")
    report = desk.venue.external(stranger(cid="ghost"))
    desk.venue.orders.remove(report)  # the exchange lists the trade and denies the order
    run = reconcile(desk)
    assert run.outcome == "divergent"
    assert {d["kind"] for d in run.report["divergences"]} >= {"MISSING_FILL"}
    assert TradeCursor.objects.get(instrument=desk.btc).last_trade_id == 1
    desk.venue.orders.append(report)
    assert reconcile(desk).report["fills_booked"] == 1
    assert TradeCursor.objects.get(instrument=desk.btc).last_trade_id == 2


def test_a_venue_that_cannot_be_asked_fails_the_run_and_does_not_call_it_clean(desk: Desk) -> None:
    Account.objects.update(reconciled_at=None)
    desk.venue.fails["balances"] = [VenueUnavailable(None, "down")]
    run = reconcile(desk)
    assert (run.outcome, run.finished_at is not None) == ("failed", True)
    assert Account.objects.get().reconciled_at is None


def test_a_contradiction_in_the_books_ends_the_run_and_halts_the_account(desk: Desk) -> None:
    order = desk.submit("BUY", "0.01", price="60010")
    desk.venue.fails["place"] = [VenueRejected(-2010, "refused, and then executed all the same")]
    assert desk.send(order).status == "REJECTED"
    desk.venue.external(venue_order(order))
    with pytest.raises(InvariantViolation):
        reconcile(desk)
    assert ReconcileRun.objects.latest("pk").outcome == "failed"
    assert TradingState.objects.get(scope="account:desk").level == 2


def test_a_run_that_was_asked_for_is_done_even_if_its_hint_was_lost(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trading import tasks

    monkeypatch.setattr(tasks, "execution_venue", lambda account: desk.venue)
    run = reconcile_request(account=desk.account, actor="test")
    tasks.control_tick()
    run.refresh_from_db()
    assert (run.outcome, run.trigger) == ("clean", "manual")
