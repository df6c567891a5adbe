"""One decision about one bracket: level-triggered, so that running it twice, late or after a crash is harmless.

Three rules hold whatever the facts. In one lane (the coins of spot; stop, trail and take-profits of USD-M) orders
never exceed the quantity they guard, those in doubt and those whose cancel is not confirmed counted: so there is
never a second live set. Nothing is cancelled to be replaced while its replacement could not be sent. And a stop
that the market has passed without trading becomes an exit at the market.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Final

from trading.domain.brackets.facts import (
    AT_VENUE,
    Amend,
    BracketState,
    Cancel,
    Decision,
    Facts,
    Leg,
    Place,
    Role,
    Slice,
)
from trading.domain.brackets.layout import (
    being_sold,
    is_trading,
    lane_of,
    slices_at_venue,
    tradable,
    wanted_slices,
)
from trading.domain.errors import IllegalTransition
from trading.domain.values import Market, Side

_S = BracketState
_WORKING: Final = frozenset({_S.PENDING, _S.ARMING, _S.PROTECTED, _S.RESIZING, _S.YIELDING})
_ENDING: Final = frozenset({_S.EXITING, _S.CLOSING, _S.DONE})

TRANSITIONS: Final = MappingProxyType(
    {
        **dict.fromkeys(_WORKING, _WORKING | _ENDING),
        # Once closing at the market has begun it is never undone; a late fill of the entry is closed as well.
        _S.EXITING: _ENDING,
        # The entry may still fill, or a fill may come after its cancel: then there is something to protect again.
        _S.CLOSING: _WORKING | _ENDING,
        _S.DONE: frozenset({_S.DONE}),
    }
)


def decide(facts: Facts) -> Decision:
    """Say what a bracket does next.

    Raises
    ------
    IllegalTransition : the facts lead where the table does not.
    """
    decision = _decide(facts)
    if decision.state not in TRANSITIONS[facts.state]:
        raise IllegalTransition(f"a bracket that is {facts.state} cannot become {decision.state}")
    return decision


def stop_reached(facts: Facts) -> bool:
    """Tell whether the market is at or beyond the stop, by the side of the book an exit would trade on."""
    return _beyond(facts, facts.exits.stop)


def _decide(facts: Facts) -> Decision:
    if facts.state is _S.DONE:
        return Decision(_S.DONE, note="it is over")
    if facts.covered == 0:
        return _nothing_held(facts)
    reason = facts.exit_reason or _reason_to_exit(facts)
    if reason:
        return _exit(facts, reason)
    return _protect(facts)


def _nothing_held(facts: Facts) -> Decision:
    """No position: whatever of ours still rests is taken back, and counts until the venue confirms."""
    open_legs = [leg for leg in facts.legs if leg.is_open]
    cancels = tuple(Cancel(leg.key) for leg in open_legs if not leg.cancel_requested)
    over = facts.closing or bool(facts.exit_reason)
    if open_legs:
        state = _S.CLOSING
    elif facts.entry_open:
        state = _S.CLOSING if over else _S.PENDING
    else:
        state = _S.DONE
    if facts.state is _S.EXITING and state is _S.PENDING:
        state = _S.CLOSING
    return Decision(state, (), cancels, over and facts.entry_open, facts.exit_reason)


def _reason_to_exit(facts: Facts) -> str:
    if facts.exits.exit_at_ns is not None and facts.now_ns >= facts.exits.exit_at_ns:
        return "TIME_EXIT"
    if facts.exits.stops and facts.may_place and facts.unprotected_ns >= facts.unprotected_max_ns:
        return "UNPROTECTED_TOO_LONG"
    if stop_reached(facts):
        stops = [leg for leg in facts.legs if leg.is_open and leg.role is Role.STOP]
        if not stops:
            return "STOP_BREACHED"
        if facts.breached_ns >= facts.escalate_ns:
            return "STOP_NOT_FILLED"
    return ""


def _exit(facts: Facts, reason: str) -> Decision:
    """Close at the market. On spot the protection lets go of the coins first; on USD-M it stays until we are flat."""
    open_legs = [leg for leg in facts.legs if leg.is_open]
    exits = [leg for leg in open_legs if leg.role is Role.EXIT]
    guards = [leg for leg in open_legs if leg.role is not Role.EXIT]
    unprotected = _unprotected(facts, facts.covered)
    if not facts.may_place:
        return Decision(_S.EXITING, exit_reason=reason, unprotected=unprotected, note="no orders are allowed")
    frees = facts.market is Market.spot
    cancels = tuple(Cancel(leg.key) for leg in guards if frees and not leg.cancel_requested)
    if not tradable(facts, facts.covered, (facts.bid,)):
        if guards:
            cancels = tuple(Cancel(leg.key) for leg in guards if not leg.cancel_requested)
            return Decision(_S.EXITING, (), cancels, facts.entry_open, reason, note="DUST")
        if facts.entry_open:
            return Decision(_S.EXITING, (), (), True, reason, note="DUST")
        return Decision(_S.EXITING if exits else _S.DONE, exit_reason=reason, note="DUST")
    places: tuple[Place, ...] = ()
    if not exits and facts.wait_ns <= 0 and not (frees and guards):
        places = (Place(Slice(facts.covered), at_market=True),)
    return Decision(
        _S.EXITING,
        places,
        cancels,
        facts.entry_open,
        reason,
        unprotected,
        breached=stop_reached(facts),
    )


def _protect(facts: Facts) -> Decision:
    target = max(0, facts.covered - facts.yielded)
    wanted = wanted_slices(facts, target)
    present = slices_at_venue(facts.legs)
    unprotected = _unprotected(facts, target)
    breached = stop_reached(facts)
    if not wanted and not present:
        if facts.yielded:
            return Decision(_S.YIELDING, unprotected=0, note="all of it stands down for a sale")
        if facts.exits.exit_at_ns is not None and tradable(facts, facts.covered, (facts.bid,)):
            return Decision(_S.PROTECTED, note="only its time will end it")
        if facts.entry_open or facts.exits.is_empty:
            return Decision(_S.PENDING if facts.entry_open else _S.DONE)
        return Decision(_S.DONE, note="DUST")
    keeps = not facts.may_place or facts.wait_ns > 0
    cancels, amends = ((), ()) if keeps and not facts.yielded else _shrinks(facts, wanted, present)
    places = () if keeps else _places(facts, wanted, present, target, cancels)
    return Decision(
        _S.RESIZING if amends and not facts.yielded else _state(facts, present, places, cancels),
        places,
        tuple(Cancel(leg.key) for leg in cancels),
        unprotected=unprotected,
        breached=breached and any(leg.role is Role.STOP for _, legs in present for leg in legs),
        note="" if facts.may_place else "no orders are allowed",
        amends=amends,
    )


Present = list[tuple[Slice, tuple[Leg, ...]]]


def _shrinks(
    facts: Facts, wanted: list[Slice], present: Present
) -> tuple[tuple[Leg, ...], tuple[Amend, ...]]:
    """Legs to take back because they are not wanted, or too many, and those to make smaller in place.

    One amendment where one can do it: so nothing is naked meanwhile. Else the fewest cancels that bring the size down.
    """
    amends: list[Amend] = []
    sizes: dict[tuple[int | None, ...], int] = {}
    for piece in wanted:
        sizes[piece.key] = sizes.get(piece.key, 0) + piece.quantity
    unwanted: list[Leg] = []
    # A stop that is being executed right now is left alone: what it leaves is judged when it is over.
    settled = [(piece, legs) for piece, legs in present if not _leaving(legs) and not is_trading(legs)]
    for key in {piece.key for piece, _ in settled}:
        same = [(piece, legs) for piece, legs in settled if piece.key == key]
        size = sum(piece.quantity for piece, _ in same)
        allowed = sizes.get(key, 0)
        if size > allowed and allowed:
            if any(_amending(legs) for _, legs in same):
                continue  # what comes of it is judged when it is known
            smaller = _amend(facts, same, size - allowed)
            if smaller is not None:
                amends.append(smaller)
                continue
        for piece, legs in sorted(same, key=lambda entry: entry[0].quantity):
            if size <= allowed:
                break
            unwanted.extend(legs)
            size -= piece.quantity
    if not amends:
        unwanted.extend(_to_join(facts, wanted, present, unwanted))
    return tuple(leg for leg in unwanted if not leg.cancel_requested), tuple(amends)


def _amend(facts: Facts, same: Present, excess: int) -> Amend | None:
    """The one slice that can give up all that is too much, the largest."""
    piece, legs = max(same, key=lambda entry: entry[0].quantity)
    left = piece.quantity - excess
    alike = len({(leg.quantity, leg.executed) for leg in legs}) == 1
    if not alike or not all(leg.amendable for leg in legs) or not tradable(facts, left, _prices(piece)):
        return None
    first = min(legs, key=lambda leg: leg.role is Role.TAKE_PROFIT)
    return Amend(first.key, first.executed + left) if left > 0 else None


def _to_join(facts: Facts, wanted: list[Slice], present: Present, unwanted: list[Leg]) -> list[Leg]:
    """Slices that are in the way of what is missing: they are taken back and sent again, larger.

    That is so when the venue has no slot left for another slice, and on spot when each part that is missing is too
    small to be sold by itself although all of them together are not.
    """
    missing: list[tuple[int, Slice]] = []
    resting: dict[tuple[int | None, ...], list[tuple[int, tuple[Leg, ...]]]] = {}
    for piece in wanted:
        same = [
            (other.quantity, legs)
            for other, legs in present
            if other.key == piece.key and not is_trading(legs) and not any(leg in unwanted for leg in legs)
        ]
        resting[piece.key] = same
        lacks = piece.quantity - sum(steps for steps, _ in same)
        if lacks > 0:
            missing.append((lacks, piece))
    if not missing or unwanted or any(_leaving(legs) or _amending(legs) for _, legs in present):
        return []
    full = len(present) >= facts.max_slices
    if not full and any(tradable(facts, lacks, _prices(piece)) for lacks, piece in missing):
        return []
    _, chosen = max(missing, key=lambda entry: entry[0])
    if not tradable(facts, sum(lacks for lacks, _ in missing), _prices(chosen)):
        return []
    if facts.market is Market.usdm and not full:
        return []
    fragmented = [piece for piece in wanted if len(resting[piece.key]) > 1]
    if fragmented and (facts.market is Market.usdm or not resting[chosen.key]):
        # Two for one: the smallest, so that the least is naked meanwhile, and what guards nothing first.
        piece = min(fragmented, key=lambda piece: piece.stop is not None or piece.callback_bps is not None)
        found = sorted(resting[piece.key], key=lambda entry: entry[0])[:2]
    else:
        found = resting[chosen.key]
    return [leg for _, legs in found for leg in legs]


def _prices(piece: Slice) -> tuple[int | None, ...]:
    return piece.stop, piece.stop_limit, piece.take_profit


def _places(
    facts: Facts, wanted: list[Slice], present: Present, target: int, cancels: tuple[Leg, ...]
) -> tuple[Place, ...]:
    """What is missing and has room in its lane. A lane is full until the venue has confirmed what leaves it."""
    used: dict[str, int] = {}
    for piece, _ in present:
        lane = lane_of(piece, facts.market)
        used[lane] = used.get(lane, 0) + piece.quantity
    selling = "coins" if facts.market is Market.spot else str(Role.TAKE_PROFIT)
    used[selling] = used.get(selling, 0) + sum(being_sold(facts).values())
    going = {leg.group for leg in cancels}
    slots = facts.max_slices - len(present)
    lacking: list[Slice] = []
    for piece in wanted:
        staying = sum(
            other.quantity
            for other, legs in present
            if other.key == piece.key
            and not (_leaving(legs) or is_trading(legs))
            and legs[0].group not in going
        )
        missing = piece.quantity - staying
        if missing > 0 and (facts.market is Market.usdm or tradable(facts, missing, _prices(piece))):
            lacking.append(replace(piece, quantity=missing))
    if len(lacking) > slots:  # what guards first, then the largest: the rest is joined to what rests already
        lacking.sort(key=lambda piece: (piece.stop is None and piece.callback_bps is None, -piece.quantity))
    places: list[Place] = []
    for piece in lacking:
        lane = lane_of(piece, facts.market)
        if piece.quantity > target - used.get(lane, 0) or slots <= 0:
            continue
        reached = piece.take_profit is not None and _profit_reached(facts, piece.take_profit)
        places.append(Place(piece, at_market=reached))
        used[lane] = used.get(lane, 0) + piece.quantity
        slots -= 1
    return tuple(places)


def _state(
    facts: Facts,
    present: Present,
    places: tuple[Place, ...],
    cancels: tuple[Leg, ...],
) -> BracketState:
    if facts.yielded:
        return _S.YIELDING
    if cancels or any(_leaving(legs) or _amending(legs) for _, legs in present):
        return _S.RESIZING
    resting = all(leg.status in AT_VENUE for _, legs in present for leg in legs)
    if not places and present and resting and _unprotected(facts, facts.covered) == 0:
        return _S.PROTECTED
    return _S.ARMING


def _unprotected(facts: Facts, target: int) -> int:
    """Steps that are meant to have a stop at the venue and have none; what is too small to sell is not counted."""
    if not facts.exits.stops:
        return 0
    lanes: dict[str, int] = {}
    for piece, legs in slices_at_venue(facts.legs):
        guards = [leg for leg in legs if leg.role is not Role.TAKE_PROFIT and leg.status in AT_VENUE]
        if guards:
            lane = lane_of(piece, facts.market)
            lanes[lane] = lanes.get(lane, 0) + max(leg.remaining for leg in guards)
    missing = max(0, target - max(lanes.values(), default=0))
    return missing if tradable(facts, missing, (facts.exits.stop, facts.exits.stop_limit)) else 0


def _amending(legs: tuple[Leg, ...]) -> bool:
    return any(leg.amending for leg in legs)


def _leaving(legs: tuple[Leg, ...]) -> bool:
    return any(leg.cancel_requested for leg in legs)


def _beyond(facts: Facts, level: int | None) -> bool:
    if level is None:
        return False
    if facts.exit_side is Side.SELL:
        return facts.bid is not None and 0 < facts.bid <= level
    return facts.ask is not None and facts.ask >= level


def _profit_reached(facts: Facts, level: int) -> bool:
    if facts.exit_side is Side.SELL:
        return facts.bid is not None and facts.bid >= level
    return facts.ask is not None and 0 < facts.ask <= level
