"""Results by calendar month and by regime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trading.domain.statistics.curve import EquityCurve, periods_per_year, simple_returns
from trading.domain.statistics.drawdown import max_drawdown
from trading.domain.statistics.figures import Figure, IntArray
from trading.domain.statistics.sharpe import annualised, sharpe_ratio
from trading.domain.statistics.trades import RoundTrips


@dataclass(frozen=True, slots=True)
class MonthRow:
    """One UTC calendar month.

    Attributes
    ----------
    month : "2026-03".  total_return, max_drawdown : fractions within the month, from the last point before it.
    trades : round trips that ended in it.  net : their result, quote units.
    """

    month: str
    total_return: float
    max_drawdown: float
    trades: int
    net: float


def by_month(curve: EquityCurve, trips: RoundTrips | None = None) -> list[MonthRow]:
    """Return a row per month in which a step ended; the months' returns compound to the total.

    A bar that closes at midnight on the first belongs to the month that ends there.
    """
    # One nanosecond earlier, so that the close at midnight falls into the month it ends.
    months = _months(curve.times_ns[1:] - 1)
    rows = []
    exits = _months(trips.exit_ns - 1) if trips is not None else np.zeros(0, dtype=np.int64)
    for month in np.unique(months):
        steps = np.flatnonzero(months == month)
        inside = curve.equity[steps[0] : steps[-1] + 2]
        ended = exits == month
        net = float(trips.net[ended].sum()) if trips is not None else 0.0
        rows.append(
            MonthRow(
                month=str(np.datetime64(int(month), "M")),
                total_return=float(inside[-1] / inside[0] - 1.0),
                max_drawdown=max_drawdown(inside),
                trades=int(ended.sum()),
                net=net,
            )
        )
    return rows


def _months(times_ns: IntArray) -> IntArray:
    """Months since January 1970."""
    return times_ns.astype("datetime64[ns]").astype("datetime64[M]").astype(np.int64)


@dataclass(frozen=True, slots=True)
class RegimeRow:
    """The steps that began in one regime.

    Attributes
    ----------
    regime : its number, -1 where it was not known.  name : for people.
    share : of all steps.  total_return : compounded over the steps, fraction.  sharpe : annual.
    volatility : annual.  mean_bps : mean return per step, bps.
    trades : round trips that were entered in it.  net : their result, quote units.
    """

    regime: int
    name: str
    share: float
    total_return: float
    mean_bps: float
    volatility: Figure
    sharpe: Figure
    trades: int
    net: float


def by_regime(
    curve: EquityCurve,
    regimes: IntArray,
    names: Mapping[int, str] | None = None,
    trips: RoundTrips | None = None,
) -> list[RegimeRow]:
    """Return a row per regime, ordered by number.

    Parameters
    ----------
    regimes : (T,), the regime known at each point of the curve (filtered, never smoothed). The return from
        point t to t + 1 belongs to regime t: what was known when it began. The last entry is not used.
    trips : a trade belongs to the regime at the last point at or before its entry.

    Raises
    ------
    ValueError : as many regimes as points are expected.
    """
    states = np.asarray(regimes, dtype=np.int64)
    if len(states) != len(curve.equity):
        raise ValueError(f"expected {len(curve.equity)} regimes, were {len(states)}")
    if len(states) < 2:
        return []
    returns = simple_returns(curve.equity)
    began = states[:-1]
    per_year = periods_per_year(curve.step_ns)
    entered = np.zeros(0, dtype=np.int64)
    if trips is not None:
        at = np.searchsorted(curve.times_ns, trips.entry_ns, side="right") - 1
        entered = np.where(at >= 0, states[np.maximum(at, 0)], -1)
    rows = []
    for regime in np.unique(np.concatenate((began, entered))).tolist():
        inside = returns[began == regime]
        ratio = sharpe_ratio(inside)
        sd = float(inside.std(ddof=1)) if len(inside) > 1 else None
        mine = entered == regime
        rows.append(
            RegimeRow(
                regime=regime,
                name=(names or {}).get(regime, "unknown" if regime < 0 else f"regime {regime}"),
                share=len(inside) / len(returns),
                total_return=float(np.prod(1.0 + inside) - 1.0),
                mean_bps=float(inside.mean() * 1e4) if len(inside) else 0.0,
                volatility=Figure(sd * per_year**0.5)
                if sd is not None
                else Figure(None, "needs at least two steps"),
                sharpe=annualised(ratio, per_year),
                trades=int(mine.sum()),
                net=float(trips.net[mine].sum()) if trips is not None else 0.0,
            )
        )
    return rows
