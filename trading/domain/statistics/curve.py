"""An equity curve and the returns in it: per bar, and per UTC day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from trading.domain.clock import NS_PER_S
from trading.domain.statistics.figures import FloatArray, IntArray, finite_array

DAY_NS: Final = 86_400 * NS_PER_S
YEAR_NS: Final = 365 * DAY_NS
"""Crypto markets do not close: a year is 365 days of 24 hours everywhere in these statistics."""


@dataclass(frozen=True, slots=True)
class EquityCurve:
    """Equity over time, adjusted for deposits and withdrawals.

    Attributes
    ----------
    times_ns : (T,), strictly ascending; the close of each bar, the first is the start of the account.
    equity : (T,), quote units; positive except that it may end at or below zero (a ruined account).
    """

    times_ns: IntArray
    equity: FloatArray

    @property
    def span_ns(self) -> int:
        """Time from the first to the last point."""
        return int(self.times_ns[-1] - self.times_ns[0])

    @property
    def step_ns(self) -> int:
        """Median time between points: the bar length, whatever gaps there are. 0 for a single point."""
        return int(np.median(np.diff(self.times_ns))) if len(self.times_ns) > 1 else 0


def equity_curve(times_ns: ArrayLike, equity: ArrayLike) -> EquityCurve:
    """Return a curve after checking it.

    Raises
    ------
    ValueError : lengths differ, empty, not finite, not ascending, or equity at or below zero before its
        last point (returns after a ruin mean nothing).
    """
    values = finite_array(equity, "equity")
    times = np.asarray(times_ns)
    if times.ndim != 1 or not np.issubdtype(times.dtype, np.integer):
        raise ValueError(f"expected whole nanoseconds in one dimension, were {times.dtype} in {times.ndim}")
    times = times.astype(np.int64)
    if len(times) != len(values):
        raise ValueError(f"expected as many times as equity values, were {len(times)} and {len(values)}")
    if len(times) == 0:
        raise ValueError("expected at least one point, were none")
    steps = np.diff(times)
    if (steps <= 0).any():
        at = int(np.argmax(steps <= 0))
        raise ValueError(f"expected ascending times, {times[at + 1]} follows {times[at]}")
    if (values[:-1] <= 0).any():
        at = int(np.argmax(values[:-1] <= 0))
        raise ValueError(f"equity was {values[at]} at position {at} and went on: cut the curve at the ruin")
    if values[0] <= 0:
        raise ValueError(f"expected positive equity at the start, was {values[0]}")
    return EquityCurve(times, values)


def simple_returns(equity: FloatArray) -> FloatArray:
    """Return E_t / E_t-1 - 1, shape (T - 1,)."""
    return np.asarray(equity[1:] / equity[:-1] - 1.0, dtype=np.float64)


def periods_per_year(step_ns: int) -> float:
    """Return how many steps of this length a year of 365 days has.

    Raises
    ------
    ValueError : not positive.
    """
    if step_ns <= 0:
        raise ValueError(f"expected a positive step, was {step_ns}")
    return YEAR_NS / step_ns


def daily_curve(curve: EquityCurve) -> EquityCurve:
    """Return the curve at UTC midnights: the value at or before each, after the first point.

    A bar that closes at midnight exactly belongs to the day it ends. Days are kept only when complete:
    from the first midnight at or after the start to the last at or before the end, so a partial day at
    either side gives no return. A close within a second before midnight is that midnight's: the venue
    stamps the last bar of a day 23:59:59.999. Days without bars repeat the last value, their return is zero.
    """
    first = -(-int(curve.times_ns[0]) // DAY_NS)
    last = (int(curve.times_ns[-1]) + NS_PER_S) // DAY_NS
    if last < first:
        return EquityCurve(curve.times_ns[:1], curve.equity[:1])
    midnights = np.arange(first, last + 1, dtype=np.int64) * DAY_NS
    at = np.searchsorted(curve.times_ns, midnights, side="right") - 1
    return EquityCurve(midnights, curve.equity[at])
