"""What the charts of a report draw, as plain JSON data: times are UTC seconds, thinned to what a screen shows."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from trading.domain.clock import NS_PER_S
from trading.domain.report.run import Candles, Execution, Regimes, ReportRun
from trading.domain.report.thinning import group_size, merge_candles, thin_rows
from trading.domain.statistics import daily_curve, drawdowns, simple_returns
from trading.domain.statistics.figures import FloatArray, IntArray

_BINS = 60


def chart_data(run: ReportRun) -> dict[str, Any]:
    """Return equity, drawdown, candles with trades, regime bands and the distribution of returns of a run."""
    return {
        "name": run.name,
        **_curves(run),
        "candles": [_candle_data(candles, run) for candles in run.candles if len(candles.close)],
        "distribution": _distribution(run),
    }


def _curves(run: ReportRun) -> dict[str, Any]:
    equity, depth = run.curve.equity, drawdowns(run.curve.equity)
    # The same rows in both, so that the two charts share one time axis.
    rows = np.union1d(thin_rows(equity), thin_rows(depth))
    return {
        "points": len(equity),
        "equity": _line(run.curve.times_ns, equity, rows),
        "drawdown": _line(run.curve.times_ns, -depth, rows),
    }


def _line(times_ns: IntArray, values: FloatArray, rows: IntArray) -> list[list[float]]:
    # One point per second at most, the last one: the chart's clock has no finer grain.
    seconds = _seconds(times_ns[rows])
    last = np.append(seconds[1:] != seconds[:-1], True)
    return [
        [second, _short(value)]
        for second, value in zip(seconds[last].tolist(), values[rows][last].tolist(), strict=True)
    ]


def _candle_data(candles: Candles, run: ReportRun) -> dict[str, Any]:
    size = group_size(len(candles.close))
    drawn = merge_candles(candles, size)
    seconds = _seconds(drawn.close_ns).tolist()
    columns = [column.tolist() for column in (drawn.open, drawn.high, drawn.low, drawn.close, drawn.volume)]
    mine = [fill for fill in run.executions if fill.symbol == candles.symbol]
    return {
        "symbol": candles.symbol,
        "bars": len(candles.close),
        "each": size,
        "rows": [
            [second, *(_short(value) for value in row)]
            for second, *row in zip(seconds, *columns, strict=True)
        ],
        "trades": _marks(mine, drawn),
        "bands": _bands(run.regimes, run.curve.times_ns, drawn) if run.regimes else [],
    }


def _marks(fills: list[Execution], drawn: Candles) -> list[list[Any]]:
    """(second, buy, quantity, mean price, fills) of each candle and side; fills beyond the last candle are on it."""
    sums: dict[tuple[int, bool], list[float]] = defaultdict(lambda: [0.0, 0.0, 0])
    for fill in fills:
        at = min(int(np.searchsorted(drawn.close_ns, fill.time_ns)), len(drawn.close_ns) - 1)
        entry = sums[(at, fill.quantity > 0)]
        entry[0] += abs(fill.quantity)
        entry[1] += abs(fill.quantity) * fill.price
        entry[2] += 1
    seconds = _seconds(drawn.close_ns)
    return [
        [int(seconds[at]), buy, _short(size), _short(value / size), int(count)]
        for (at, buy), (size, value, count) in sorted(sums.items())
        if size > 0
    ]


def _bands(regimes: Regimes, times_ns: IntArray, drawn: Candles) -> list[list[Any]]:
    """[from second, to second, regime]: what was known at the close of each drawn candle."""
    at = np.searchsorted(times_ns, drawn.close_ns, side="right") - 1
    states = np.where(at >= 0, regimes.states[np.maximum(at, 0)], -1)
    starts = np.flatnonzero(np.concatenate(([True], states[1:] != states[:-1])))
    ends = np.append(starts[1:], len(states) - 1)
    seconds = _seconds(drawn.close_ns)
    return [
        [int(seconds[start]), int(seconds[end]), int(states[start])]
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]


def _distribution(run: ReportRun) -> dict[str, Any] | None:
    """Histogram of the returns that significance is judged on, with the normal law of equal mean and sd."""
    by_day = run.summary.basis == "day"
    returns = simple_returns(daily_curve(run.curve).equity if by_day else run.curve.equity)
    if len(returns) < 2 or returns.min() == returns.max():
        return None
    # The middle 99.8 % get the bins; what lies beyond is counted into the outermost ones.
    low, high = np.quantile(returns, [0.001, 0.999]).tolist()
    if high <= low:
        low, high = float(returns.min()), float(returns.max())
    bins = int(min(_BINS, max(8, 2 * np.sqrt(len(returns)))))
    counts, edges = np.histogram(np.clip(returns, low, high), bins=bins, range=(low, high))
    mean, sd = float(returns.mean()), float(returns.std(ddof=1))
    centres = (edges[1:] + edges[:-1]) / 2
    density = np.exp(-0.5 * ((centres - mean) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
    expected = density * len(returns) * (edges[1] - edges[0])
    return {
        "basis": "daily returns" if by_day else "returns per bar",
        "edges": [_short(edge) for edge in edges.tolist()],
        "counts": counts.tolist(),
        "normal": [_short(value) for value in expected.tolist()],
        "mean": _short(mean),
        "var": None if run.summary.var_95.value is None else _short(-run.summary.var_95.value),
    }


def _seconds(times_ns: IntArray) -> IntArray:
    """The nearest second: a bar that closes at 59.999 is one of the full minute."""
    return np.asarray((times_ns + NS_PER_S // 2) // NS_PER_S, dtype=np.int64)


def _short(value: float) -> float:
    """Eight significant digits: half the size of the file, and more than a screen can show."""
    return float(f"{value:.8g}")
