"""Whether what a strategy said beforehand about whole columns is what its step says bar by bar."""

from __future__ import annotations

from trading.domain.backtest.loop import ArrayStep
from trading.domain.backtest.series import FloatArray
from trading.domain.backtest.tables import CLOSE_NS, Columns, Said


def first_lie(
    step: ArrayStep, params: FloatArray, state: FloatArray, bars: Columns, said: Said, upto: int
) -> int:
    """Return the first of `upto` bars at which a step says something else than what was said for it, or -1."""
    for i in range(min(upto, len(bars.rows))):
        code, target, stop, profit, trail = step(
            params,
            state,
            bars.rows[i, CLOSE_NS],
            bars.p_open[i],
            bars.p_high[i],
            bars.p_low[i],
            bars.p_close[i],
            bars.volume[i],
            0.0,
            0.0,
            0.0,
        )
        if code != said.codes[i] or stop != 0.0 or profit != 0.0 or trail != 0.0:
            return i
        if code != 0 and target != said.targets[code - 1]:
            return i
    return -1
