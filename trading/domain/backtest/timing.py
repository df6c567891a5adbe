"""When orders arrive and when funding falls due, as columns over the bars."""

from __future__ import annotations

import numpy as np

from trading.domain.backtest.series import BarSeries, FundingSeries, IntArray
from trading.domain.backtest.settings import Settings


def is_late(settings: Settings) -> bool:
    """Say whether orders arrive later than at the open of the next bar."""
    return bool(settings.latency_bars or settings.latency_ns)


def arrivals(series: BarSeries, settings: Settings) -> IntArray:
    """(N,), the bar at whose open an order decided at the close of each bar arrives; N when there is none."""
    if not is_late(settings):
        return series.following
    size = len(series)
    found = np.arange(1, size + 1, dtype=np.int64) + settings.latency_bars
    if settings.latency_ns:
        due = series.close_ns + settings.latency_ns
        found = np.maximum(found, np.searchsorted(series.open_ns, due, side="left"))
    return np.minimum(found, size)


def funding_ranges(series: BarSeries, funding: FundingSeries) -> IntArray:
    """(N + 1,), the funding times from [i] up to [i + 1] fall after bar i - 1's close, up to bar i's own.

    Those before the first bar concern nobody.
    """
    if not len(funding.times_ns):
        return series.no_rows
    bars = np.searchsorted(series.close_ns, funding.times_ns, side="left")
    started = int(np.searchsorted(funding.times_ns, series.open_ns[0], side="left"))
    first = np.searchsorted(bars, np.arange(len(series) + 1), side="left")
    return np.asarray(np.maximum(first, started), dtype=np.int64)
