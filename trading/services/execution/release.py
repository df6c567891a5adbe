"""Giving up an order that certainly never reached the venue, and giving back what an ended order held."""

from __future__ import annotations

from collections import defaultdict
from decimal import ROUND_DOWN, Decimal

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest

from nautilus_site.common.clock import now
from trading.domain.orders import OrderStatus, advance
from trading.domain.values import Side
from trading.models import Balance, Order, Position
from trading.services.execution.list_holds import list_hold_release
from trading.services.exposure import balances_locked, bucket_scopes, buckets_move, position_locked
from trading.services.order_events import order_event
from trading.services.parents import child_give_back

UNIT = Decimal("1E-8")


@transaction.atomic
def order_release(*, order_id: int, code: str, message: str) -> bool:
    """Release a RESERVED order before it is sent. False when it is past that already."""
    order = (
        Order.objects.select_for_update(of=("self",))
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
    position = position_locked(order.account, order.instrument)
    if order.reserved_amount:
        balances_locked(order.account, {order.reserved_asset})
    hold_release(order, position)
    child_give_back(order, status)
    moment = now()
    order.ended_at = order.updated_at = moment
    order.save()


def hold_shrink(order: Order, quantity: Decimal) -> None:
    """Make a locked order smaller, as the venue says it is, and give back that part of what it holds."""
    position = position_locked(order.account, order.instrument)
    if order.reserved_amount:
        balances_locked(order.account, {order.reserved_asset})
    less, remaining = order.quantity - quantity, order.quantity - order.executed_quantity
    open_field = "open_buy" if order.side == Side.BUY else "open_sell"
    Position.objects.filter(pk=position.pk).update(**{open_field: Greatest(F(open_field) - less, Decimal(0))})
    amount = (order.reserved_amount * less / remaining).quantize(UNIT, rounding=ROUND_DOWN)
    notional = (order.reserved_notional * less / remaining).quantize(UNIT, rounding=ROUND_DOWN)
    if amount:
        Balance.objects.filter(account=order.account, asset=order.reserved_asset).update(
            reserved=F("reserved") - amount
        )
    if notional:
        strategy = order.strategy.name if order.strategy else None
        scopes = bucket_scopes(order.account.name, order.instrument.symbol, strategy)
        buckets_move(dict.fromkeys(scopes, -notional))
    order.quantity, order.reserved_amount = quantity, order.reserved_amount - amount
    order.reserved_notional -= notional


def hold_release(order: Order, position: Position) -> None:
    """Give back the open quantity, the balance and the caps an order holds. The rows are locked by the caller."""
    remaining = order.quantity - order.executed_quantity
    open_field = "open_buy" if order.side == Side.BUY else "open_sell"
    if order.order_list_id is not None:
        list_hold_release(order)
    elif remaining and order.holds_open_quantity:
        Position.objects.filter(pk=position.pk).update(
            **{open_field: Greatest(F(open_field) - remaining, Decimal(0))}
        )
    if order.reserved_amount:
        Balance.objects.filter(account=order.account, asset=order.reserved_asset).update(
            reserved=F("reserved") - order.reserved_amount
        )
        order.reserved_amount = Decimal(0)
    if order.reserved_notional:
        deltas: defaultdict[str, Decimal] = defaultdict(Decimal)
        strategy = order.strategy.name if order.strategy else None
        for scope in bucket_scopes(order.account.name, order.instrument.symbol, strategy):
            deltas[scope] -= order.reserved_notional
        buckets_move(deltas)
        order.reserved_notional = Decimal(0)
