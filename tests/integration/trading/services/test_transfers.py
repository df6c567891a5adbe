"""Deposits and withdrawals told by the user stream."""

from __future__ import annotations

import time
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from nautilus_site.common.clock import now
from trading.models import Account, Divergence, LedgerEntry, VenueEvent
from trading.services.equity import equity_mark
from trading.services.reconcile import account_reconcile
from trading.services.venue_events import venue_event_store, venue_events_settle

if TYPE_CHECKING:
    from tests.factories.trading import Desk


def told(desk: Desk, asset: str, amount: str, *, cleared_ms: int = 1, told_at: float | None = None) -> None:
    event: dict[str, Any] = {
        "e": "balanceUpdate",
        "E": int((told_at or time.time()) * 1000),
        "a": asset,
        "d": amount,
        "T": cleared_ms,
    }
    venue_event_store(account_id=desk.account.pk, event=event)
    venue_events_settle(account_id=desk.account.pk)


def test_a_deposit_is_booked_once_however_often_it_is_told(desk: Desk) -> None:
    for told_at in (time.time(), time.time() + 1, time.time() + 1):
        told(desk, "USDT", "250.5", told_at=told_at)
    desk.venue.deposit("USDT", "250.5")
    assert desk.balance("USDT").amount == Decimal("100250.5")
    assert LedgerEntry.objects.filter(kind="transfer").count() == 2  # the account's line and the venue's
    run = account_reconcile(account_id=desk.account.pk, venue=desk.venue, trigger="periodic")
    assert run is not None
    assert run.outcome == "clean"
    assert not Divergence.objects.exists()


def test_neither_a_deposit_nor_a_withdrawal_is_a_result(desk: Desk) -> None:
    equity_mark()
    told(desk, "USDT", "1000", cleared_ms=1)
    told(desk, "USDT", "-300", cleared_ms=2)
    equity_mark()
    account = Account.objects.get()
    assert account.day_start_equity == account.peak_equity == 100_700


def test_a_deposited_coin_moves_day_start_by_what_it_is_worth(desk: Desk) -> None:
    equity_mark()
    told(desk, "BTC", "0.1")
    equity_mark()
    account = Account.objects.get()
    assert account.day_start_equity == 106_000  # the middle of 59990 and 60010
    assert account.equitysnapshot_set.latest("pk").equity == 106_000


def test_a_deposit_from_before_the_opening_is_part_of_the_opening(desk: Desk) -> None:
    told(desk, "USDT", "10", told_at=(now() - timedelta(minutes=1)).timestamp())
    assert desk.balance("USDT").amount == 100_000


def test_a_transfer_that_cannot_be_read_is_kept_with_its_error_and_books_nothing(desk: Desk) -> None:
    told(desk, "USDT", "much")
    assert desk.balance("USDT").amount == 100_000
    assert "ValueError" in VenueEvent.objects.get().error


def test_a_transfer_with_many_digits_does_not_stop_trading(desk: Desk) -> None:
    told(desk, "USDT", "0.123456789012")
    assert desk.submit("BUY", "0.01").status == "RESERVED"
