"""What an order holds of a position's open quantities, of a balance and of the caps: taken once, given back once.

Everything here changes rows in memory and collects what must change elsewhere, so that one report or a thousand are
written back in the same few statements (`Changes.write`). The rows are locked by the caller.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import F

from trading.domain.margin import order_margin, venue_only_reduces
from trading.domain.values import (
    Market,
    PositionSide,
    Side,
    exact_product,
    floor_to_step,
    from_units,
    to_units,
)
from trading.models import Account, MarginTerms, Order, OrderList, Position
from trading.services.exposure import bucket_scopes, buckets_move
from universe.models import Instrument

ZERO = Decimal(0)
UNIT = Decimal("1E-8")
TAKER_FEE_BPS = 10
"""The most a USD-M fill has ever cost on the published schedule is 5; held for twice that."""

_PROMISES = """
UPDATE trading_balance AS balance SET reserved = balance.reserved + change.amount
  FROM unnest(%(assets)s::text[], %(amounts)s::numeric[]) AS change (asset, amount)
 WHERE balance.account_id = %(account)s AND balance.asset = change.asset
"""
_OPEN = """
UPDATE trading_position
   SET open_buy = greatest(open_buy + %(buy)s, 0), open_sell = greatest(open_sell + %(sell)s, 0)
 WHERE id = %(position)s
"""


@dataclass(slots=True)
class Changes:
    """What settling changes on rows that others change, too: applied as differences."""

    account: Account
    open_buy: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    open_sell: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    reserved: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    buckets: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    over: set[int] = field(default_factory=set)

    def open(self, order: Order, quantity: Decimal) -> None:
        """Change the open quantity of an order's side."""
        side = self.open_buy if order.side == Side.BUY else self.open_sell
        side[order.position_side] += quantity

    def caps(self, order: Order, notional: Decimal) -> None:
        """Change every bucket an order counts in."""
        strategy = order.strategy.name if order.strategy else None
        for scope in bucket_scopes(order.account.name, order.instrument.symbol, strategy):
            self.buckets[scope] += notional

    def open_write(self, position: Position) -> None:
        """Apply the open quantities of one position."""
        buy, sell = self.open_taken(position.position_side)
        if buy or sell:
            parameters: dict[str, Any] = {"buy": buy, "sell": sell, "position": position.pk}
            with connection.cursor() as cursor:
                cursor.execute(_OPEN, parameters)

    def open_taken(self, side: str) -> tuple[Decimal, Decimal]:
        """What the open quantities of a position change by, to be written by the caller."""
        return self.open_buy.pop(side, ZERO), self.open_sell.pop(side, ZERO)

    def promises_taken(self) -> dict[str, Decimal]:
        """What is promised of balances changes by, to be written by the caller."""
        promises, self.reserved = dict(self.reserved), defaultdict(Decimal)
        return promises

    def write(self) -> None:
        """Apply promises and caps; call after every position."""
        promises = {asset: amount for asset, amount in sorted(self.reserved.items()) if amount}
        if promises:
            parameters: dict[str, Any] = {
                "account": self.account.pk,
                "assets": list(promises),
                "amounts": list(promises.values()),
            }
            with connection.cursor() as cursor:
                cursor.execute(_PROMISES, parameters)
        buckets_move(self.buckets)


def order_only_reduces(order: Order) -> bool:
    """Whether the venue itself keeps the order from adding to a position, so that it holds nothing."""
    return venue_only_reduces(
        Market(order.instrument.market),
        Side(order.side),
        PositionSide(order.position_side),
        reduce_only=order.reduce_only,
        close_position=order.close_position,
    )


def leverage_of(account: Account, instrument: Instrument) -> int:
    """The leverage of a symbol as the venue last told it; 1, which holds the most, where nobody knows."""
    known = MarginTerms.objects.filter(account=account, instrument=instrument).values_list(
        "leverage", flat=True
    )
    return known.first() or 1


def balance_hold(
    *,
    account: Account,
    instrument: Instrument,
    side: Side,
    position_side: PositionSide,
    reduce_only: bool,
    close_position: bool,
    quantity: Decimal,
    notional: int,
    increase: int,
) -> tuple[str, Decimal]:
    """What an order must hold of which balance.

    Spot: the quote it may spend or the base it may sell. USD-M: the margin of the part that opens and its fee, in the
    margin asset; nothing for an order the venue only lets reduce.

    Parameters
    ----------
    notional : of the whole order at its reservation price, quote units.
    increase : base units by which it raises the position's worst case, from `exposure_increase`.
    """
    if instrument.market == Market.spot:
        if side is Side.BUY:
            return instrument.quote_asset, from_units(notional)
        return instrument.base_asset, quantity
    if increase == 0 or venue_only_reduces(
        Market.usdm, side, position_side, reduce_only=reduce_only, close_position=close_position
    ):
        return instrument.quote_asset, ZERO
    leverage = leverage_of(account, instrument)
    units = to_units(quantity)
    return instrument.quote_asset, from_units(
        order_margin(notional, min(increase, units), units, leverage, TAKER_FEE_BPS)
    )


