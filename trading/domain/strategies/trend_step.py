"""`trend_follow` in the subset that compiles: the same rules over rings of numbers instead of tuples."""

from __future__ import annotations

import math
from typing import Any, Final

from trading.domain.strategies.average_true_range import TrueRange, next_true_range
from trading.domain.strategies.channel import channel_after
from trading.domain.strategies.exposure import banded_target
from trading.domain.strategies.trend_rules import drawn_stop, side_shut, sign, stop_was_hit
from trading.domain.strategies.volatility import (
    ReturnSpread,
    annual_volatility,
    next_return_spread,
    volatility_target,
)

HEADER: Final = 11
"""Numbers before the rings: bars taken, channel, target, stop, side shut, true range (3), spread of returns (3)."""
REASONS: Final = ("TREND_LONG", "TREND_SHORT", "STOPPED_OUT", "NO_TREND", "NO_VOLATILITY")


def trend_step(
    params: Any,
    state: Any,
    now_ns: int,
    open_price: float,
    high: float,
    low: float,
    close: float,
    volume: float,
    position: float,
    average_price: float,
    unrealized: float,
) -> tuple[int, float, float, float, float]:
    """Decide as `TrendFollow.step`.

    `params`: entry, exit, weight of the channel, three look-backs, volatility aimed at, its centre of mass, cap,
    band, ATR window, stop in ATR, whether it may be short, bars a year. The rings of highs and lows hold `entry`
    bars, that of closes the longest look-back; bar n is at place n modulo the length.
    """
    entry, leave, longest = int(params[0]), int(params[1]), int(params[5])
    highs, lows, closes = 11, 11 + entry, 11 + 2 * entry
    count = int(state[0])
    reach = TrueRange(int(state[5]), state[6], state[7])
    reach = next_true_range(reach, high, low, close, int(params[10]))
    spread = ReturnSpread(state[8], state[9], state[10])
    if count > 0:
        change = math.log(close / state[closes + (count - 1) % longest])
        spread = next_return_spread(spread, change, params[7])
    code, target, stop = 0, 0.0, 0.0
    if count >= longest and count >= entry and reach.bars > params[10]:
        top = top_near = -math.inf
        bottom = bottom_near = math.inf
        for back in range(1, entry + 1):
            at = (count - back) % entry
            top, bottom = max(top, state[highs + at]), min(bottom, state[lows + at])
            if back == leave:
                top_near, bottom_near = top, bottom
        channel = channel_after(int(state[1]), close, top, bottom, top_near, bottom_near)
        rises = 0
        for k in range(3, 6):
            rises += sign(close - state[closes + (count - int(params[k])) % longest])
        signal = params[2] * channel + (1.0 - params[2]) * (rises / 3.0)
        held = state[2]
        stopped = stop_was_hit(held, state[3], high, low)
        breakout = channel_after(0, close, top, bottom, top_near, bottom_near)
        shut = side_shut(int(state[4]), held, stopped, signal, breakout)
        volatility = annual_volatility(spread, params[13])
        wanted = volatility_target(signal, params[6], volatility, params[8])
        if params[12] == 0.0:
            wanted = max(0.0, wanted)
        if shut != 0 and wanted * shut > 0.0:
            wanted = 0.0
        target = 0.0 if stopped else banded_target(held, wanted, params[9])
        stop = drawn_stop(held, state[3], target, close, reach.value * params[11])
        if target > 0.0:
            code = 1
        elif target < 0.0:
            code = 2
        elif shut != 0:
            code = 3
        else:
            code = 4 if volatility > 0.0 else 5
        state[1], state[2], state[3], state[4] = channel, target, stop, shut
    state[0] = count + 1
    state[5], state[6], state[7] = reach.bars, reach.close, reach.value
    state[8], state[9], state[10] = spread.weight, spread.mean, spread.squares
    state[highs + count % entry], state[lows + count % entry] = high, low
    state[closes + count % longest] = close
    return code, target, stop, 0.0, 0.0
