"""The six sweeps at work: when each is due, and what each finds that no other does."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.db.models import F

from nautilus_site.common.clock import now
from tests.integration.trading.services.sweeping import due, forget, later, level, run, stranger
from trading.domain.errors import VenueRejected, VenueUnavailable
from trading.domain.sweeps import Sweep
from trading.models import (
    Divergence,
    Fill,
    LedgerEntry,
    Order,
    ReconcileRun,
    Statement,
    SweepState,
    TradeCursor,
)
from trading.services.reconcile import sweeps_restart
from trading.services.statements import statement_verify

if TYPE_CHECKING:
    from tests.factories.trading import Desk


# The schedule


def test_the_first_look_is_a_start_up_and_the_next_ones_take_their_turns(desk: Desk) -> None:
    sweeps_restart()
    first = due(desk)
    assert first is not None
    assert (first.sweep, first.trigger, first.outcome) == ("S0", "start", "clean")
    assert due(desk) is None
    later(10)
    assert due(desk) is not None  # S2; it is quiet, so it leaves no row
    assert ReconcileRun.objects.count() == 1
    later(30)
    second = due(desk)
    assert second is not None
    assert second.sweep == "S4", "no symbol's orders were ever looked at"


def test_a_platform_that_slept_starts_up_again(desk: Desk) -> None:
    run(desk)
    later(61)
    woken = due(desk)
    assert woken is not None
    assert woken.sweep == "S0"


def test_a_venue_that_is_down_is_asked_again_and_again(desk: Desk) -> None:
    desk.venue.fails["balances"] = [VenueUnavailable(None, "down")] * 20
    outcomes = []
    for _ in range(20):
        done = due(desk)
        if done is not None and done.pk:
            outcomes.append(done.outcome)
        later(30)
    assert len(outcomes) >= 10
    assert set(outcomes) == {"failed"}


def test_a_full_run_that_the_venues_rate_stops_goes_on_where_it_stopped(desk: Desk) -> None:
    from trading.services.reconcile import reconcile_request

    asked = reconcile_request(account=desk.account, actor="test")
    limited = VenueUnavailable(40.0, "4200 of 6000 request weight used; data calls wait", -1003)
    desk.venue.fails["orders_since"] = [limited]
    stopped = due(desk)
    assert stopped is not None
    assert (stopped.pk, stopped.finished_at, "waiting" in stopped.report) == (asked.pk, None, True)
    trades_before = desk.venue.calls.count("trades")
    assert due(desk) is None, "not at once again"
    by = timedelta(seconds=6)
    SweepState.objects.update(started_at=F("started_at") - by)
    done = due(desk)
    assert done is not None
    assert (done.pk, done.outcome) == (asked.pk, "clean")
    looked_again = desk.venue.calls.count("trades") - trades_before
    assert looked_again == 3, "the trades of three symbols for S4; those of S3 were read before"


# What each finds


def test_s2_finds_an_order_that_filled_unheard_and_books_its_trades(desk: Desk) -> None:
    order = desk.send(desk.submit("BUY", "0.01", price="59000"))
    desk.venue.move("BTCUSDT", Decimal("58990"), Decimal("59000"))
    done = run(desk, Sweep.OPEN_ORDERS)
    assert (done.sweep, done.outcome, done.report["fills_booked"]) == ("S2", "repaired", 1)
    assert desk.fresh(order).status == "FILLED"


def test_an_order_just_acknowledged_that_a_look_up_does_not_find_yet_stays(desk: Desk) -> None:
    """-2013 right after a create is a copy that lags, not a refusal (pain 10)."""
    order = desk.send(desk.submit("BUY", "0.01", price="59000"))
    hidden = list(desk.venue.orders)
    desk.venue.orders.clear()
    assert run(desk, Sweep.OPEN_ORDERS).outcome == "clean"
    assert desk.fresh(order).status == "NEW"
    Order.objects.update(acknowledged_at=F("acknowledged_at") - timedelta(seconds=26))
    for _ in range(2):
        assert run(desk, Sweep.OPEN_ORDERS).outcome == "divergent"
        later(6)
    assert desk.fresh(order).status == "NEW", "never assumed to be anything"
    assert level("symbol:BTCUSDT") == 1
    desk.venue.orders.extend(hidden)
    assert run(desk).outcome == "clean"


def test_a_clock_error_never_counts_against_an_order(desk: Desk) -> None:
    """Bots dropped orders after ten look-ups that failed for their own clock (pain 12)."""
    order = desk.submit("BUY", "0.01", price="60010")
    desk.venue.faults = ["lost_before"]
    desk.send(order)
    desk.venue.now_ms = order.timestamp_ms or 0
    desk.fresh(order)
    sent = Order.objects.get(pk=order.pk)
    assert sent.timestamp_ms is not None
    desk.venue.now_ms = sent.timestamp_ms + 60_000
    wrong = VenueRejected(-1021, "Timestamp for this request is outside of the recvWindow.")
    desk.venue.fails["query"] = [wrong] * 30
    for _ in range(30):
        run(desk, Sweep.OPEN_ORDERS)
    assert (desk.fresh(order).status, desk.fresh(order).not_found_at_ms) == ("UNKNOWN", [])


def test_working_orders_are_kept_whatever_the_positions_say(desk: Desk) -> None:
    """Fourteen working orders were dropped because fills did not rebuild the position (pain 8)."""
    orders = [desk.send(desk.submit("BUY", "0.001", price=str(59000 - n))) for n in range(14)]
    desk.venue.deposit("BTC", "0.7")
    for _ in range(3):
        run(desk)
        later(6)
    assert Divergence.objects.get(kind="BALANCE_MISMATCH").confirmed_at is not None
    assert {desk.fresh(o).status for o in orders} == {"NEW"}


def test_s4_adopts_a_strangers_order_that_was_over_between_two_looks(desk: Desk) -> None:
    desk.venue.external(stranger("gone", price="59000"))
    desk.venue.cancel("BTCUSDT", client_order_id="gone")
    assert run(desk).report["orders_adopted"] == 0, "nothing of it shows in S3"
    done = run(desk, Sweep.DEEP)
    assert done.report["orders_adopted"] == 1
    assert Order.objects.get(client_order_id="gone").status == "CANCELED"
    assert run(desk, Sweep.DEEP).outcome == "clean"


def test_a_fill_deleted_here_is_found_and_booked_and_a_second_run_changes_nothing(desk: Desk) -> None:
    order = desk.send(desk.submit("BUY", "0.01", price="60010"))
    run(desk, Sweep.DEEP, "manual")
    before = (desk.position().quantity, desk.balance("BTC").amount, desk.balance("USDT").amount)
    forget(Fill.objects.get())
    done = run(desk, Sweep.DEEP, "manual")
    assert (done.outcome, done.report["fills_booked"]) == ("repaired", 1)
    assert Fill.objects.get().order_id == order.pk
    assert (desk.position().quantity, desk.balance("BTC").amount, desk.balance("USDT").amount) == before
    assert desk.fresh(order).executed_quantity == Decimal("0.01")
    entries = LedgerEntry.objects.count()
    again = run(desk, Sweep.DEEP, "manual")
    assert (again.outcome, again.report["fills_booked"]) == ("clean", 0)
    assert LedgerEntry.objects.count() == entries


def test_what_was_traded_before_the_account_was_opened_is_never_booked(desk: Desk) -> None:
    TradeCursor.objects.all().delete()
    desk.venue.external(stranger("old"))
    desk.venue.deposit("BTC", "-0.00999")
    desk.venue.deposit("USDT", "600.1")
    for sweep in (Sweep.TRADES, Sweep.DEEP):
        assert run(desk, sweep, "manual").outcome == "clean"
    assert not Fill.objects.exists()


# S0 and S5


@pytest.mark.parametrize(
    ("flags", "outcome", "stopped"),
    [
        ({"enableSpotAndMarginTrading": True, "ipRestrict": True}, "clean", 0),
        ({"enableSpotAndMarginTrading": True, "enableWithdrawals": True}, "divergent", 3),
        ({"enableSpotAndMarginTrading": True, "enableSomethingNew": True}, "divergent", 0),
        ({"enableSpotAndMarginTrading": False}, "divergent", 0),
    ],
)
def test_trading_starts_only_with_a_key_that_can_trade_and_nothing_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, flags: dict[str, bool], outcome: str, stopped: int
) -> None:
    monkeypatch.setattr(type(desk.venue), "key_permissions", lambda self: flags)
    assert run(desk, Sweep.STARTUP, "start").outcome == outcome
    assert level("account:desk") == stopped


def test_trading_starts_only_with_a_key_of_the_account_these_books_are_of(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(desk, Sweep.STARTUP, "start").outcome == "clean"
    monkeypatch.setattr(type(desk.venue), "identity", lambda self: "uid 2")
    assert run(desk, Sweep.STARTUP, "start").outcome == "divergent"
    assert "another account at the exchange (uid 2) than desk (uid 1)" in str(Divergence.objects.get().theirs)


def test_the_day_is_stated_signed_and_written_to_a_file(desk: Desk, settings: Any, tmp_path: Path) -> None:
    settings.NAUTILUS_HOME = tmp_path
    desk.send(desk.submit("BUY", "0.01", price="60010"))
    yesterday = now() - timedelta(days=1)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE trading_fill DISABLE TRIGGER USER")
        cursor.execute("UPDATE trading_fill SET recorded_at = %s", [yesterday])
        cursor.execute("ALTER TABLE trading_fill ENABLE TRIGGER USER")
    Order.objects.update(created_at=yesterday)
    done = run(desk, Sweep.NIGHTLY, "nightly")
    assert done.outcome == "clean"
    row = Statement.objects.get()
    assert row.agrees
    assert row.content["fills"][0]["bought"] == "0.01"
    assert row.content["orders"] == {"FILLED": 1}
    path = tmp_path / row.path
    assert statement_verify(path)
    told = json.loads(path.read_text())
    told["statement"]["orders"]["FILLED"] = 2
    path.write_text(json.dumps(told))
    assert not statement_verify(path)


def test_a_day_with_an_open_difference_does_not_agree(desk: Desk, settings: Any, tmp_path: Path) -> None:
    settings.NAUTILUS_HOME = tmp_path
    desk.venue.deposit("USDT", "-5")
    run(desk, Sweep.NIGHTLY, "nightly")
    row = Statement.objects.get()
    assert not row.agrees
    assert row.content["open_differences"][0]["subject"] == "USDT"
