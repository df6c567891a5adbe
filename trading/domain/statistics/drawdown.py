"""Drawdown: 1 - equity / running peak, zero at a peak and positive below it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trading.domain.statistics.curve import EquityCurve
from trading.domain.statistics.figures import Figure, FloatArray, IntArray, figure, finite_array, undefined


def drawdowns(equity: FloatArray) -> FloatArray:
    """Return the drawdown at each point, shape (T,), fractions of the peak; 1.0 or more is a ruin.

    Raises
    ------
    ValueError : not finite, or no positive equity at the start.
    """
    values = finite_array(equity, "equity")
    if len(values) and values[0] <= 0:
        raise ValueError(f"expected positive equity at the start, was {values[0]}")
    return np.asarray(1.0 - values / np.maximum.accumulate(values), dtype=np.float64)


def max_drawdown(equity: FloatArray) -> float:
    """Return the largest drawdown as a fraction; 0.0 for a single point or a curve that never falls."""
    series = drawdowns(equity)
    return float(series.max()) if len(series) else 0.0


@dataclass(frozen=True, slots=True)
class Episode:
    """One fall below a peak. `recovered_ns` is None while it lasts; `depth` a fraction of the peak."""

    peak_ns: int
    trough_ns: int
    recovered_ns: int | None
    depth: float

    def duration_ns(self, end_ns: int) -> int:
        """Time from the peak to the recovery, or to the end of the curve."""
        return (end_ns if self.recovered_ns is None else self.recovered_ns) - self.peak_ns


def drawdown_episodes(curve: EquityCurve, most: int | None = None) -> list[Episode]:
    """Return the falls below a peak, deepest first (equal depths: the earlier first), at most `most`."""
    depth = drawdowns(curve.equity)
    starts, stops = _falls(depth)
    if not len(starts):
        return []
    # Between two falls the depth is zero, so the maximum up to the next start is that of the fall.
    deepest = np.maximum.reduceat(depth, starts)
    order = np.argsort(-deepest, kind="stable")[:most]
    found = []
    for start, stop, depth_here in zip(
        starts[order].tolist(), stops[order].tolist(), deepest[order].tolist(), strict=True
    ):
        trough = start + int(np.argmax(depth[start:stop]))
        recovered = int(curve.times_ns[stop]) if stop < len(depth) else None
        peak = int(curve.times_ns[start - 1])
        found.append(Episode(peak, int(curve.times_ns[trough]), recovered, depth_here))
    return found


def longest_under_water_ns(curve: EquityCurve) -> int:
    """Return the longest time between a peak and the return to it, the last one open ended; ns."""
    starts, stops = _falls(drawdowns(curve.equity))
    if not len(starts):
        return 0
    ends = curve.times_ns[np.minimum(stops, len(curve.times_ns) - 1)]
    return int((ends - curve.times_ns[starts - 1]).max())


def _falls(depth: FloatArray) -> tuple[IntArray, IntArray]:
    """First point below each peak, and the point that is back at it (or the length of the curve)."""
    under = np.concatenate(([False], depth > 0, [False]))
    return np.flatnonzero(~under[:-1] & under[1:]), np.flatnonzero(under[:-1] & ~under[1:])


def ulcer_index(equity: FloatArray) -> float:
    """Return the root mean square of the drawdowns. Source: Martin & McCann (1989)."""
    series = drawdowns(equity)
    return float(np.sqrt(np.mean(series**2))) if len(series) else 0.0


def without_flows(equity: FloatArray, flows: FloatArray) -> FloatArray:
    """Return an equity series of the same returns without deposits and withdrawals.

    A flow changes the account, not its performance: the return of step t is
    (E_t - F_t) / E_t-1 - 1, with F_t what was paid in (positive) or out just before point t.

    Raises
    ------
    ValueError : lengths differ, not finite, a flow at the first point, or equity not positive.
    """
    values, moved = finite_array(equity, "equity"), finite_array(flows, "flows")
    if len(values) != len(moved):
        raise ValueError(f"expected as many flows as equity values, were {len(moved)} and {len(values)}")
    if len(values) == 0:
        return values
    if moved[0] != 0:
        raise ValueError("the first point is the start: expected no flow there")
    if (values[:-1] <= 0).any():
        raise ValueError("expected positive equity before every return")
    growth = (values[1:] - moved[1:]) / values[:-1]
    return np.asarray(values[0] * np.concatenate(([1.0], np.cumprod(growth))), dtype=np.float64)


def calmar_ratio(cagr: Figure, deepest: float) -> Figure:
    """Return the compound annual growth rate over the largest drawdown of the same span.

    Source: Young (1991), Futures 20(1), 40; here over the whole span, not its last 36 months.
    """
    if cagr.value is None:
        return cagr
    if deepest <= 0:
        return undefined("there was no drawdown")
    return figure(cagr.value / deepest, "the drawdown is too small to divide by")
