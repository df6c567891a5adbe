"""Slow bars out of fast ones, and both on one grid of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trading.domain.clock import NS_PER_S
from trading.domain.regime.arrays import BoolArray, FloatArray, IntArray
from trading.domain.regime.errors import FeaturesRefused
from trading.domain.regime.features import BarColumns, FeatureMatrix

_DAY_NS = 86_400 * NS_PER_S


def close_boundaries(close_ns: IntArray, interval_ns: int) -> IntArray:
    """Return the ends of the bars' intervals: the venue stamps a close one millisecond before."""
    return -(-close_ns // interval_ns) * interval_ns


def slow_bars(bars: BarColumns, slow_interval_ns: int) -> BarColumns:
    """Return the complete slow bars inside a series of fast ones, as the venue would have made them.

    A slow bar with a fast one missing is left out. The funding rate is the one in force at the close.

    Raises
    ------
    FeaturesRefused : no whole multiple, an interval over one day (whose alignment is not the epoch's), or
        no complete slow bar.
    """
    if slow_interval_ns % bars.interval_ns or not bars.interval_ns < slow_interval_ns <= _DAY_NS:
        raise FeaturesRefused(
            f"expected a slow interval of up to one day that is a multiple of {bars.interval_ns} ns, "
            f"was {slow_interval_ns}"
        )
    per_slow = slow_interval_ns // bars.interval_ns
    group = (close_boundaries(bars.close_ns, bars.interval_ns) - 1) // slow_interval_ns
    _, first, count = np.unique(group, return_index=True, return_counts=True)
    first = first[count == per_slow]
    if not first.size:
        raise FeaturesRefused(f"{len(bars)} bars hold no complete slow bar of {per_slow}")
    rows = first[:, None] + np.arange(per_slow)[None, :]
    last = rows[:, -1]
    return BarColumns(
        bars.close_ns[last],
        slow_interval_ns,
        bars.high[rows].max(axis=1),
        bars.low[rows].min(axis=1),
        bars.close[last],
        bars.volume[rows].sum(axis=1),
        bars.taker_base[rows].sum(axis=1) if len(bars.taker_base) else bars.taker_base,
        bars.funding[last] if len(bars.funding) else bars.funding,
    )


@dataclass(frozen=True, slots=True, eq=False)
class TwoClockRows:
    """Fast and slow features on the grid of fast bars, holes included.

    Attributes
    ----------
    fast (T, D_fast), fast_seen (T,) : False where a bar is missing or its windows were filling.
    closes : (T,) 1 where a slow bar closes.  slow (J, D_slow), slow_seen (J,) : one row for each close.
    """

    fast: FloatArray
    fast_seen: BoolArray
    closes: FloatArray
    slow: FloatArray
    slow_seen: BoolArray

    def split(self, bars: int) -> tuple[TwoClockRows, TwoClockRows]:
        """Return the first `bars` fast bars and the rest, slow rows with the bar that closes them."""
        slow = int(self.closes[:bars].sum())
        return (
            TwoClockRows(
                self.fast[:bars],
                self.fast_seen[:bars],
                self.closes[:bars],
                self.slow[:slow],
                self.slow_seen[:slow],
            ),
            TwoClockRows(
                self.fast[bars:],
                self.fast_seen[bars:],
                self.closes[bars:],
                self.slow[slow:],
                self.slow_seen[slow:],
            ),
        )


def align_clocks(
    fast: FeatureMatrix, slow: FeatureMatrix, interval_ns: int, slow_interval_ns: int
) -> TwoClockRows:
    """Put fast and slow rows on one grid, from the first fast row to the last.

    Raises
    ------
    FeaturesRefused : no slow bar closes inside the grid.
    """
    first, last = int(fast.close_ns[0]), int(fast.close_ns[-1])
    # Not arange(first, last + 1, step): numpy counts its elements in floats, which do not hold nanoseconds.
    close_ns = first + interval_ns * np.arange((last - first) // interval_ns + 1, dtype=np.int64)
    x, seen = np.zeros((len(close_ns), fast.x.shape[1])), np.zeros(len(close_ns), dtype=np.bool_)
    at = (fast.close_ns - first) // interval_ns
    x[at], seen[at] = fast.x, True
    closes = close_boundaries(close_ns, interval_ns) % slow_interval_ns == 0
    if not closes.any():
        raise FeaturesRefused("no slow bar closes inside the series")
    slow_close_ns = close_ns[closes]
    slow_x, slow_seen = (
        np.zeros((len(slow_close_ns), slow.x.shape[1])),
        np.zeros(len(slow_close_ns), dtype=np.bool_),
    )
    _, here, there = np.intersect1d(slow_close_ns, slow.close_ns, assume_unique=True, return_indices=True)
    slow_x[here], slow_seen[here] = slow.x[there], True
    return TwoClockRows(x, seen, closes.astype(np.float64), slow_x, slow_seen)
