"""What the legs of an order list hold together, kept on the list: two legs sell the same coins, and only once.

Every change happens under the lock of the position, so the list needs none of its own.
"""

from __future__ import annotations

from decimal import Decimal

from django.db.models import F
from django.db.models.functions import Greatest

from trading.domain.values import Side
from trading.models import Balance, Order, OrderList, Position

ZERO = Decimal(0)
_UNIT = Decimal("1E-8")


def list_hold_take(order_list: OrderList, position: Position, side: Side, quantity: Decimal) -> None:
    """Hold a quantity once for all legs. The position and the balance are locked by the caller."""
    field = "open_buy" if side is Side.BUY else "open_sell"
    Position.objects.filter(id=position.pk).update(**{field: F(field) + quantity})
    order_list.held_quantity = quantity
    if order_list.reserved_amount:
        Balance.objects.filter(account_id=order_list.account_id, asset=order_list.reserved_asset).update(
            reserved=F("reserved") + order_list.reserved_amount
        )


def list_hold_shrinks(order: Order, position: Position, filled: Decimal) -> None:
    """A leg's fill uses its share of what the list holds; `position` is changed in place and saved by the caller."""
    assert order.order_list_id is not None
    held = OrderList.objects.get(pk=order.order_list_id)
    used = min(held.held_quantity, filled)
    if not used:
        return
    field = "open_buy" if order.side == Side.BUY else "open_sell"
    setattr(position, field, max(getattr(position, field) - used, ZERO))
    freed = held.reserved_amount
    if used < held.held_quantity:
        freed = (held.reserved_amount * used / held.held_quantity).quantize(_UNIT)
    _give_back(held, used, freed)


def list_hold_release(order: Order) -> None:
    """A leg is over. The last one to end gives back what the list still holds."""
    siblings = Order.objects.filter(order_list_id=order.order_list_id, ended_at=None).exclude(pk=order.pk)
    if siblings.exists():
        return
    assert order.order_list_id is not None
    held = OrderList.objects.get(pk=order.order_list_id)
    if not (held.held_quantity or held.reserved_amount):
        return
    field = "open_buy" if order.side == Side.BUY else "open_sell"
    Position.objects.filter(account_id=order.account_id, instrument_id=order.instrument_id).filter(
        position_side=order.position_side
    ).update(**{field: Greatest(F(field) - held.held_quantity, ZERO)})
    _give_back(held, held.held_quantity, held.reserved_amount)


def _give_back(held: OrderList, quantity: Decimal, amount: Decimal) -> None:
    if amount:
        Balance.objects.filter(account_id=held.account_id, asset=held.reserved_asset).update(
            reserved=F("reserved") - amount
        )
    OrderList.objects.filter(pk=held.pk).update(
        held_quantity=F("held_quantity") - quantity, reserved_amount=F("reserved_amount") - amount
    )
