"""From the quotes a market maker wants to the fewest orders that lead there: placed, made smaller, or taken back.

Level-triggered like the planner of targets: it depends on what is wanted and what is working now, so running it
twice, late or after a crash is harmless. A side never has more than one order that can trade. A quote that has to
move is replaced by one request where the venue has one (spot: the new order is placed only if the old one was cancelled
and nothing of it had traded), moved away from the market in place where the venue does that (USD-M), and else taken
back first, the new one following when the old one is certainly gone. So a side's size bounds what can trade there,
whatever is lost or late; while it is replaced both orders hold what they may need, and the room is for both.

A quote that stands farther from the market than it should can only miss a trade, so it stands until a new one may
be placed; one that stands nearer goes at once.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from trading.domain.orders import OrderIntent, OrderStatus
from trading.domain.planner import WorkingOrder
from trading.domain.strategies import Quotes
from trading.domain.values import Instrument, Market, OrderType, Side, TimeInForce, decimal_of

_ROUNDING: Final = Fraction(1, 1_000_000)
"""Part of a tick or step below which a number is the rounding of a float."""
_CANCELABLE: Final = frozenset({OrderStatus.RESERVED, OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})
_AT_VENUE: Final = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})


class QuoteCode(StrEnum):
    """Why a side does not stand as it was wanted."""

    CUT = "CUT"
    BELOW_VENUE_MINIMUM = "BELOW_VENUE_MINIMUM"
    WOULD_TAKE = "WOULD_TAKE"
    WOULD_MEET_OWN = "WOULD_MEET_OWN"
    CANCEL_FIRST = "CANCEL_FIRST"
    MOVES = "MOVES"
    OUTCOME_PENDING = "OUTCOME_PENDING"
    PACED = "PACED"


@dataclass(frozen=True, slots=True)
class Room:
    """The most each side may show, in steps: what may still be bought, and what may be sold."""

    buy: int
    sell: int

    def __post_init__(self) -> None:
        if self.buy < 0 or self.sell < 0:
            raise ValueError(f"expected room of zero or more, was {self.buy} and {self.sell}")


@dataclass(frozen=True, slots=True)
class Amendment:
    """A working order that is asked to do less: `left` is what it may still trade, in steps.

    `price` is None where it keeps its price and its place, else farther from the market, in ticks.
    """

    client_order_id: str
    left: int
    price: int | None = None


@dataclass(frozen=True, slots=True)
class Replacement:
    """One request that cancels a working order and, only if that succeeded, places another."""

    client_order_id: str
    intent: OrderIntent


@dataclass(slots=True)
class QuotePlan:
    """What to place, to replace, to make smaller and to take back; `notes` say why a side is not as it was wanted."""

    places: list[OrderIntent] = field(default_factory=list)
    replaces: list[Replacement] = field(default_factory=list)
    amends: list[Amendment] = field(default_factory=list)
    cancels: list[str] = field(default_factory=list)
    notes: list[tuple[Side, QuoteCode]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.places or self.replaces or self.amends or self.cancels)

    @property
    def intents(self) -> list[tuple[OrderIntent, str | None]]:
        """Every new order, with the client id of the one it replaces."""
        return [
            *((intent, None) for intent in self.places),
            *((new.intent, new.client_order_id) for new in self.replaces),
        ]


def room(
    instrument: Instrument,
    *,
    held: Decimal,
    capital: Decimal,
    price: Decimal,
    largest: Decimal | None = None,
) -> Room:
    """Return what the sides may show: the holding never grows beyond its capital, no order beyond the largest.

    Parameters
    ----------
    held : signed base quantity of its own, not always whole steps.  price : the middle.
    capital : granted to it, quote currency.  largest : most an order may be worth, quote currency.

    Raises
    ------
    ValueError : the price is not positive, or the capital is negative.
    """
    if price <= 0 or capital < 0:
        raise ValueError(f"expected a positive price and no negative capital, were {price} and {capital}")
    step, most, own = Fraction(instrument.step_size), Fraction(capital) / Fraction(price), Fraction(held)
    least = Fraction(0) if instrument.market is Market.spot else -most
    caps = [instrument.floor_steps(instrument.max_quantity)] if instrument.max_quantity else []
    if largest is not None:
        caps.append(int(Fraction(largest) / Fraction(price) / step))
    buy, sell = max(0, math.floor((most - own) / step)), max(0, math.floor((own - least) / step))
    return Room(min([buy, *caps]), min([sell, *caps]))


def plan_quotes(
    wanted: Quotes | None,
    working: Sequence[WorkingOrder],
    instrument: Instrument,
    *,
    best_bid: Decimal | None,
    best_ask: Decimal | None,
    room: Room,
    paced: Collection[Side] = (),
) -> QuotePlan:
    """Return the fewest steps from what is working to what is wanted.

    Parameters
    ----------
    wanted : None takes everything back.
    working : all orders of the maker on the symbol that may still trade.
    best_bid, best_ask : a quote that would take from the book as it is known here is not placed.
    paced : sides on which the last order was placed too short a time ago for another one.
    """
    plan = QuotePlan()
    for side in (Side.BUY, Side.SELL):
        _side(plan, side, wanted, working, instrument, best_bid, best_ask, room, paced)
    return plan


def quote_numbers(wanted: Quotes | None, side: Side, instrument: Instrument) -> tuple[int, int]:
    """Return a side in ticks and steps, (0, 0) for none; the price is rounded away from the middle, the size down."""
    if wanted is None:
        return 0, 0
    price, size = (
        (wanted.bid_price, wanted.bid_size) if side is Side.BUY else (wanted.ask_price, wanted.ask_size)
    )
    steps = math.floor(Fraction(decimal_of(size)) / Fraction(instrument.step_size) + _ROUNDING)
    ticks = Fraction(decimal_of(price)) / Fraction(instrument.tick_size)
    whole = math.floor(ticks + _ROUNDING) if side is Side.BUY else math.ceil(ticks - _ROUNDING)
    return (whole, steps) if whole > 0 and steps > 0 else (0, 0)


def _side(
    plan: QuotePlan,
    side: Side,
    wanted: Quotes | None,
    working: Sequence[WorkingOrder],
    instrument: Instrument,
    best_bid: Decimal | None,
    best_ask: Decimal | None,
    room: Room,
    paced: Collection[Side],
) -> None:
    own = _without_replaced([order for order in working if order.side is side])
    ticks, steps = quote_numbers(wanted, side, instrument)
    most = room.buy if side is Side.BUY else room.sell
    if steps > most:
        plan.notes.append((side, QuoteCode.CUT))
        steps = most
    if steps and _too_small(instrument, ticks, steps):
        plan.notes.append((side, QuoteCode.BELOW_VENUE_MINIMUM))
        steps = 0
    kept = _kept(own, ticks, steps)
    others = [order for order in own if order is not kept]
    if steps and others and _on_its_way(own, steps):
        plan.notes.append((side, QuoteCode.OUTCOME_PENDING))
        return
    if kept is not None and kept.remaining > steps:
        plan.amends.append(Amendment(kept.client_order_id, steps))
    code = _not_now(side, ticks, working, instrument, best_bid, best_ask, paced) if steps else None
    alone = own[0] if steps and len(own) == 1 == len(others) else None
    if alone is not None and _moved(plan, side, alone, ticks, steps, most, instrument, code):
        return
    if others:
        going = [order.client_order_id for order in others if order.status in _CANCELABLE]
        plan.cancels += going
        if going:
            plan.notes.append((side, QuoteCode.CANCEL_FIRST))
        if len(going) < len(others):
            # SENDING and UNKNOWN orders cannot be called back; they are waited for.
            plan.notes.append((side, QuoteCode.OUTCOME_PENDING))
        return
    if kept is not None or not steps:
        return
    if code is not None:
        plan.notes.append((side, code))
        return
    plan.places.append(_intent(side, ticks, steps, instrument))


def _intent(side: Side, ticks: int, steps: int, instrument: Instrument) -> OrderIntent:
    return OrderIntent(
        symbol=instrument.symbol,
        side=side,
        type=OrderType.LIMIT_MAKER,
        time_in_force=TimeInForce.GTC,
        quantity=steps,
        price=ticks,
        reduce_only=False,
        reason="quote",
    )


def _kept(own: Sequence[WorkingOrder], ticks: int, steps: int) -> WorkingOrder | None:
    """The one order that stands at its price with enough: exact, or at the venue with more than is wanted."""
    for order in own:
        if not steps or order.price != ticks:
            continue
        if order.remaining == steps or (order.remaining > steps and order.status in _AT_VENUE):
            return order
    return None


def _without_replaced(own: Sequence[WorkingOrder]) -> list[WorkingOrder]:
    """Leave out what a working order has replaced: that stands at the venue, so the other one is gone there."""
    gone = {order.replaces for order in own if order.replaces is not None and order.status in _AT_VENUE}
    return [order for order in own if order.client_order_id not in gone]


def _on_its_way(own: Sequence[WorkingOrder], steps: int) -> bool:
    """Whether the side's one new order is about to be sent, or is being, and answers in a moment.

    What it is to replace is left to it. Not so in doubt: then what stands is taken back, whatever comes of the new one.
    """
    coming = [order for order in own if order.status in (OrderStatus.RESERVED, OrderStatus.SENDING)]
    if len(coming) != 1 or coming[0].remaining > steps:
        return False
    return all(order is coming[0] or order.client_order_id == coming[0].replaces for order in own)


def _moved(
    plan: QuotePlan,
    side: Side,
    order: WorkingOrder,
    ticks: int,
    steps: int,
    most: int,
    instrument: Instrument,
    code: QuoteCode | None,
) -> bool:
    """Plan for a side's one order that stands at the venue elsewhere; False where it has to be taken back first."""
    if order.status not in _AT_VENUE or order.price is None or order.is_going:
        return False
    if order.is_changing:
        plan.notes.append((side, QuoteCode.OUTCOME_PENDING))
        return True
    is_near = order.price > ticks if side is Side.BUY else order.price < ticks
    if instrument.market is not Market.spot:
        if is_near:
            plan.amends.append(Amendment(order.client_order_id, min(order.remaining, steps), ticks))
            return True
    elif code is None and order.status is OrderStatus.NEW and order.remaining + steps <= most:
        plan.replaces.append(Replacement(order.client_order_id, _intent(side, ticks, steps, instrument)))
        plan.notes.append((side, QuoteCode.MOVES))
        return True
    if is_near or code is None:
        return False
    if order.remaining > steps:
        plan.amends.append(Amendment(order.client_order_id, steps))
    plan.notes.append((side, code))
    return True


def _too_small(instrument: Instrument, ticks: int, steps: int) -> bool:
    quantity = instrument.quantity(steps)
    return quantity < instrument.min_quantity or quantity * instrument.price(ticks) < instrument.min_notional


def _not_now(
    side: Side,
    ticks: int,
    working: Sequence[WorkingOrder],
    instrument: Instrument,
    best_bid: Decimal | None,
    best_ask: Decimal | None,
    paced: Collection[Side],
) -> QuoteCode | None:
    """Why a quote may not be placed at this moment, None where it may."""
    price, opposite = instrument.price(ticks), best_ask if side is Side.BUY else best_bid
    if opposite is not None and (price >= opposite if side is Side.BUY else price <= opposite):
        return QuoteCode.WOULD_TAKE
    across = [order.price for order in working if order.side is not side]
    if any(other is None or (ticks >= other if side is Side.BUY else ticks <= other) for other in across):
        return QuoteCode.WOULD_MEET_OWN
    return QuoteCode.PACED if side in paced else None
