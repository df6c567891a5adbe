"""Equity and its figures from the fills of one instrument, in one pass: the plain loop, and its machine code.

What `outcomes.py` computes with arrays, for sweeps in which that would cost more than the run itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from trading.domain.statistics.figures import FloatArray, IntArray
from trading.domain.values import UNITS

UNITS_FLOAT: Final = float(UNITS)


def follow_equity(
    fills: IntArray, paid: IntArray, close: IntArray, num: int, den: int, cash: int, equity: FloatArray
) -> tuple[float, float, float]:
    """Write the equity curve and return (mean, sum of squared deviations of the returns, largest drawdown).

    After a ruin the curve is zero and counts for nothing more.

    Parameters
    ----------
    fills, paid : rows of a run's ledger, in order of their bars.  close : (N,), ticks.
    num, den : value of one step at one tick is num / den quote units.  cash : at the start, quote units.
    equity : (N + 1,), written, quote currency.
    """
    bars = close.shape[0]
    position, fill, payment = 0, 0, 0
    last = cash / UNITS_FLOAT
    equity[0] = last
    peak, deepest, total, count = last, 0.0, 0.0, 0
    for bar in range(bars):
        while fill < fills.shape[0] and fills[fill, 3] == bar:
            steps, quote = fills[fill, 4], fills[fill, 6]
            cash -= (quote if steps > 0 else -quote) + fills[fill, 7]
            position += steps
            fill += 1
        while payment < paid.shape[0] and paid[payment, 2] == bar:
            cash -= paid[payment, 5]
            payment += 1
        value = (cash + position * close[bar] * num // den) / UNITS_FLOAT
        if last <= 0.0:
            equity[bar + 1] = 0.0
            continue
        if value <= 0.0:
            value = 0.0
        equity[bar + 1] = value
        total += value / last - 1.0
        count += 1
        if value > peak:
            peak = value
        else:
            depth = 1.0 - value / peak
            if depth > deepest:
                deepest = depth
        last = value
    mean = total / count if count > 0 else 0.0
    squares = 0.0
    for row in range(1, count + 1):
        off = equity[row] / equity[row - 1] - 1.0 - mean
        squares += off * off
    return mean, squares, deepest


Follow = Callable[..., tuple[float, float, float]]


@lru_cache(maxsize=1)
def machine_code() -> Follow:
    """Return `follow_equity` as machine code.

    Raises
    ------
    ImportError : numba is not installed.
    """
    import numba

    types: Any = numba.types
    table, column = types.Array(types.int64, 2, "C"), types.Array(types.int64, 1, "C")
    answer = types.UniTuple(types.float64, 3)
    signature = answer(
        table, table, column, types.int64, types.int64, types.int64, types.Array(types.float64, 1, "C")
    )
    compiled: Follow = numba.njit(signature, cache=True, nogil=True)(follow_equity)
    return compiled


def deviation(squares: float, count: int) -> float:
    """Return the standard deviation (n - 1); 0.0 for fewer than two returns."""
    return math.sqrt(squares / (count - 1)) if count > 1 else 0.0
