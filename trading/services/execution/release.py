"""Giving up an order that certainly never reached the venue, and giving back what an ended order held."""

from __future__ import annotations

from django.db import transaction

from nautilus_site.common.clock import now
from trading.domain.orders import OrderStatus, advance
from trading.models import Order
from trading.services.execution.holds import Changes, hold_release
from trading.services.exposure import balances_locked, position_locked
from trading.services.order_events import order_event
from trading.services.parents import child_give_back


@transaction.atomic
def order_release(*, order_id: int, code: str, message: str) -> bool:
    """Release a RESERVED order before it is sent. False when it is past that already."""
    order = (
        Order.objects.select_for_update(of=("self",), no_key=True)
        .select_related("account", "instrument", "strategy")
        .get(pk=order_id)
    )
    if order.status != OrderStatus.RESERVED:
        return False
    order.code, order.message = code, message
    order_end(order, OrderStatus.RELEASED)
    order_event(order, source="authorise", detail={"code": code, "message": message})
    return True


def order_end(order: Order, status: OrderStatus) -> None:
    """Move a locked order to a terminal state and give back, once, everything it still holds."""
    order.status = advance(OrderStatus(order.status), status)
    position = position_locked(order.account, order.instrument, order.position_side)
    if order.reserved_amount:
        balances_locked(order.account, {order.reserved_asset})
    changes = Changes(order.account)
    hold_release(order, changes)
    changes.open_write(position)
    changes.write()
    child_give_back(order, status)
    moment = now()
    order.ended_at = order.updated_at = moment
    order.save()
