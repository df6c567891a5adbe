"""How a difference lives: seen twice, halting its symbol, and adopted by two people or not at all."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import OutboxEvent
from nautilus_site.common.services.change_requests import change_request_approve
from tests.integration.trading.services.sweeping import later, level, run
from trading.models import Account, Divergence, Fill, LedgerEntry, TradingState
from trading.services.reconcile import adopt_request

if TYPE_CHECKING:
    from nautilus_site.common.models import User
    from tests.factories.trading import Desk


# How a difference lives


def test_an_unexplained_balance_reduces_then_halts_its_symbol_and_stays_open(desk: Desk) -> None:
    """Bounded attempts, the exact difference, and no end of trying (pain 7)."""
    desk.venue.deposit("BTC", "0.25")
    run(desk)
    assert level("symbol:BTCUSDT") == 0
    later(6)
    run(desk)
    row = Divergence.objects.get()
    assert (row.ours, row.theirs, row.subject) == ("0", "0.25", "BTC")
    assert "explains nothing" in row.evidence["trade list"]
    assert level("symbol:BTCUSDT") == 1
    assert OutboxEvent.objects.filter(topic="incidents").count() == 1
    for _ in range(5):
        later(30)
        run(desk)
    assert level("symbol:BTCUSDT") == 2
    assert OutboxEvent.objects.filter(topic="incidents").count() == 2, "people are called, not flooded"
    for _ in range(20):
        later(30)
        assert run(desk).outcome == "divergent"
    row.refresh_from_db()
    assert (row.resolved_at, row.sightings) == (None, 27)
    assert not Fill.objects.exists(), "no fill is ever invented"
    assert desk.balance("BTC").amount == 0
    desk.venue.deposit("BTC", "-0.25")
    assert run(desk).outcome == "clean"
    assert level("symbol:BTCUSDT") == 2, "a machine lowers no level"


def test_zero_balances_for_33_minutes_only_alarm(desk: Desk) -> None:
    order = desk.send(desk.submit("BUY", "0.01", price="60010"))
    resting = desk.send(desk.submit("BUY", "0.01", price="59000"))
    run(desk)
    before = (
        LedgerEntry.objects.count(),
        desk.balance("USDT").amount,
        desk.balance("USDT").venue_free,
        desk.position().quantity,
        desk.held_amounts(),
    )
    kept, locked = dict(desk.venue.free), dict(desk.venue.locked)
    desk.venue.free, desk.venue.locked = {}, {}
    for _ in range(66):
        assert run(desk).outcome == "divergent"
        later(30)
    row = Divergence.objects.get()
    assert (row.kind, row.doubted, row.confirmed_at) == ("ACCOUNT_EMPTY", True, None)
    assert OutboxEvent.objects.filter(topic="incidents").count() == 1
    assert set(TradingState.objects.filter(level__gt=0)) == set()
    assert (
        LedgerEntry.objects.count(),
        desk.balance("USDT").amount,
        desk.balance("USDT").venue_free,
        desk.position().quantity,
        desk.held_amounts(),
    ) == before
    assert [desk.fresh(o).status for o in (order, resting)] == ["FILLED", "NEW"]
    assert now() - Account.objects.get().reconciled_at > timedelta(minutes=30), "new risk is off meanwhile"
    desk.venue.free, desk.venue.locked = kept, locked
    assert run(desk).outcome == "clean"


def test_a_difference_that_changes_has_to_be_seen_twice_again(desk: Desk) -> None:
    desk.venue.deposit("USDT", "-5")
    run(desk)
    later(6)
    desk.venue.deposit("USDT", "-1")
    run(desk)
    assert Divergence.objects.get().confirmed_at is None
    later(6)
    run(desk)
    assert Divergence.objects.get().confirmed_at is not None


def adoptable(desk: Desk) -> Divergence:
    desk.venue.deposit("USDT", "-5")
    for _ in range(2):
        run(desk)
        later(6)
    return Divergence.objects.get()


def test_the_venues_balance_is_adopted_by_two_people_exactly_as_approved(
    desk: Desk, trader: User, risk_officer: User
) -> None:
    row = adoptable(desk)
    request = adopt_request(divergence_id=row.pk, requester=trader, reason="a fee the venue took")
    assert request.diff["adjustment"] == [None, "-5"]
    with pytest.raises(ApplicationError):
        change_request_approve(request_id=request.pk, approver=trader, note="")
    assert desk.balance("USDT").amount == 100_000
    run(desk)
    change_request_approve(request_id=request.pk, approver=risk_officer, note="seen on the page")
    entry = LedgerEntry.objects.get(kind="adjustment", owner="account")
    assert (entry.amount, desk.balance("USDT").amount) == (-5, 99_995)
    assert run(desk).outcome == "clean"


def test_a_request_whose_difference_has_moved_is_void(desk: Desk, trader: User, risk_officer: User) -> None:
    row = adoptable(desk)
    request = adopt_request(divergence_id=row.pk, requester=trader, reason="a fee the venue took")
    desk.venue.deposit("USDT", "-1")
    run(desk)
    with pytest.raises(ApplicationError) as refused:
        change_request_approve(request_id=request.pk, approver=risk_officer, note="")
    assert refused.value.code == "APPROVAL_VOID"
    assert not LedgerEntry.objects.filter(kind="adjustment").exists()


def test_a_reading_that_is_old_is_not_adopted(desk: Desk, trader: User, risk_officer: User) -> None:
    row = adoptable(desk)
    request = adopt_request(divergence_id=row.pk, requester=trader, reason="a fee the venue took")
    later(150)
    with pytest.raises(ApplicationError) as refused:
        change_request_approve(request_id=request.pk, approver=risk_officer, note="")
    assert refused.value.code == "READING_OLD"


def test_what_is_not_confirmed_cannot_even_be_asked_for(desk: Desk, trader: User) -> None:
    desk.venue.deposit("USDT", "-5")
    run(desk)
    with pytest.raises(ApplicationError) as refused:
        adopt_request(divergence_id=Divergence.objects.get().pk, requester=trader, reason="now")
    assert refused.value.code == "NOT_CONFIRMED"
