"""One send, and what each kind of answer leaves held."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from nautilus_site.common.models import Lease
from trading.domain.errors import OutcomeUnknown, VenueRejected, VenueUnavailable
from trading.models import CircuitBreaker, ExposureBucket, Fill
from trading.services.execution.send import order_send, order_unknown

if TYPE_CHECKING:
    from tests.factories.trading import Desk


def test_an_order_that_fills_at_once_is_booked_from_the_answer(desk: Desk) -> None:
    order = desk.send(desk.submit("BUY", "0.01", price="60010"))
    assert (order.status, order.executed_quantity, order.executed_quote) == (
        "FILLED",
        Decimal("0.01"),
        Decimal("600.10"),
    )
    assert Fill.objects.get().source == "response"
    assert desk.position().open_buy == 0
    assert desk.balance("USDT").reserved == 0
    assert ExposureBucket.objects.get(scope="global:desk").used == Decimal("600.10")


def test_an_order_that_rests_keeps_everything_it_holds(desk: Desk) -> None:
    order = desk.send(desk.submit("BUY", "0.01", price="59000"))
    assert (order.status, order.venue_order_id, order.executed_quantity) == ("NEW", 1, 0)
    assert desk.held_amounts() == {
        "bucket symbol:desk:BTCUSDT": Decimal(590),
        "bucket account:desk": Decimal(590),
        "bucket global:desk": Decimal(590),
        "reserved USDT": Decimal(590),
        "open_buy BTCUSDT": Decimal("0.01"),
    }


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (VenueRejected(-2010, "Account has insufficient balance."), "REJECTED", "-2010"),
        (VenueRejected(-1021, "outside of the recvWindow"), "REJECTED", "-1021"),
        (VenueUnavailable(1.0, "overloaded", -1008), "RELEASED", "-1008"),
        (VenueUnavailable(None, "connection refused"), "RELEASED", "VENUE_UNAVAILABLE"),
    ],
)
def test_a_definite_no_ends_the_order_and_gives_everything_back(
    desk: Desk, error: Exception, status: str, code: str
) -> None:
    desk.venue.fails["place"] = [error]
    order = desk.send(desk.submit())
    assert (order.status, order.code) == (status, code)
    assert order.ended_at is not None
    assert desk.held_amounts() == {}
    assert len(desk.venue.placed) == 1


def test_an_unknown_outcome_keeps_everything_and_is_not_sent_again(desk: Desk) -> None:
    order = desk.submit("BUY", "0.01", price="60010")
    before = desk.held_amounts()
    desk.venue.fails["place"] = [OutcomeUnknown(order.client_order_id, "read timed out")]
    after = desk.send(order)
    assert (after.status, after.ended_at) == ("UNKNOWN", None)
    assert desk.held_amounts() == before
    assert desk.authorise(order) is None
    assert len(desk.venue.placed) == 1


def test_what_goes_out_is_exactly_what_was_stored_before(desk: Desk) -> None:
    order = desk.submit("BUY", "0.01", price="59000")
    sent = desk.send(order)
    (placed,) = desk.venue.placed
    assert (placed.timestamp_ms, placed.recv_window_ms) == (sent.timestamp_ms, sent.recv_window_ms)
    assert placed.timestamp_ms == desk.venue.now_ms
    assert placed.recv_window_ms == 2000
    assert (placed.order.client_order_id, placed.order.quantity, placed.order.price) == (
        order.client_order_id,
        order.quantity,
        order.price,
    )


def test_a_refusal_told_after_the_stream_has_told_better_changes_nothing(desk: Desk) -> None:
    from trading.domain.orders import OrderStatus
    from trading.services.execution.send import order_refuse

    order = desk.send(desk.submit("BUY", "0.01", price="60010"))
    order_refuse(order_id=order.pk, status=OrderStatus.REJECTED, code="-1000", message="late")
    assert desk.fresh(order).status == "FILLED"


def test_a_limit_with_a_time_to_wait_opens_the_rate_breaker_for_that_long(desk: Desk) -> None:
    desk.venue.fails["place"] = [VenueUnavailable(30.0, "too many requests", -1003)]
    order = desk.submit()
    authorised = desk.authorise(order)
    assert authorised is not None
    order_send(authorised=authorised, venue=desk.venue, venue_name=desk.venue_row.name)
    breaker = CircuitBreaker.objects.get(name="venue_rate_limit")
    assert breaker.state == "open"
    assert breaker.retry_at is not None
    waits = (breaker.retry_at - breaker.changed_at).total_seconds()
    assert 29 < waits <= 31


def test_a_refusal_reported_under_an_old_fence_leaves_the_order_in_doubt(desk: Desk) -> None:
    """C7: a sender that slept past its lease has no say any more; the venue is asked instead."""
    order = desk.submit()
    authorised = desk.authorise(order)
    assert authorised is not None
    Lease.objects.filter(name=desk.lease().name).update(fence=desk.lease().fence + 1, holder="another")
    desk.venue.fails["place"] = [VenueRejected(-1021, "outside of the recvWindow")]
    order_send(authorised=authorised, venue=desk.venue, venue_name=desk.venue_row.name)
    row = desk.fresh(order)
    assert (row.status, row.ended_at) == ("UNKNOWN", None)
    assert desk.held_amounts() != {}


def test_nothing_sent_after_a_doubt_was_raised_stays_a_doubt(desk: Desk) -> None:
    """A sender asleep for longer than any call: the order is UNKNOWN when it says that it sent nothing."""
    order = desk.submit()
    authorised = desk.authorise(order)
    assert authorised is not None
    order_unknown(order_id=order.pk, message="its sender was lost")
    desk.venue.fails["place"] = [VenueUnavailable(None, "connection refused")]
    order_send(authorised=authorised, venue=desk.venue, venue_name=desk.venue_row.name)
    assert desk.fresh(order).status == "UNKNOWN"
