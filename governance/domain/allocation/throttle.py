"""Drawdown throttle: less capital the deeper the fall, none at the hard limit, and slowly back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from governance.domain.allocation.weights import AllocationError

FIRST_SHARE = 0.1
"""Of their capital, what strategies have again at first after a stop was lifted."""


def drawdown_multiplier(drawdown: float, soft: float, hard: float) -> float:
    """Return clip((hard - drawdown) / (hard - soft), 0, 1): 1 up to soft, 0 from hard on.

    Raises
    ------
    AllocationError : not 0 <= soft < hard, or a drawdown that is negative or not a number.
    """
    if not 0 <= soft < hard:
        raise AllocationError(f"expected 0 <= soft < hard, were {soft} and {hard}")
    if not drawdown >= 0:
        raise AllocationError(f"expected a drawdown of zero or more, was {drawdown}")
    return min(1.0, max(0.0, (hard - drawdown) / (hard - soft)))


@dataclass(frozen=True, slots=True)
class ThrottleState:
    """Attributes
    ----------
    multiplier : in force, 0 to 1.
    stopped : the hard limit was reached; only a person resets it.
    """

    multiplier: float = 1.0
    stopped: bool = False


def throttle_observe(
    state: ThrottleState, drawdown: float, *, soft: float, hard: float, recovery: float = 0.25
) -> ThrottleState:
    """Take a drawdown: cut at once, raise only when the fall has clearly eased.

    The multiplier rises only when it would be right at a drawdown larger by `recovery` x (hard - soft)
    too, so that a drawdown that wavers around a value does not make capital waver with it; at a drawdown of
    zero it is whole again. Reaching the hard limit stops for good.

    Raises
    ------
    AllocationError : as `drawdown_multiplier`, or a recovery outside [0, 1].
    """
    if not 0 <= recovery <= 1:
        raise AllocationError(f"expected a recovery margin of 0 to 1, was {recovery}")
    now = drawdown_multiplier(drawdown, soft, hard)
    if state.stopped or now == 0.0:
        return ThrottleState(0.0, True)
    if now <= state.multiplier:
        return ThrottleState(now, False)
    cautious = 1.0 if drawdown == 0 else drawdown_multiplier(drawdown + recovery * (hard - soft), soft, hard)
    return ThrottleState(max(state.multiplier, cautious), False)


def throttle_reset(state: ThrottleState) -> ThrottleState:
    """Return the state after a person allowed openings again: a stop is lifted, at the lowest step above none."""
    return ThrottleState(FIRST_SHARE, False) if state.stopped else state


@dataclass(frozen=True, slots=True)
class Lifted:
    """A stop that people lifted.

    Attributes
    ----------
    at : when.  peak : largest equity since then, units of 1e-8 quote; deposits and withdrawals move it.
    drawdown : from that peak, 0 to 1.  days : whole days since then.
    moved : of the peak, what came in by deposits so far, less what went out, units of 1e-8 quote.
    """

    at: datetime
    peak: int
    drawdown: float
    days: int
    moved: int = 0

    @property
    def share(self) -> float:
        """Most that is given out again: a tenth at first, a tenth more every day."""
        return min(1.0, FIRST_SHARE * (1 + self.days))


def throttle_lifted(
    state: ThrottleState, drawdown: float, lifted: Lifted, *, soft: float, hard: float, recovery: float = 0.25
) -> ThrottleState:
    """Take a drawdown after people lifted a stop: the fall they accepted stops nothing again, one from there on does.

    Without capital nothing is earned, so the old peak alone would keep a stop for good. Capital comes back a tenth a
    day; what has been won back of the old fall counts as ever, where that is more.

    Raises
    ------
    AllocationError : as `throttle_observe`.
    """
    since = throttle_observe(state, lifted.drawdown, soft=soft, hard=hard, recovery=recovery)
    if since.stopped:
        return since
    multiplier = min(since.multiplier, lifted.share)
    if drawdown < hard:
        ever = throttle_observe(
            ThrottleState(state.multiplier), drawdown, soft=soft, hard=hard, recovery=recovery
        )
        multiplier = max(multiplier, ever.multiplier)
    return ThrottleState(multiplier, False)
