"""Cancelling at the venue. Its answer, or a look-up, tells what really happened: a fill may have been faster."""

from __future__ import annotations

from nautilus_site.common.clock import now
from nautilus_site.common.crash_points import crash_point
from trading.domain.orders import OrderStatus
from trading.domain.ports import ExecutionVenue
from trading.models import Order
from trading.services.execution.resolve import report_trades
from trading.services.execution.settle import order_settle

_WORKING = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)


def order_cancel(*, order_id: int, venue: ExecutionVenue) -> OrderStatus:
    """Cancel one working order; repeat until it is over.

    Raises
    ------
    VenueError : the venue cannot be reached now.
    """
    order = Order.objects.select_related("account", "instrument").get(pk=order_id)
    if order.status not in _WORKING:
        return OrderStatus(order.status)
    Order.objects.filter(pk=order_id).update(cancel_tried_at=now())
    symbol = order.instrument.symbol
    crash_point("cancel")
    report = venue.cancel(symbol, client_order_id=order.client_order_id)
    if report is None:
        report = venue.query(symbol, client_order_id=order.client_order_id)
    if report is None:
        return OrderStatus(order.status)  # the sweep finds the same and opens a divergence
    crash_point("canceled")
    settled = order_settle(
        order_id=order_id, report=report, trades=report_trades(order, report, venue), source="cancel"
    )
    return OrderStatus(settled.status)
