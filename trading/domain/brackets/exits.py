"""What protection is wanted: stop, take-profits, trail, time. Prices in ticks, shares in basis points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from trading.domain.values import Side

WHOLE: Final = 10_000
"""All of the position, in the basis points that shares are counted in."""


@dataclass(frozen=True, slots=True)
class TakeProfit:
    """One profit target and the share of what was entered that it closes."""

    ticks: int
    share_bps: int = WHOLE


@dataclass(frozen=True, slots=True)
class Exits:
    """Every way out of one net position.

    Attributes
    ----------
    stop : trigger of the stop.  stop_limit : its limit; None is stop-market, which always fills.
    trailing_bps : distance of a trailing stop from the best price.  activation : the price it starts at.
    exit_at_ns : when the position is closed whatever its price.
    """

    stop: int | None = None
    stop_limit: int | None = None
    take_profits: tuple[TakeProfit, ...] = ()
    trailing_bps: int | None = None
    activation: int | None = None
    exit_at_ns: int | None = None

    @property
    def stops(self) -> bool:
        """Whether a loss is bounded: only such a position can be unprotected."""
        return self.stop is not None or self.trailing_bps is not None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is wanted at all."""
        return not self.stops and not self.take_profits and self.exit_at_ns is None


def check_exits(exits: Exits, exit_side: Side, reference: int | None) -> str | None:
    """Return what is wrong with a set of exits, or None.

    Parameters
    ----------
    exit_side : SELL leaves a long position.  reference : the price of the entry in ticks, where there is one.
    """
    sign = -exit_side.sign  # +1 for a long position: profit is above
    shares = [target.share_bps for target in exits.take_profits]
    if any(share <= 0 for share in shares) or sum(shares) > WHOLE:
        return "the shares of the take-profits are positive and together at most the whole"
    prices = [target.ticks for target in exits.take_profits]
    if any((b - a) * sign <= 0 for a, b in pairwise(prices)):
        return "take-profits are listed from the nearest to the farthest"
    if exits.stop_limit is not None:
        if exits.stop is None:
            return "a stop limit needs a stop"
        if (exits.stop_limit - exits.stop) * sign > 0:
            return "the limit of a stop lies beyond its trigger, or it never fills"
    if exits.stop is not None and prices and (prices[0] - exits.stop) * sign <= 0:
        return "the take-profit lies on the wrong side of the stop"
    if reference is not None:
        if exits.stop is not None and (reference - exits.stop) * sign <= 0:
            return "the stop lies on the wrong side of the entry price"
        if prices and (prices[0] - reference) * sign <= 0:
            return "the take-profit lies on the wrong side of the entry price"
    return None


def tightened(before: Exits, wanted: Exits, exit_side: Side) -> Exits:
    """Return the wanted exits, none of whose stops gives more room than before.

    A machine may only tighten: a stop nearer to the market, a shorter trail, an earlier exit.
    """
    sign = -exit_side.sign
    stop, limit = wanted.stop, wanted.stop_limit
    if before.stop is not None and (stop is None or (before.stop - stop) * sign > 0):
        stop, limit = before.stop, before.stop_limit
    trailing, activation = wanted.trailing_bps, wanted.activation
    if before.trailing_bps is not None and (trailing is None or before.trailing_bps < trailing):
        trailing, activation = before.trailing_bps, before.activation
    times = [at for at in (before.exit_at_ns, wanted.exit_at_ns) if at is not None]
    return replace(
        wanted,
        stop=stop,
        stop_limit=limit,
        trailing_bps=trailing,
        activation=activation,
        exit_at_ns=min(times, default=None),
    )


def ratchet(
    exit_side: Side, current: int | None, best: int, trailing_bps: int, *, least_move_bps: int
) -> int | None:
    """Return where a trailing stop kept by us belongs now; it never gives room back.

    Parameters
    ----------
    current : where it is, None at first.  best : the best price since the position was opened, ticks.
    least_move_bps : a smaller improvement is not worth a cancel and a new order.

    As in the backtest, the distance is a fraction of the best price, rounded away from the market.
    """
    distance = -(-best * trailing_bps // WHOLE)
    level = best - distance if exit_side is Side.SELL else best + distance
    if level <= 0:
        return current
    if current is None:
        return level
    gained = (level - current) * -exit_side.sign
    return level if gained * WHOLE > current * least_move_bps else current


def tightest(exit_side: Side, first: int | None, second: int | None) -> int | None:
    """Return the stop nearer to the market of two."""
    known = [level for level in (first, second) if level is not None]
    if not known:
        return None
    return max(known) if exit_side is Side.SELL else min(known)
