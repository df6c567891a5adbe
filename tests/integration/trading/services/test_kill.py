"""The kill path: raised at once, followed at the exchange until proven, lowered by two people only."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import AuditEntry, ChangeRequest, User
from nautilus_site.common.services.change_requests import change_request_approve
from trading.domain.errors import InvariantViolation, OutcomeUnknown, VenueRejected, VenueUnavailable
from trading.domain.values import Level
from trading.models import Account, Divergence, KillEnforcement, Order, OverrideGrant, Strategy, TradingState
from trading.services.controls import (
    auto_level_set,
    effective_level,
    enforcement_step,
    enforcements_due,
    kill_raise,
    resume_request,
)
from trading.services.controls.kill_report import kill_report
from trading.services.controls.overrides import override_snapshot
from trading.services.execution.authorise import venue_order
from trading.services.orders import OrderDenied

if TYPE_CHECKING:
    from tests.factories.trading import Desk


def enforce(desk: Desk, enforcer: str = "control") -> list[KillEnforcement]:
    """One round of every enforcement that is due."""
    return [
        enforcement_step(account=desk.account, venue=desk.venue, due=due, enforcer=enforcer)
        for due in enforcements_due(desk.account, enforcer)
    ]


def resting(desk: Desk, symbol: str = "BTCUSDT", side: str = "BUY", **changes: object) -> Order:
    price = {"BTCUSDT": "59800", "ETHUSDT": "2990"}[symbol] if side == "BUY" else "60200"
    quantity = {"BTCUSDT": "0.001", "ETHUSDT": "0.02"}[symbol]
    order = desk.send(desk.submit(side, quantity, symbol=symbol, price=price, **changes))
    assert order.status == "NEW"
    return order


@pytest.mark.parametrize(
    ("scope", "gone"),
    [
        ("global", {"btc", "eth", "own"}),
        ("account:desk", {"btc", "eth", "own"}),
        ("venue:binance-spot", {"btc", "eth", "own"}),
        ("symbol:BTCUSDT", {"btc", "own"}),
        ("strategy:trend", {"own"}),
        ("strategy_symbol:trend:ETHUSDT", set()),
        ("account:other", set()),
    ],
)
def test_orders_in_the_scope_are_canceled_and_those_outside_stay(
    desk: Desk, scope: str, gone: set[str]
) -> None:
    orders = {
        "btc": resting(desk),
        "eth": resting(desk, "ETHUSDT"),
        "own": resting(desk, strategy=desk.strategies["trend"]),
    }
    kill_raise(scope=scope, level=Level.CANCEL, reason="drill", actor="test")
    for _ in range(3):
        enforce(desk)
    assert {name for name, order in orders.items() if desk.fresh(order).status == "CANCELED"} == gone
    report = kill_report(scope, 0.0)
    assert (report.confirmed, report.cancel_requested, report.open_orders_remaining) == (True, len(gone), 0)


def test_orders_nobody_of_ours_placed_are_canceled_as_well(desk: Desk) -> None:
    order = resting(desk)
    desk.venue.external(dataclasses.replace(venue_order(order), client_order_id="web-1"))
    assert len(desk.venue.open_orders(None)) == 2
    kill_raise(scope="global", level=Level.CANCEL, reason="drill", actor="test")
    enforce(desk)
    assert desk.venue.open_orders(None) == []


def test_a_kill_is_confirmed_by_two_empty_readings_and_not_by_one(desk: Desk) -> None:
    kill_raise(scope="global", level=Level.CANCEL, reason="drill", actor="test")
    (first,) = enforce(desk)
    assert (first.empty_reads, first.confirmed_at) == (1, None)
    (second,) = enforce(desk)
    assert second.confirmed_at is not None
    assert enforce(desk) == []


def test_a_kill_is_not_confirmed_while_an_order_is_on_its_way(desk: Desk) -> None:
    order = desk.submit("BUY", "0.001", price="59800")
    authorised = desk.authorise(order)
    assert authorised is not None
    kill_raise(scope="global", level=Level.CANCEL, reason="drill", actor="test")
    for _ in range(4):
        enforce(desk)
    assert not kill_report("global", 0.0).confirmed
    desk.venue.place(
        authorised.order, timestamp_ms=authorised.timestamp_ms, recv_window_ms=authorised.recv_window_ms
    )
    Order.objects.filter(pk=order.pk).update(status="NEW", venue_order_id=1)
    (row,) = enforce(desk)
    assert (row.confirmed_at, row.cancel_requested) == (None, 1)
    enforce(desk)
    assert kill_report("global", 0.0).confirmed
    assert desk.fresh(order).status == "CANCELED"


def test_an_order_that_lands_between_reading_and_counting_does_not_confirm_the_kill(desk: Desk) -> None:
    """Its answer is settled after the list was read and before doubts are counted: the list did not show it."""
    order = desk.submit("BUY", "0.001", price="59800")
    authorised = desk.authorise(order)
    assert authorised is not None
    kill_raise(scope="global", level=Level.CANCEL, reason="drill", actor="test")
    enforce(desk)
    KillEnforcement.objects.update(empty_reads=1, unknown_remaining=0)

    original = desk.venue.open_orders

    def land_after_reading(symbol: str | None) -> object:
        listed = original(symbol)
        desk.venue.place(
            authorised.order, timestamp_ms=authorised.timestamp_ms, recv_window_ms=authorised.recv_window_ms
        )
        Order.objects.filter(pk=order.pk).update(status="NEW", venue_order_id=1)
        return listed

    class Racing:
        def __getattr__(self, name: str) -> object:
            return land_after_reading if name == "open_orders" else getattr(desk.venue, name)

    (due,) = enforcements_due(desk.account, "control")
    row = enforcement_step(account=desk.account, venue=Racing(), due=due, enforcer="control")  # type: ignore[arg-type]
    assert row.confirmed_at is None
    assert len(desk.venue.open_orders(None)) == 1


def test_one_cancel_that_is_refused_does_not_keep_the_others(desk: Desk) -> None:
    orders = [resting(desk) for _ in range(3)]
    desk.venue.fails["cancel_all"] = [VenueRejected(-2015, "no"), VenueRejected(-2015, "no")]
    desk.venue.fails["cancel"] = [VenueRejected(-2015, "no")]
    kill_raise(scope="global", level=Level.CANCEL, reason="drill", actor="test")
    (row,) = enforce(desk)
    assert "-2015" in row.error
    assert [desk.fresh(o).status for o in orders].count("CANCELED") == 2
    enforce(desk)
    assert [desk.fresh(o).status for o in orders].count("CANCELED") == 3


def test_a_venue_that_cannot_be_reached_confirms_nothing(desk: Desk) -> None:
    kill_raise(scope="global", level=Level.CANCEL, reason="drill", actor="test")
    enforce(desk)
    desk.venue.fails["open_orders"] = [VenueUnavailable(None, "down")]
    (row,) = enforce(desk)
    assert (row.empty_reads, row.confirmed_at) == (0, None)


def test_waiting_for_a_doubt_does_not_use_up_the_venues_weight(desk: Desk) -> None:
    order = desk.submit("BUY", "0.001", price="59800")
    desk.venue.fails["place"] = [OutcomeUnknown(order.client_order_id, "lost")]
    desk.send(order)
    kill_raise(scope="global", level=Level.CANCEL, reason="drill", actor="test")
    for _ in range(40):
        enforce(desk)
    assert desk.venue.calls.count("open_orders") <= 4


def test_reducing_cancels_what_adds_risk_and_keeps_the_way_out(desk: Desk) -> None:
    desk.send(desk.submit("BUY", "0.01", price="60010"))
    buy, sell = resting(desk), resting(desk, side="SELL")
    kill_raise(scope="global", level=Level.REDUCING, reason="drill", actor="test")
    enforce(desk)
    assert (desk.fresh(buy).status, desk.fresh(sell).status) == ("CANCELED", "NEW")


def test_a_symbol_is_canceled_by_one_call_and_every_order_of_it_is_settled(desk: Desk) -> None:
    orders = [*(resting(desk) for _ in range(4)), *(resting(desk, "ETHUSDT") for _ in range(3))]
    kill_raise(scope="global", level=Level.CANCEL, reason="drill", actor="test")
    enforce(desk)
    assert (desk.venue.calls.count("cancel_all"), desk.venue.calls.count("cancel")) == (2, 0)
    assert {desk.fresh(o).status for o in orders} == {"CANCELED"}


def test_one_call_is_not_used_where_something_of_the_symbol_stays(desk: Desk) -> None:
    """Of another strategy, or a stop on its way that nobody has seen at the venue yet."""
    own = [resting(desk, strategy=desk.strategies["trend"]) for _ in range(2)]
    other = resting(desk, strategy=desk.strategies["swing"])
    kill_raise(scope="strategy:trend", level=Level.CANCEL, reason="drill", actor="test")
    enforce(desk)
    assert desk.venue.calls.count("cancel_all") == 0
    assert [desk.fresh(o).status for o in (*own, other)] == ["CANCELED", "CANCELED", "NEW"]


def stop(desk: Desk) -> Order:
    """A protective order at the exchange, as ours: what its row says of it decides."""
    desk.send(desk.submit("BUY", "0.01", price="60010"))
    order = resting(desk, side="SELL")
    Order.objects.filter(pk=order.pk).update(origin=Order.Origin.PROTECTION)
    return order


def test_cancel_leaves_protection_standing_and_says_how_much(desk: Desk) -> None:
    protective, entry = stop(desk), resting(desk)
    kill_raise(scope="global", level=Level.CANCEL, reason="drill", actor="test")
    for _ in range(3):
        enforce(desk)
    assert (desk.fresh(protective).status, desk.fresh(entry).status) == ("NEW", "CANCELED")
    row = KillEnforcement.objects.get()
    assert (row.kept, row.open_orders_remaining) == (1, 0)
    assert row.confirmed_at is not None


def test_cancel_with_stops_takes_protection_too_and_it_can_be_asked_for_later(desk: Desk) -> None:
    protective = stop(desk)
    kill_raise(scope="global", level=Level.CANCEL, reason="drill", actor="test")
    enforce(desk)
    kill_raise(scope="global", level=Level.CANCEL, reason="all of it", actor="test", include_stops=True)
    for _ in range(3):
        enforce(desk)
    assert desk.fresh(protective).status == "CANCELED"
    assert TradingState.objects.get(scope="global").include_stops
    kill_raise(scope="global", level=Level.CANCEL, reason="again", actor="test")
    assert TradingState.objects.get(scope="global").include_stops, "asking again never keeps more"


def test_flatten_leaves_protection_to_the_flattener(desk: Desk) -> None:
    protective, entry = stop(desk), resting(desk)
    kill_raise(scope="global", level=Level.FLATTEN, reason="drill", actor="test")
    for _ in range(3):
        enforce(desk)
    assert (desk.fresh(protective).status, desk.fresh(entry).status) == ("NEW", "CANCELED")
    assert KillEnforcement.objects.get().confirmed_at is not None


def test_halting_new_orders_keeps_working_ones(desk: Desk) -> None:
    order = resting(desk)
    kill_raise(scope="global", level=Level.HALT_NEW, reason="drill", actor="test")
    assert enforce(desk) == []
    assert desk.fresh(order).status == "NEW"
    assert kill_report("global", 0.0).confirmed


def test_a_level_only_rises_and_stays_for_whoever_comes_later(desk: Desk) -> None:
    kill_raise(scope="account:desk", level=Level.CANCEL, reason="drill", actor="test")
    state = kill_raise(scope="account:desk", level=Level.REDUCING, reason="lower", actor="test")
    assert (state.level, state.reason) == (Level.CANCEL, "drill")
    with pytest.raises(OrderDenied) as denied:
        desk.submit()
    assert (denied.value.code, denied.value.extra["level"]) == ("TRADING_HALTED", "CANCEL")
    assert AuditEntry.objects.filter(action="kill.raised").count() == 2


@pytest.fixture
def killed(desk: Desk, risk_officer: User) -> Desk:
    kill_raise(scope="strategy:trend", level=Level.CANCEL, reason="drill", actor=risk_officer)
    return desk


def ask(risk_officer: User) -> ChangeRequest:
    return resume_request(
        scope="strategy:trend", to_level=Level.ACTIVE, reason="a bad fill; found why", requester=risk_officer
    )


def test_a_strategys_owner_neither_asks_for_its_resume_nor_grants_it(
    killed: Desk, risk_officer: User, second_risk_officer: User
) -> None:
    Strategy.objects.filter(name="trend").update(owner=risk_officer)
    with pytest.raises(ApplicationError) as refused:
        ask(risk_officer)
    assert refused.value.code == "OWNER_MAY_NOT_RESUME"
    request = ask(second_risk_officer)
    with pytest.raises(ApplicationError) as refused:
        change_request_approve(request_id=request.pk, approver=risk_officer, note="mine")
    assert refused.value.code == "OWNER_MAY_NOT_RESUME"
    assert TradingState.objects.get(scope="strategy:trend").level == Level.CANCEL


@pytest.mark.parametrize("found", ["61 s ago", "never", "different"])
def test_a_resume_is_not_granted_on_books_that_were_not_just_found_clean(
    killed: Desk, risk_officer: User, second_risk_officer: User, found: str
) -> None:
    moment = now()
    if found == "different":
        Divergence.objects.create(
            account=killed.account,
            kind="balance",
            subject="BTC",
            first_seen_at=moment,
            last_seen_at=moment,
            sightings=2,
        )
    else:
        at = moment - timedelta(seconds=61) if found == "61 s ago" else None
        Account.objects.filter(pk=killed.account.pk).update(reconciled_at=at)
    request = ask(risk_officer)
    with pytest.raises(ApplicationError) as refused:
        change_request_approve(request_id=request.pk, approver=second_risk_officer, note="")
    assert refused.value.code == "NOT_RECONCILED"
    assert TradingState.objects.get(scope="strategy:trend").level == Level.CANCEL
    # The request stays: once the books are clean the same person may grant it.
    Divergence.objects.all().delete()
    Account.objects.filter(pk=killed.account.pk).update(reconciled_at=now())
    change_request_approve(request_id=request.pk, approver=second_risk_officer, note="")
    assert TradingState.objects.get(scope="strategy:trend").level == Level.ACTIVE


def test_what_a_breaker_demands_falls_by_itself_and_what_was_latched_stays(desk: Desk) -> None:
    kill_raise(scope="account:desk", level=Level.REDUCING, reason="drill", actor="test")
    auto_level_set(scope="account:desk", level=Level.HALT_NEW, reason="429", actor="breaker")
    assert effective_level(["global", "account:desk"]) == (Level.HALT_NEW, "account:desk")
    auto_level_set(scope="account:desk", level=Level.ACTIVE, reason="over", actor="breaker")
    assert effective_level(["global", "account:desk"]) == (Level.REDUCING, "account:desk")
    with pytest.raises(InvariantViolation):
        auto_level_set(scope="account:desk", level=Level.CANCEL, reason="no", actor="breaker")


def test_resuming_takes_a_second_person(desk: Desk, risk_officer: User, second_risk_officer: User) -> None:
    kill_raise(scope="global", level=Level.CANCEL, reason="drill", actor=risk_officer)
    request = resume_request(
        scope="global", to_level=Level.ACTIVE, reason="looked at it", requester=risk_officer
    )
    assert TradingState.objects.get(scope="global").level == Level.CANCEL
    with pytest.raises(ApplicationError):
        change_request_approve(request_id=request.pk, approver=risk_officer, note="me again")
    change_request_approve(request_id=request.pk, approver=second_risk_officer, note="seen")
    assert TradingState.objects.get(scope="global").level == Level.ACTIVE
    assert desk.submit("BUY", "0.001").quantity == Decimal("0.001")


def test_a_resume_of_everything_is_void_by_what_was_done_to_it_and_not_to_other_scopes(
    desk: Desk, risk_officer: User, second_risk_officer: User
) -> None:
    """The version of the global row grows with every scope's; a kill that finds its level there is a change as well."""
    for scope, latches, outcome in (
        ("symbol:ETHUSDT", True, "applied"),
        ("symbol:BNBUSDT", False, "applied"),
        ("global", False, "APPROVAL_VOID"),
        ("global", True, "APPROVAL_VOID"),
    ):
        kill_raise(scope="global", level=Level.HALT_NEW, reason="drill", actor=risk_officer)
        request = resume_request(
            scope="global", to_level=Level.REDUCING, reason="looked", requester=risk_officer
        )
        change = kill_raise if latches else auto_level_set
        change(scope=scope, level=Level.HALT_NEW, reason="fell", actor="guardian")
        try:
            done = change_request_approve(request_id=request.pk, approver=second_risk_officer).state
        except ApplicationError as error:
            done = error.code
        assert (scope, latches, done) == (scope, latches, outcome)
        auto_level_set(scope="global", level=Level.ACTIVE, reason="over", actor="guardian")


def test_leave_for_an_order_is_bound_to_the_newest_there_was_and_not_to_the_clock(desk: Desk) -> None:
    def given() -> None:
        OverrideGrant.objects.create(
            account=desk.account, instrument=desk.instruments["BTCUSDT"], side="BUY", max_notional=10,
            expires_at=now() + timedelta(hours=1), created_at=now(), requested_by="trader", approved_by="risk",
        )  # fmt: skip

    target = f"{desk.account.name}:BTCUSDT:BUY"
    given()
    asked = override_snapshot(target)
    OverrideGrant.objects.update(expires_at=now())
    assert override_snapshot(target) == asked, "it merely lapsed"
    given()
    assert override_snapshot(target) != asked
