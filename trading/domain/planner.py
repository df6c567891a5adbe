"""From desired states to the smallest set of order intents, like a thermostat.

Level-triggered: the plan depends only on what is wanted, held and working now, so running it twice, late
or after a crash plans nothing twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from trading.domain.apportionment import split_steps
from trading.domain.orders import OPEN, OrderIntent, OrderStatus
from trading.domain.values import (
    Instrument,
    Market,
    OrderType,
    Side,
    TimeInForce,
    decimal_of,
    decimal_text,
    from_units,
)

MAX_CHILDREN: Final = 20
"""At most this many orders per plan; the rest follows when these are done."""

_CANCELABLE: Final = frozenset({OrderStatus.RESERVED, OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})


class PlanCode(StrEnum):
    """Why a plan is not simply "trade the difference"."""

    SPOT_NO_SHORT = "SPOT_NO_SHORT"
    WITHIN_BAND = "WITHIN_BAND"
    WORKING = "WORKING"
    CANCEL_FIRST = "CANCEL_FIRST"
    OUTCOME_PENDING = "OUTCOME_PENDING"
    BELOW_VENUE_MINIMUM = "BELOW_VENUE_MINIMUM"
    UNSELLABLE_DUST = "UNSELLABLE_DUST"
    SLICED = "SLICED"


@dataclass(frozen=True, slots=True)
class Desire:
    """What one strategy wants on this account and symbol.

    Attributes
    ----------
    target : signed fraction of its capital, -1 to 1.
    weight : its share on this symbol.  allocation : capital granted to it, quote currency.
    attributed : base units of the position that are already its own, if known; only for the shares.
    """

    strategy: str
    target: float
    weight: Decimal
    allocation: Decimal
    decision_id: str
    attributed: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.target) and -1 <= self.target <= 1):
            raise ValueError(f"{self.strategy}: expected a target of -1 to 1, was {self.target}")
        for name, value in (("weight", self.weight), ("allocation", self.allocation)):
            if not value.is_finite() or value < 0:
                raise ValueError(f"{self.strategy}: expected a {name} of zero or more, was {value}")


@dataclass(frozen=True, slots=True)
class WorkingOrder:
    """An order of ours on the symbol that may still trade; `remaining` in steps, `price` in ticks.

    `replaces` is the client id of an order that its own request cancels first. `is_going` was asked to be cancelled, or
    nobody knows what became of a change of it; `is_changing` is being amended at this moment.
    """

    client_order_id: str
    side: Side
    remaining: int
    price: int | None
    status: OrderStatus
    replaces: str | None = None
    is_going: bool = False
    is_changing: bool = False

    def __post_init__(self) -> None:
        if self.status not in OPEN:
            raise ValueError(f"order {self.client_order_id} is {self.status}: not working any more")


@dataclass(frozen=True, slots=True)
class Share:
    """How much of the planned quantity is for one strategy's decision, in steps."""

    strategy: str
    decision_id: str
    steps: int