def list_hold_shrinks(order: Order, filled: Decimal, changes: Changes) -> None:
    """A leg's fill uses its share of what the list holds for all legs: they sell the same coins, and only once.

    Every change happens under the lock of the position, so the list needs none of its own.
    """
    held = OrderList.objects.get(legs=order)
    used = min(held.held_quantity, filled)
    if not used:
        return
    freed = held.reserved_amount
    if used < held.held_quantity:
        freed = (held.reserved_amount * used / held.held_quantity).quantize(UNIT)
    _list_gives_back(order, held, used, freed, changes)


def _list_hold_fits(order: Order, quantity: Decimal, changes: Changes) -> None:
    """A list holds what the largest of its legs may still trade: lowering them one by one frees that once."""
    held = OrderList.objects.get(legs=order)
    legs = Order.objects.filter(order_list_id=held.pk, ended_at=None).exclude(pk=order.pk)
    needed = max((leg.quantity - leg.executed_quantity for leg in legs), default=ZERO)
    freed = held.held_quantity - max(needed, quantity - order.executed_quantity)
    if freed > 0:
        list_hold_shrinks(order, freed, changes)


def list_hold_release(order: Order, changes: Changes) -> None:
    """A leg is over. The last one to end gives back what the list still holds."""
    siblings = Order.objects.filter(order_list_id=order.order_list_id, ended_at=None)
    if siblings.exclude(pk__in=changes.over).exists():
        return
    held = OrderList.objects.get(legs=order)
    if held.held_quantity or held.reserved_amount:
        _list_gives_back(order, held, held.held_quantity, held.reserved_amount, changes)


def _list_gives_back(
    order: Order, held: OrderList, quantity: Decimal, amount: Decimal, changes: Changes
) -> None:
    changes.open(order, -quantity)
    if amount:
        changes.reserved[held.reserved_asset] -= amount
    OrderList.objects.filter(pk=held.pk).update(
        held_quantity=F("held_quantity") - quantity, reserved_amount=F("reserved_amount") - amount
    )


def hold_shrinks(order: Order, part: Decimal, changes: Changes) -> None:
    """Take a part of the unfilled quantity out of what the order holds; the last part takes all that is left."""
    remaining = order.quantity - order.executed_quantity
    if order.order_list_id is not None:
        list_hold_shrinks(order, part, changes)
        return
    used = min(order.open_quantity, part)
    if used:
        order.open_quantity -= used
        changes.open(order, -used)
    if order.reserved_amount:
        freed = (
            order.reserved_amount
            if part >= remaining
            else (order.reserved_amount * part / remaining).quantize(UNIT)
        )
        changes.reserved[order.reserved_asset] -= freed
        order.reserved_amount -= freed


def hold_release(order: Order, changes: Changes) -> None:
    """Give back, once, everything the order still holds."""
    changes.over.add(order.pk)
    if order.order_list_id is not None:
        list_hold_release(order, changes)
    if order.open_quantity:
        changes.open(order, -order.open_quantity)
        order.open_quantity = ZERO
    if order.reserved_amount:
        changes.reserved[order.reserved_asset] -= order.reserved_amount
        order.reserved_amount = ZERO
    if order.reserved_notional:
        changes.caps(order, -order.reserved_notional)
        order.reserved_notional = ZERO


def hold_amended(order: Order, quantity: Decimal, changes: Changes) -> None:
    """The venue has lowered the quantity: what the part taken off it held is free."""
    removed = order.quantity - quantity
    remaining = order.quantity - order.executed_quantity
    if removed <= 0 or remaining <= 0:
        return
    if order.order_list_id is not None:
        _list_hold_fits(order, quantity, changes)
    else:
        hold_shrinks(order, removed, changes)
    if order.reserved_notional:
        freed = (
            order.reserved_notional
            if removed >= remaining
            else floor_to_step(exact_product(order.reserved_notional, removed) / remaining, UNIT)
        )
        changes.caps(order, -freed)
        order.reserved_notional -= freed
    order.quantity = quantity


def hold_again(order: Order, position: Position, changes: Changes, increase: Decimal) -> None:
    """An order that had given everything back has landed after all: it holds again, whatever the caps."""
    if order_only_reduces(order) or order.order_list_id is not None:
        return  # it can only ever reduce, or its siblings hold for it
    remaining = order.quantity - order.executed_quantity
    order.open_quantity = remaining
    changes.open(order, remaining)
    if order.price is None:
        return
    order.reserved_notional = floor_to_step(exact_product(increase, order.price), UNIT)
    notional = to_units(floor_to_step(exact_product(remaining, order.price), UNIT))
    order.reserved_asset, order.reserved_amount = balance_hold(
        account=order.account,
        instrument=order.instrument,
        side=Side(order.side),
        position_side=PositionSide(order.position_side),
        reduce_only=order.reduce_only,
        close_position=order.close_position,
        quantity=remaining,
        notional=notional,
        increase=to_units(increase),
    )
    changes.reserved[order.reserved_asset] += order.reserved_amount
    changes.caps(order, order.reserved_notional)
