"""What a sweep keeps of each run: a few figures, and returns over common periods to compare runs by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np

from trading.domain.backtest import BacktestResult
from trading.domain.backtest.scale import scale_of
from trading.domain.clock import NS_PER_S, interval_ns
from trading.domain.research.curve_kernel import Follow, deviation
from trading.domain.research.splits import Window
from trading.domain.research.walk_forward import training_scores
from trading.domain.statistics import (
    DAY_NS,
    Figure,
    annualised,
    max_drawdown,
    periods_per_year,
    sharpe_ratio,
    simple_returns,
)
from trading.domain.statistics.figures import FloatArray, IntArray
from trading.domain.statistics.sharpe import ratio_of
from trading.domain.statistics.summary import DAILY_MINIMUM
from trading.domain.values import UNITS

MOST_PERIODS: Final = 720


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One configuration's result; money in quote currency, Sharpe annual, fractions as fractions.

    Attributes
    ----------
    periods : (P,), returns between the rows of `period_rows`, the same periods for every run of a sweep.
    training : (W,), scores on the training parts of a walk-forward; empty in a sweep.
    """

    total_return: float
    final_equity: float
    sharpe: Figure
    max_drawdown: float
    trades: int
    fees: float
    periods: FloatArray
    training: FloatArray = field(default_factory=lambda: np.zeros(0))


def _or_worst(figure: Figure) -> float:
    # No Sharpe ratio means no variation: neither skill nor loss.
    return figure.value or 0.0


SCORES: Final[Mapping[str, Callable[[Outcome], float]]] = MappingProxyType(
    {
        "sharpe": lambda outcome: _or_worst(outcome.sharpe),
        "total_return": lambda outcome: outcome.total_return,
        "max_drawdown": lambda outcome: -outcome.max_drawdown,
        "return_over_drawdown": lambda outcome: outcome.total_return / max(outcome.max_drawdown, 1e-4),
    }
)
"""What "best" may mean; the largest wins. Drawdowns under one basis point count as one."""


def period_rows(times_ns: IntArray) -> IntArray:
    """Return the rows between which runs are compared: UTC midnights from 30 full days on, else even steps.

    A close within a second before midnight is that midnight's. Even steps are at most 720.
    """
    first, last = int(times_ns[0]), int(times_ns[-1]) + NS_PER_S
    midnights = np.arange(-(-first // DAY_NS), last // DAY_NS + 1, dtype=np.int64) * DAY_NS
    if len(midnights) > DAILY_MINIMUM:
        rows = np.searchsorted(times_ns, midnights + NS_PER_S, side="left") - 1
        return np.asarray(np.unique(np.maximum(rows, 0)), dtype=np.int64)
    count = min(len(times_ns), MOST_PERIODS + 1)
    return np.unique(np.linspace(0, len(times_ns) - 1, count).round().astype(np.int64))


def outcome_of(
    result: BacktestResult,
    rows: IntArray,
    windows: Sequence[Window] = (),
    follow: Follow | None = None,
) -> Outcome:
    """Return what a sweep keeps of a run.

    Parameters
    ----------
    rows : of `period_rows` for the run's times.  windows : of a walk-forward over the run's bars.
    follow : machine code to compute a run of one instrument with; the figures are the same to rounding.
    """
    per_year = periods_per_year(interval_ns(result.series[0].interval))
    if follow is None or len(result.series) > 1:
        equity = alive(result.equity / UNITS)
        ratio = sharpe_ratio(simple_returns(equity[: _ruined_at(equity) + 1]))
        deepest = max_drawdown(equity)
    else:
        equity, ratio, deepest = _followed(result, follow)
    final = float(equity[-1])
    bars = period_returns(equity, np.arange(len(equity), dtype=np.int64)) if windows else equity[:0]
    return Outcome(
        total_return=final / float(equity[0]) - 1.0,
        final_equity=final,
        sharpe=annualised(ratio, per_year),
        max_drawdown=deepest,
        trades=_closed_trades(result),
        fees=result.fees / UNITS,
        periods=period_returns(equity, rows),
        training=training_scores(bars, windows),
    )


def _followed(result: BacktestResult, follow: Follow) -> tuple[FloatArray, Figure, float]:
    series, scale = result.series[0], scale_of(result.series[0].instrument)
    equity = np.empty(len(series) + 1)
    tables = (np.ascontiguousarray(table) for table in (result.ledger.fills, result.ledger.funding))
    close = np.ascontiguousarray(series.close)
    mean, squares, deepest = follow(*tables, close, scale.num, scale.den, result.cash, equity)
    count = min(_ruined_at(equity), len(series))
    return equity, ratio_of(mean, deviation(squares, count), count), deepest


def _closed_trades(result: BacktestResult) -> int:
    """How often a position went back to zero or to the other side; the trips themselves are not needed."""
    steps, lanes = result.ledger.column("fills", "steps"), result.ledger.column("fills", "lane")
    count = 0
    for lane in range(len(result.series)):
        after = np.cumsum(steps[lanes == lane])
        before = np.concatenate(([0], after[:-1]))
        count += int(np.count_nonzero((before != 0) & (np.sign(after) != np.sign(before))))
    return count


def alive(equity: FloatArray) -> FloatArray:
    """Return the curve with everything after a ruin at zero: what is lost cannot come back."""
    ruined = _ruined_at(equity)
    if ruined == len(equity):
        return equity
    cut = equity.copy()
    cut[ruined:] = 0.0
    return cut


def period_returns(equity: FloatArray, rows: IntArray) -> FloatArray:
    """Return the returns between rows, (rows - 1,); -1 in the period of a ruin and 0 after it."""
    at = equity[rows]
    before = at[:-1]
    return np.where(before > 0, at[1:] / np.where(before > 0, before, 1.0) - 1.0, 0.0)


def _ruined_at(equity: FloatArray) -> int:
    ruined = equity <= 0
    return int(np.argmax(ruined)) if ruined.any() else len(equity)
