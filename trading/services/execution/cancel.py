"""Cancelling at the venue. Its answer, or a look-up, tells what really happened: a fill may have been faster."""

from __future__ import annotations

from nautilus_site.common.clock import now
from nautilus_site.common.crash_points import crash_point
from trading.domain.errors import VenueError
from trading.domain.execution import CommandStep, next_cancel
from trading.domain.orders import OrderStatus
from trading.domain.ports import ExecutionVenue
from trading.models import Order
from trading.services.execution.commands import (
    cancel_close,
    cancel_note,
    command_doubted,
    command_sending,
)
from trading.services.execution.settle import order_settle
from trading.services.execution.trades import report_trades


def order_cancel(*, order_id: int, venue: ExecutionVenue) -> OrderStatus:
    """Cancel one working order; repeat until it is over.

    Raises
    ------
    VenueError : the venue cannot be reached now.
    """
    order = Order.objects.select_related("account", "instrument").get(pk=order_id)
    if next_cancel(OrderStatus(order.status)) is not CommandStep.SEND:
        return OrderStatus(order.status)
    command = cancel_note(order=order, actor="executor", reason=order.cancel_reason)
    Order.objects.filter(pk=order_id).update(cancel_tried_at=now())
    command_sending(command)
    symbol = order.instrument.symbol
    crash_point("cancel")
    try:
        report = venue.cancel(symbol, client_order_id=order.client_order_id)
        if report is None:
            report = venue.query(symbol, client_order_id=order.client_order_id)
    except VenueError as error:
        command_doubted(command, str(error))
        raise
    if report is None:
        command_doubted(command, "the venue does not know the order")
        return OrderStatus(order.status)  # the sweep finds the same and opens a divergence
    crash_point("canceled")
    settled = order_settle(
        order_id=order_id, report=report, trades=report_trades(order, report, venue), source="cancel"
    )
    cancel_close(command, OrderStatus(settled.status))
    return OrderStatus(settled.status)