@dataclass(frozen=True, slots=True)
class Note:
    """One thing a person should know about the plan."""

    code: PlanCode
    detail: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to cancel and what to send.

    Attributes
    ----------
    target : base units wanted (a whole number of steps).
    difference : base units still to trade after position and working orders, signed.
    cancels : client order ids.
    shares : exact split of the intents' total over the strategies.
    """

    target: int
    difference: int
    intents: tuple[OrderIntent, ...]
    cancels: tuple[str, ...]
    shares: tuple[Share, ...]
    notes: tuple[Note, ...]


def plan(
    desires: Sequence[Desire],
    position_units: int,
    working: Sequence[WorkingOrder],
    instrument: Instrument,
    price: Decimal,
    *,
    rebalance_band: Decimal,
    max_child_notional: Decimal | None = None,
    net_units: int | None = None,
) -> Plan:
    """Return the smallest set of intents that brings position plus working orders to the target.

    Parameters
    ----------
    position_units : signed base units held, by those the plan is for.
    net_units : all that is held, others' included; what reduces is judged by it. The same where not given.
    price : the bar's close (or the middle of the book for quotes), quote currency.
    rebalance_band : fraction of the target within which price drift alone does not trade; a target of
        zero is always carried out, and so is what one of several strategies decided: its move is no drift when it is
        beyond the band of its own part, however small that part is of the whole.
    max_child_notional : largest order in quote currency at `price`; a larger parent is cut into equal
        orders that never sum to more than it.

    Raises
    ------
    ValueError : the price or the largest order is not positive, or the band is negative.
    """
    if not price.is_finite() or price <= 0:
        raise ValueError(f"expected a positive price, was {price}")
    if not rebalance_band.is_finite() or rebalance_band < 0:
        raise ValueError(f"expected a band of zero or more, was {rebalance_band}")
    if max_child_notional is not None and max_child_notional <= 0:
        raise ValueError(f"expected a positive largest order, was {max_child_notional}")
    notes: list[Note] = []
    step = instrument.step_units
    wanted = [_quantity(desire, instrument, price, notes) for desire in desires]
    total = sum(wanted, start=Fraction(0))
    target = int(total / step) * step  # towards zero: never more than was granted
    difference = target - position_units

    side = Side.BUY if difference > 0 else Side.SELL
    against = [order for order in working if order.side is not side]
    if against:
        cancels = _cancels(against, notes)
        return Plan(target, difference, (), cancels, (), tuple(notes))
    covered = sum(order.remaining for order in working) * step
    if covered > abs(difference):
        cancels = _cancels(_excess(working, abs(difference) // step), notes)
        return Plan(target, difference, (), cancels, (), tuple(notes))

    missing = abs(difference) - covered
    left = side.sign * missing
    if working:
        notes.append(Note(PlanCode.WORKING, f"{_text(covered)} {instrument.base_asset} already working"))
    drifted = Fraction(missing) <= Fraction(rebalance_band) * abs(target)
    if drifted and not (missing >= step and _decided(desires, wanted, instrument, price, rebalance_band)):
        if missing >= step:
            detail = f"{_text(missing)} {instrument.base_asset} is within the band of {rebalance_band}"
            notes.append(Note(PlanCode.WITHIN_BAND, detail))
        return Plan(target, left, (), (), (), tuple(notes))
    steps = _tradable(instrument, missing // step, missing, price, target == 0, notes)
    children = _children(instrument, steps, price, max_child_notional, notes)
    reason = f"target {_text(target)} {instrument.base_asset}, held {_text(position_units)}"
    intents = tuple(
        OrderIntent(
            symbol=instrument.symbol,
            side=side,
            type=OrderType.MARKET,
            time_in_force=TimeInForce.IOC,
            quantity=child,
            price=None,
            reduce_only=_only_reduces(position_units if net_units is None else net_units, side, steps * step),
            reason=reason,
        )
        for child in children
    )
    shares = _shares(desires, wanted, side, sum(children))
    return Plan(target, left, intents, (), shares, tuple(notes))


def crossings(
    desires: Sequence[Desire], instrument: Instrument, price: Decimal, *, rebalance_band: Decimal
) -> tuple[tuple[str, str, int], ...]:
    """Return what strategies that want opposite things may pass to each other instead of both paying the venue.

    Each move is what a strategy wants less what it has, in whole steps towards zero, and none within its band. As much
    crosses as the smaller side moves; both sides share it pro rata, largest remainder.

    Returns
    -------
    (taker, giver, steps), the taker buying.
    """
    up: dict[str, int] = {}
    down: dict[str, int] = {}
    for desire in desires:
        want = _quantity(desire, instrument, price, [])
        move = want - desire.attributed
        if want and abs(move) <= Fraction(rebalance_band) * abs(want):
            continue
        steps = int(move / instrument.step_units)
        if steps:
            side = up if steps > 0 else down
            side[desire.strategy] = side.get(desire.strategy, 0) + abs(steps)
    crossed = min(sum(up.values()), sum(down.values()))
    if not crossed:
        return ()
    takers = dict(zip(up, split_steps(crossed, list(up.values())), strict=True))
    givers = dict(zip(down, split_steps(crossed, list(down.values())), strict=True))
    pairs = []
    for taker, wanted in takers.items():
        left = wanted
        for giver in givers:
            steps = min(left, givers[giver])
            if steps:
                pairs.append((taker, giver, steps))
                left, givers[giver] = left - steps, givers[giver] - steps
    return tuple(pairs)


def _text(units: int) -> str:
    return decimal_text(from_units(units))


def _quantity(desire: Desire, instrument: Instrument, price: Decimal, notes: list[Note]) -> Fraction:
    # Base units wanted by one strategy, exact. On spot a strategy cannot be short, so its negative
    # target becomes zero before netting and never eats into what another strategy wants to hold.
    notional = Fraction(desire.allocation) * Fraction(desire.weight) * Fraction(decimal_of(desire.target))
    if notional < 0 and instrument.market is Market.spot:
        detail = f"{desire.strategy} wants {desire.target:g}; on spot that is 0"
        notes.append(Note(PlanCode.SPOT_NO_SHORT, detail))
        return Fraction(0)
    return notional / Fraction(price) * 10**8


def _decided(
    desires: Sequence[Desire],
    wanted: Sequence[Fraction],
    instrument: Instrument,
    price: Decimal,
    rebalance_band: Decimal,
) -> bool:
    # Whether one of several wants a move beyond the band of its own part, and one the venue would take alone.
    if len(desires) < 2:
        return False
    for desire, want in zip(desires, wanted, strict=True):
        move = abs(want - desire.attributed)
        steps = int(move / instrument.step_units)
        beyond = move > Fraction(rebalance_band) * abs(want)
        if beyond and _tradable(instrument, steps, 0, price, False, []):
            return True
    return False


def _cancels(orders: Sequence[WorkingOrder], notes: list[Note]) -> tuple[str, ...]:
    cancelable = tuple(order.client_order_id for order in orders if order.status in _CANCELABLE)
    if cancelable:
        detail = f"{len(cancelable)} working orders go first, nothing new until they are gone"
        notes.append(Note(PlanCode.CANCEL_FIRST, detail))
    if len(cancelable) < len(orders):
        # SENDING and UNKNOWN orders cannot be called back; they are waited for, never traded against.
        detail = f"{len(orders) - len(cancelable)} orders in flight, nothing new until they are known"
        notes.append(Note(PlanCode.OUTCOME_PENDING, detail))
    return cancelable


def _excess(working: Sequence[WorkingOrder], needed: int) -> list[WorkingOrder]:
    # Keep orders, first come first kept, while they fit; the rest is more than is wanted.
    excess = []
    for order in working:
        if order.remaining <= needed:
            needed -= order.remaining
        else:
            excess.append(order)
    return excess


def _tradable(
    instrument: Instrument, steps: int, missing: int, price: Decimal, leaving: bool, notes: list[Note]
) -> int:
    notional = Fraction(instrument.quantity(steps)) * Fraction(price)
    too_small = (
        steps == 0
        or instrument.quantity(steps) < max(instrument.min_quantity, instrument.market_min_quantity)
        or notional < Fraction(instrument.min_notional)
    )
    if not too_small:
        return steps
    if missing:
        code = PlanCode.UNSELLABLE_DUST if leaving else PlanCode.BELOW_VENUE_MINIMUM
        detail = f"{_text(missing)} {instrument.base_asset} is below the venue's minimum and is left"
        if leaving or steps:
            notes.append(Note(code, detail))
    return 0


def _children(
    instrument: Instrument, steps: int, price: Decimal, largest: Decimal | None, notes: list[Note]
) -> tuple[int, ...]:
    if steps == 0:
        return ()
    per_step = Fraction(instrument.step_size) * Fraction(price)
    limit = steps if largest is None else int(Fraction(largest) / per_step)
    if instrument.max_quantity:
        limit = min(limit, instrument.floor_steps(instrument.max_quantity))
    if instrument.market_max_quantity:
        limit = min(limit, instrument.floor_steps(instrument.market_max_quantity))
    if limit >= steps:
        return (steps,)
    smallest = max(instrument.min_quantity, instrument.market_min_quantity)
    if limit == 0 or instrument.quantity(limit) < smallest or limit * per_step < instrument.min_notional:
        detail = f"the largest order allowed, {largest}, is below the venue's minimum"
        notes.append(Note(PlanCode.BELOW_VENUE_MINIMUM, detail))
        return ()
    count = -(-steps // limit)
    # Equal parts, so that no last crumb falls below the venue's minimum.
    children = (limit,) * MAX_CHILDREN if count > MAX_CHILDREN else split_steps(steps, [1] * count)
    notes.append(Note(PlanCode.SLICED, f"{steps} steps cut into {len(children)} orders"))
    return children


def _only_reduces(position: int, side: Side, quantity: int) -> bool:
    return position * side.sign < 0 and quantity <= abs(position)


def _shares(
    desires: Sequence[Desire], wanted: Sequence[Fraction], side: Side, total: int
) -> tuple[Share, ...]:
    if total == 0:
        return ()
    # Who wants to move this way, and how far; strategies that stay put or move against have no share.
    moves: list[Fraction | Decimal] = [
        max(Fraction(0), side.sign * (want - desire.attributed))
        for desire, want in zip(desires, wanted, strict=True)
    ]
    if not any(moves):
        moves = [desire.allocation * desire.weight for desire in desires]
    if not any(moves):
        moves = [desire.allocation for desire in desires]
    if not any(moves):
        # Nobody was granted anything any more: an exit for all alike.
        moves = [Fraction(1) for _ in desires]
    if not moves:
        return ()
    parts = split_steps(total, moves)
    return tuple(
        Share(desire.strategy, desire.decision_id, part)
        for desire, part in zip(desires, parts, strict=True)
        if part
    )
