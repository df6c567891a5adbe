"""Cancels and amendments as intents: one row each, sent as often as is safe, closed by what the venue says."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, transaction

from nautilus_site.common.errors import ApplicationError, Conflict
from trading.domain.errors import OutcomeUnknown, VenueUnavailable
from trading.models import Order, OrderCommand
from trading.services.execution.amend import amendments_open, order_amend, order_amend_request
from trading.services.execution.cancel import order_cancel
from trading.services.execution.commands import commands_close
from trading.services.orders import order_cancel_request

if TYPE_CHECKING:
    from tests.factories.trading import Desk


def _resting(desk: Desk, quantity: str = "0.01") -> Order:
    return desk.send(desk.submit("BUY", quantity, price="59900"))


def _amend(desk: Desk, order: Order, quantity: str, key: str = "k", price: str | None = None) -> OrderCommand:
    return order_amend_request(
        order=order,
        quantity=Decimal(quantity),
        price=None if price is None else Decimal(price),
        actor="test",
        reason="less",
        key=key,
    )


def test_a_cancel_asked_for_twice_is_one_intent_and_ends_done(desk: Desk) -> None:
    """W86: the earlier route told of a success without any call to the venue."""
    order = _resting(desk)
    for _ in range(2):
        order_cancel_request(order=order, actor="test", reason="enough")
    assert OrderCommand.objects.get().state == "requested"
    assert (desk.venue.calls.count("cancel"), len(desk.venue.open_orders(None))) == (0, 1)
    assert order_cancel(order_id=order.pk, venue=desk.venue) == "CANCELED"
    assert (desk.venue.calls.count("cancel"), len(desk.venue.open_orders(None))) == (1, 0)
    row = OrderCommand.objects.get()
    assert (row.state, row.attempts, row.ended_at is not None) == ("done", 1, True)


def test_a_cancel_whose_answer_was_lost_is_sent_again_under_the_same_intent(desk: Desk) -> None:
    order = _resting(desk)
    order_cancel_request(order=order, actor="test", reason="enough")
    desk.venue.fails["cancel"] = [VenueUnavailable(None, "not answered")]
    with pytest.raises(VenueUnavailable):
        order_cancel(order_id=order.pk, venue=desk.venue)
    assert OrderCommand.objects.get().state == "unknown"
    order_cancel(order_id=order.pk, venue=desk.venue)
    row = OrderCommand.objects.get()
    assert (row.state, row.attempts) == ("done", 2)


def test_a_cancel_that_a_fill_overtook_is_void(desk: Desk) -> None:
    order = _resting(desk)
    order_cancel_request(order=order, actor="test", reason="enough")
    desk.quote("BTCUSDT", "59800", "59890")  # the order trades before the cancel arrives
    assert order_cancel(order_id=order.pk, venue=desk.venue) == "FILLED"
    assert OrderCommand.objects.get().state == "void"
    assert desk.held_amounts().keys() == {
        "bucket symbol:desk:BTCUSDT",
        "bucket account:desk",
        "bucket global:desk",
    }


def test_an_order_that_ended_by_itself_closes_its_cancel(desk: Desk) -> None:
    order = _resting(desk)
    order_cancel_request(order=order, actor="test", reason="enough")
    OrderCommand.objects.create(
        order=order, kind="cancel", intent_key="other", requested_by="x", requested_at=order.created_at
    )
    order_cancel(order_id=order.pk, venue=desk.venue)
    assert commands_close(desk.account.pk) == 1
    assert not OrderCommand.objects.filter(ended_at=None).exists()


def test_an_amendment_makes_the_order_smaller_and_gives_that_part_back(desk: Desk) -> None:
    order = _resting(desk)
    before = desk.held_amounts()
    command = _amend(desk, order, "0.004")
    assert order_amend(command_id=command.pk, venue=desk.venue) == "done"
    row = desk.fresh(order)
    assert (row.quantity, row.status) == (Decimal("0.004"), "NEW")
    # Every hold is four tenths of what it was: 239.60 of 599 USDT.
    assert desk.held_amounts() == {name: amount * Decimal("0.4") for name, amount in before.items()}
    order_cancel_request(order=row, actor="test", reason="over")
    order_cancel(order_id=order.pk, venue=desk.venue)
    assert desk.held_amounts() == {}


def test_the_same_key_is_the_same_amendment_and_it_is_sent_once(desk: Desk) -> None:
    order = _resting(desk)
    command = _amend(desk, order, "0.004")
    assert _amend(desk, order, "0.004") == command
    for _ in range(3):
        order_amend(command_id=command.pk, venue=desk.venue)
    assert len(desk.venue.amended) == 1


@pytest.mark.parametrize("carried_out", [True, False])
def test_an_amendment_without_an_answer_is_asked_about_and_never_sent_again(
    desk: Desk, carried_out: bool
) -> None:
    order = _resting(desk)
    command = _amend(desk, order, "0.004")
    desk.venue.amends_before_failing = carried_out
    desk.venue.fails["amend"] = [OutcomeUnknown(order.client_order_id, "reset")]
    assert order_amend(command_id=command.pk, venue=desk.venue) == "unknown"
    held = desk.fresh(order)
    assert held.quantity == Decimal("0.01"), "what is not known keeps everything it holds"
    if not carried_out:
        assert order_amend(command_id=command.pk, venue=desk.venue) == "unknown"
        desk.venue.now_ms += 17_001  # window, processing time-out and lag margin
    state = order_amend(command_id=command.pk, venue=desk.venue)
    assert state == ("done" if carried_out else "refused")
    assert desk.fresh(order).quantity == Decimal("0.004" if carried_out else "0.01")
    assert len(desk.venue.amended) == 1
    assert amendments_open(desk.account.pk) == []


def test_more_than_the_order_holds_needs_a_new_order(desk: Desk) -> None:
    order = _resting(desk)
    for quantity, price in (("0.02", None), ("0.005", "59000")):
        with pytest.raises(ApplicationError, match="") as refused:
            _amend(desk, order, quantity, price=price)
        assert refused.value.code == "AMEND_NEEDS_REPLACE"
    assert not OrderCommand.objects.exists()


def test_one_command_at_a_time(desk: Desk) -> None:
    order = _resting(desk)
    order_cancel_request(order=order, actor="test", reason="enough")
    with pytest.raises(Conflict) as refused:
        _amend(desk, order, "0.004")
    assert refused.value.code == "AMEND_IN_FLIGHT"


def test_the_database_refuses_a_second_send_of_an_amendment(desk: Desk) -> None:
    order = _resting(desk)
    command = _amend(desk, order, "0.004")
    with pytest.raises(IntegrityError, match="amendment_is_sent_once"), transaction.atomic():
        OrderCommand.objects.filter(pk=command.pk).update(attempts=2)
