"""What the impact model knows before an order: volume and volatility of the day that has passed."""

from __future__ import annotations

import numpy as np

from trading.domain.backtest.series import BarSeries, FloatArray
from trading.domain.clock import interval_ns


def trailing_day(series: BarSeries, impact: float) -> tuple[FloatArray, FloatArray]:
    """Return volume in steps and volatility over the day before each bar; causal.

    Returns
    -------
    (N,) steps traded in the bars of the day before bar i, bar i itself left out; scaled up to a whole day
    while the history is shorter. (N,) standard deviation of those bars' log returns times the square root
    of the bars in a day; 0.0 while there are fewer than two returns. Both zero where there is no impact.
    """
    size = len(series)
    if impact <= 0.0:
        return np.zeros(size), np.zeros(size)
    bars = max(1, interval_ns("1d") // interval_ns(series.interval))
    steps = series.volume / float(series.instrument.step_size)
    first = np.maximum(np.arange(size) - bars, 0)
    known = np.arange(size) - first
    volume = _sums(steps)
    daily = (volume[np.arange(size)] - volume[first]) * (bars / np.maximum(known, 1))
    returns = np.diff(np.log(series.prices[3]), prepend=np.nan)
    returns[0] = 0.0
    # The return of bar k ends at its close; bar 0 has none.
    start = np.maximum(first, 1)
    count = np.maximum(np.arange(size) - start, 0)
    total, squares = _sums(returns), _sums(returns * returns)
    s, q = total[np.arange(size)] - total[start], squares[np.arange(size)] - squares[start]
    enough = count >= 2
    n = np.where(enough, count, 2)
    variance = np.where(enough, np.maximum(q - s * s / n, 0.0) / (n - 1), 0.0)
    return np.maximum(daily, 0.0), np.sqrt(variance * bars)


def _sums(values: FloatArray) -> FloatArray:
    return np.concatenate(([0.0], np.cumsum(values)))
