"""What the legs of an order list hold together, kept on the list: two legs sell the same coins, and only once.

Every change happens under the lock of the position, so the list needs none of its own. What fills and ends take out
again is in `holds`.
"""

from __future__ import annotations

from decimal import Decimal

from django.db.models import F

from trading.domain.values import Side
from trading.models import Balance, OrderList, Position


def list_hold_take(order_list: OrderList, position: Position, side: Side, quantity: Decimal) -> None:
    """Hold a quantity once for all legs. The position and the balance are locked by the caller."""
    field = "open_buy" if side is Side.BUY else "open_sell"
    Position.objects.filter(id=position.pk).update(**{field: F(field) + quantity})
    order_list.held_quantity = quantity
    if order_list.reserved_amount:
        Balance.objects.filter(account_id=order_list.account_id, asset=order_list.reserved_asset).update(
            reserved=F("reserved") + order_list.reserved_amount
        )
