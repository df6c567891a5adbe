"""How a quantity is divided into slices of protection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trading.domain.brackets.exits import WHOLE, Exits
from trading.domain.brackets.facts import Facts, Leg, Role, Slice
from trading.domain.values import Market


def lane_of(piece: Slice, market: Market) -> str:
    """Return what a slice uses up: on spot the coins themselves, on USD-M the right to close the position once.

    Orders of one lane never exceed the position; a stop and a take-profit of USD-M may both cover it, because the
    venue cuts whichever comes second.
    """
    if market is Market.spot:
        return "coins"
    if piece.callback_bps is not None:
        return Role.TRAILING
    return Role.STOP if piece.stop is not None else Role.TAKE_PROFIT


def wanted_slices(facts: Facts, target: int) -> list[Slice]:
    """Divide `target` steps into slices none of which is too small for the venue.

    What is being sold already, at the market or by a stop that has triggered, needs no other protection.
    """
    exits, selling, triggered = facts.exits, being_sold(facts), being_stopped(facts)
    free = max(0, target - sum(selling.values()) - triggered.get("coins", 0))
    parts = _shares(facts, free, selling)
    if facts.market is Market.usdm:
        return _side_by_side(exits, parts, target, triggered)
    slices = [
        Slice(steps, exits.stop, exits.stop_limit, exits.take_profits[index].ticks, index)
        for index, steps in parts
    ]
    rest = free - sum(steps for _, steps in parts)
    if rest and exits.stop is not None:
        slices.append(Slice(rest, exits.stop, exits.stop_limit))
    return _merged(slices, facts)


def being_sold(facts: Facts) -> dict[int, int]:
    """Steps of each take-profit, by its number, that are being closed at the market right now."""
    selling: dict[int, int] = {}
    for leg in facts.legs:
        if leg.is_open and leg.role is Role.EXIT and leg.target is not None:
            selling[leg.target] = selling.get(leg.target, 0) + leg.remaining
    return selling


def being_stopped(facts: Facts) -> dict[str, int]:
    """Steps of each lane that belong to stops which have begun to trade."""
    found: dict[str, int] = {}
    for piece, legs in slices_at_venue(facts.legs):
        if is_trading(legs):
            lane = lane_of(piece, facts.market)
            found[lane] = found.get(lane, 0) + piece.quantity
    return found


def is_trading(legs: Iterable[Leg]) -> bool:
    """Tell whether a slice's stop has begun to trade, which is to say triggered: then it is the exit.

    A take-profit that has lost its stop is not.
    """
    return any(leg.role in (Role.STOP, Role.TRAILING) and leg.executed > 0 for leg in legs)


def tradable(facts: Facts, steps: int, prices: Iterable[int | None]) -> bool:
    """Tell whether the venue takes an order of this size at the lowest of these prices."""
    known = [price for price in prices if price is not None]
    if steps < max(1, facts.min_steps):
        return False
    return not known or min(known) * steps >= facts.min_product


def slices_at_venue(legs: Iterable[Leg]) -> list[tuple[Slice, tuple[Leg, ...]]]:
    """Group open legs as they were sent; the quantity of a slice is what its legs may still trade."""
    groups: dict[int, list[Leg]] = {}
    for leg in legs:
        if leg.is_open and leg.role in (Role.STOP, Role.TAKE_PROFIT, Role.TRAILING):
            groups.setdefault(leg.group, []).append(leg)
    return [(_slice(members), tuple(members)) for _, members in sorted(groups.items())]


def _slice(legs: list[Leg]) -> Slice:
    by_role = {leg.role: leg for leg in legs}
    stop, profit = by_role.get(Role.STOP), by_role.get(Role.TAKE_PROFIT)
    trail = by_role.get(Role.TRAILING)
    return Slice(
        quantity=max(leg.remaining for leg in legs),
        stop=stop.stop if stop else None,
        stop_limit=stop.price if stop else None,
        take_profit=(profit.stop or profit.price) if profit else None,
        target=profit.target if profit else None,
        callback_bps=trail.callback_bps if trail else None,
    )


def _shares(facts: Facts, free: int, selling: Mapping[int, int]) -> list[tuple[int, int]]:
    """(which take-profit, steps): its share of what was entered, less what it has closed or is closing already."""
    targets = facts.exits.take_profits
    taken = (*facts.taken, *[0] * len(targets))
    entered = max(facts.entered, free)
    left, parts = free, []
    for index, profit in enumerate(targets):
        done = taken[index] + selling.get(index, 0)
        steps = min(left, max(0, entered * profit.share_bps // WHOLE - done))
        if steps:
            parts.append((index, steps))
            left -= steps
    if left and parts and sum(profit.share_bps for profit in targets) == WHOLE:
        # What rounding left over belongs to the farthest target that is still open.
        index, steps = parts[-1]
        parts[-1] = (index, steps + left)
    elif left and targets and not parts and sum(profit.share_bps for profit in targets) == WHOLE:
        parts = [(len(targets) - 1, left)]
    return parts


def _side_by_side(
    exits: Exits, parts: list[tuple[int, int]], target: int, triggered: Mapping[str, int]
) -> list[Slice]:
    stop, trail = (target - triggered.get(lane, 0) for lane in (Role.STOP, Role.TRAILING))
    slices = []
    if exits.stop is not None and stop > 0:
        slices.append(Slice(stop, exits.stop, exits.stop_limit))
    if exits.trailing_bps is not None and trail > 0:
        slices.append(Slice(trail, callback_bps=exits.trailing_bps, activation=exits.activation))
    for index, steps in parts:
        slices.append(Slice(steps, take_profit=exits.take_profits[index].ticks, target=index))
    return slices


def _merged(slices: list[Slice], facts: Facts) -> list[Slice]:
    """Join what is too small to stand alone, or is one too many, with its neighbour, the farther where there is one."""
    kept: list[Slice] = []
    carried = 0
    for piece in slices:
        steps = piece.quantity + carried
        if tradable(facts, steps, (piece.stop, piece.stop_limit, piece.take_profit)):
            kept.append(_sized(piece, steps))
            carried = 0
        else:
            carried = steps
    if carried and kept:
        kept[-1] = _sized(kept[-1], kept[-1].quantity + carried)
    # A stop that has triggered keeps its slot until it is done: what has none shares one.
    slots = facts.max_slices - sum(is_trading(legs) for _, legs in slices_at_venue(facts.legs))
    while len(kept) > max(1, slots):
        last = kept.pop()
        kept[-1] = _sized(last, kept[-1].quantity + last.quantity)
    return kept


def _sized(piece: Slice, steps: int) -> Slice:
    return Slice(
        steps,
        piece.stop,
        piece.stop_limit,
        piece.take_profit,
        piece.target,
        piece.callback_bps,
        piece.activation,
    )
