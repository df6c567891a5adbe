"""From the quotes a market maker wants to the fewest orders that lead there: placed, made smaller, or taken back.

Level-triggered like the planner of targets: it depends on what is wanted and what is working now, so running it
twice, late or after a crash is harmless. A side never has more than one order: a quote that has to move is taken
back first, and the new one follows when the old one is certainly gone. So a side's size bounds what can trade there,
whatever is lost or late.
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
    """A working order that keeps its price and its place with less; `left` is what it may still trade, in steps."""

    client_order_id: str
    left: int


@dataclass(slots=True)
class QuotePlan:
    """What to place, to make smaller and to take back; `notes` say why a side is not as it was wanted."""

    places: list[OrderIntent] = field(default_factory=list)
    amends: list[Amendment] = field(default_factory=list)
    cancels: list[str] = field(default_factory=list)
    notes: list[tuple[Side, QuoteCode]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.places or self.amends or self.cancels)


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
    own = [order for order in working if order.side is side]
    ticks, steps = quote_numbers(wanted, side, instrument)
    most = room.buy if side is Side.BUY else room.sell
    if steps > most:
        plan.notes.append((side, QuoteCode.CUT))
        steps = most
    if steps and _too_small(instrument, ticks, steps):
        plan.notes.append((side, QuoteCode.BELOW_VENUE_MINIMUM))
        steps = 0
    kept = _kept(own, ticks, steps)
    if kept is not None and kept.remaining > steps:
        plan.amends.append(Amendment(kept.client_order_id, steps))
    others = [order for order in own if order is not kept]
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
    code = _not_now(side, ticks, working, instrument, best_bid, best_ask, paced)
    if code is not None:
        plan.notes.append((side, code))
        return
    plan.places.append(
        OrderIntent(
            symbol=instrument.symbol,
            side=side,
            type=OrderType.LIMIT_MAKER,
            time_in_force=TimeInForce.GTC,
            quantity=steps,
            price=ticks,
            reduce_only=False,
            reason="quote",
        )
    )


def _kept(own: Sequence[WorkingOrder], ticks: int, steps: int) -> WorkingOrder | None:
    """The one order that stands at its price with enough: exact, or at the venue with more than is wanted."""
    for order in own:
        if not steps or order.price != ticks:
            continue
        if order.remaining == steps or (order.remaining > steps and order.status in _AT_VENUE):
            return order
    return None


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
