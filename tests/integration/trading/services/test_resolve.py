"""Orders whose answer never came: found and settled, or proven absent; held meanwhile, never sent again."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from nautilus_site.common.clock import now
from trading.domain.errors import OutcomeUnknown
from trading.models import Fill, Order
from trading.services.execution.authorise import venue_order
from trading.services.execution.resolve import order_resolve, orders_in_doubt

if TYPE_CHECKING:
    from tests.factories.trading import Desk


def lost(desk: Desk, *, executed: bool, price: str = "60010") -> Order:
    order = desk.submit("BUY", "0.01", price=price)
    desk.venue.faults = ["lost_after" if executed else "lost_before"]
    return desk.send(order)


def resolve(desk: Desk, order: Order) -> str:
    return order_resolve(order_id=order.pk, venue=desk.venue)


def test_an_order_that_was_executed_is_found_and_settled(desk: Desk) -> None:
    """The earlier system's recovery never ran, and would have sent the order again (W14)."""
    order = lost(desk, executed=True)
    assert order.status == "UNKNOWN"
    assert resolve(desk, order) == "FILLED"
    assert Fill.objects.get().source == "query"
    assert desk.position().quantity == Decimal("0.00999")  # the exchange in memory takes 0.1 % in base
    assert len(desk.venue.placed) == 1


def test_absence_is_proven_only_after_the_window_the_time_out_and_two_look_ups(desk: Desk) -> None:
    """recvWindow 2 s + processing 10 s + margin 5 s = 17 s after the timestamp, then two look-ups 2 s apart."""
    order = lost(desk, executed=False)
    held = desk.held_amounts()
    sent_ms = desk.venue.now_ms
    for after_ms in (0, 5_000, 17_000, 17_001, 18_500, 19_000):
        desk.venue.now_ms = sent_ms + after_ms
        assert resolve(desk, order) == "UNKNOWN"
        assert desk.held_amounts() == held
    desk.venue.now_ms = sent_ms + 19_001
    assert resolve(desk, order) == "ABSENT"
    assert desk.held_amounts() == {}
    assert desk.fresh(order).code == "ABSENT_PROVEN"
    assert len(desk.venue.placed) == 1


def test_two_look_ups_that_were_too_early_prove_nothing(desk: Desk) -> None:
    order = lost(desk, executed=False)
    for after_ms in (3_000, 9_000, 16_900):
        desk.venue.now_ms = order.timestamp_ms + after_ms
        resolve(desk, order)
    desk.venue.now_ms = order.timestamp_ms + 17_500
    assert resolve(desk, order) == "UNKNOWN"


def test_a_trade_nobody_can_explain_keeps_the_doubt(desk: Desk) -> None:
    order = lost(desk, executed=False)
    stranger = venue_order(order).__class__(
        **{f: getattr(venue_order(order), f) for f in ("symbol", "side", "type", "time_in_force", "quantity", "price")},
        client_order_id="stranger",
    )  # fmt: skip
    desk.venue.external(stranger)
    for after_ms in (17_100, 20_000, 23_000):
        desk.venue.now_ms = order.timestamp_ms + after_ms
        assert resolve(desk, order) == "UNKNOWN"


def test_an_order_whose_sender_died_is_taken_up_when_it_must_have_died(desk: Desk) -> None:
    order = desk.submit("BUY", "0.01", price="60010")
    authorised = desk.authorise(order)
    assert authorised is not None
    desk.venue.place(
        authorised.order, timestamp_ms=authorised.timestamp_ms, recv_window_ms=authorised.recv_window_ms
    )
    assert orders_in_doubt(desk.account.pk) == []
    assert resolve(desk, order) == "SENDING", "its sender may still be waiting for the answer"
    Order.objects.filter(pk=order.pk).update(sent_at=now() - timedelta(seconds=9))
    assert orders_in_doubt(desk.account.pk) == [order.pk]
    assert resolve(desk, order) == "FILLED"
    assert len(desk.venue.placed) == 1


def test_new_risk_beside_an_order_in_doubt_is_denied_once_the_doubt_is_old(desk: Desk) -> None:
    from trading.services.orders import OrderDenied

    order = lost(desk, executed=False)
    Order.objects.filter(pk=order.pk).update(sent_at=now() - timedelta(seconds=31))
    with pytest.raises(OrderDenied) as denied:
        desk.submit("BUY", "0.01")
    assert denied.value.code == "NOT_RECONCILED"


def test_the_stream_may_settle_what_the_sender_could_not(desk: Desk) -> None:
    from trading.services.adoption import report_settle

    order = desk.submit("BUY", "0.01", price="60010")
    desk.venue.fails["place"] = [OutcomeUnknown(order.client_order_id, "reset")]
    desk.send(order)
    report = desk.venue.external(venue_order(desk.fresh(order)))
    report_settle(account=desk.account, report=report, source="stream")
    assert desk.fresh(order).status == "FILLED"
    assert resolve(desk, order) == "FILLED"
    assert Fill.objects.count() == 1
