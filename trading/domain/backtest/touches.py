"""What a bar does to resting orders, on the pessimistic path inside it. Prices in ticks.

A bar says where its prices went, not in which order. Whatever cannot be known is assumed against us: a stop
fills at its price or at the worse open, before a take-profit touched by the same bar; a limit fills at its
own price, and only when the bar traded through it (a touch is not a fill), unless told otherwise.
"""

from __future__ import annotations

import math
from typing import Final

from trading.domain.backtest.arithmetic import PARTS, TARGET_ONE, mul_div, mul_div_up
from trading.domain.backtest.scale import Scale

NOTHING: Final = 0
STOP: Final = 1
TAKE_PROFIT: Final = 2
LIQUIDATED: Final = 3


def stop_fill(side: int, stop: int, bar_open: int, low: int, high: int) -> int:
    """Return the price at which a protective stop of a position trades in a bar, 0 when untouched.

    Parameters
    ----------
    side : +1 for a long position, whose stop lies below; -1 for a short one.
    """
    if stop <= 0:
        return 0
    if side > 0:
        return min(stop, bar_open) if low <= stop else 0
    return max(stop, bar_open) if high >= stop else 0


def limit_fills(side: int, limit: int, low: int, high: int, through: int) -> bool:
    """Tell whether a resting order trades in a bar.

    Parameters
    ----------
    side : of the order, +1 buys.  through : 1 when the bar must trade beyond the limit, 0 for a touch.
    """
    if limit <= 0:
        return False
    if side > 0:
        return low <= limit - through
    return high >= limit + through


def exit_inside(
    side: int, stop: int, take_profit: int, bar_open: int, low: int, high: int, through: int
) -> tuple[int, int]:
    """Return which protective exit of a position trades in a bar, and its price in ticks.

    Returns
    -------
    (NOTHING, 0), (STOP, price) or (TAKE_PROFIT, price).
    """
    price = stop_fill(side, stop, bar_open, low, high)
    if price > 0:
        return STOP, price
    if limit_fills(-side, take_profit, low, high, through):
        return TAKE_PROFIT, take_profit
    return NOTHING, 0


def trailing_stop(side: int, best: int, trail: int, stop: int) -> int:
    """Return the tighter of a fixed stop and a trailing one, rounded away from the market.

    Parameters
    ----------
    best : the best price in ticks since the position was opened, up to the bar before.
    trail : parts of 1e-8 of it; 0 for no trailing.  stop : fixed stop in ticks, 0 for none.
    """
    if trail <= 0 or best <= 0:
        return stop
    if side > 0:
        return max(stop, best - mul_div_up(best, trail, PARTS))
    level = best + mul_div_up(best, trail, PARTS)
    return level if stop <= 0 else min(stop, level)


def liquidation_ticks(scale: Scale, position: int, cash: int, maintenance: int) -> int:
    """Return the price at which the margin of a position is used up, 0 when no price does that.

    Parameters
    ----------
    position : signed steps.  cash : quote units the account would have were the position worth nothing.
    maintenance : rate in parts of 1e-8 of the notional at that price.

    Solves cash + position x p = maintenance x |position| x p. It is the venue's isolated formula,
    (wallet - side q entry) / (q (mmr - side)), because cash = wallet - side q entry. Rounded towards the
    market, so that a bar's extreme never slips past it.
    """
    if position == 0 or (position > 0 and cash >= 0):
        return 0
    per_tick = scale.num * abs(position)
    if position > 0:
        return -(-mul_div_up(-cash * scale.den, PARTS, PARTS - maintenance) // per_tick)
    if cash <= 0:
        return 1
    return max(1, mul_div(cash * scale.den, PARTS, PARTS + maintenance) // per_tick)


def ticks_below(price: float, scale: Scale) -> int:
    """Return a price in whole ticks, rounded down; within a millionth of a tick of the next it is that one."""
    return math.floor(price * scale.tick_den / scale.tick_num + 1e-6)


def ticks_above(price: float, scale: Scale) -> int:
    """Return a price in whole ticks, rounded up, with the tolerance of `ticks_below`."""
    return math.ceil(price * scale.tick_den / scale.tick_num - 1e-6)


def target_parts(target: float, long_only: int) -> int:
    """Return a target in parts of 1e-9, rounded to the nearest; a negative one is 0 where none may be."""
    if target >= 0.0:
        return math.floor(target * TARGET_ONE + 0.5)
    return 0 if long_only == 1 else -math.floor(-target * TARGET_ONE + 0.5)


def protection_ticks(
    side: int, stop: float, take_profit: float, trailing: float, scale: Scale
) -> tuple[int, int, int]:
    """Return (stop, take-profit, trail) of a position as ticks, ticks and parts of 1e-8; 0 is none.

    Rounded away from the market: a stop gives a little more, a take-profit asks a little more.
    """
    below, above = 0, 0
    if side > 0:
        below = ticks_below(stop, scale) if stop > 0.0 else 0
        above = ticks_above(take_profit, scale) if take_profit > 0.0 else 0
    else:
        below = ticks_above(stop, scale) if stop > 0.0 else 0
        above = ticks_below(take_profit, scale) if take_profit > 0.0 else 0
    return below, above, math.floor(trailing * PARTS + 0.5)
