"""All statistics of one run in one record."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from trading.domain.clock import NS_PER_S
from trading.domain.statistics.activity import Activity, activity_figures
from trading.domain.statistics.costs import break_even_cost_bps
from trading.domain.statistics.curve import (
    DAY_NS,
    YEAR_NS,
    EquityCurve,
    daily_curve,
    equity_curve,
    periods_per_year,
    simple_returns,
)
from trading.domain.statistics.drawdown import (
    calmar_ratio,
    longest_under_water_ns,
    max_drawdown,
    ulcer_index,
)
from trading.domain.statistics.figures import Figure, FloatArray, figure, undefined
from trading.domain.statistics.moments import Moments, sample_moments
from trading.domain.statistics.risk import historical_tail
from trading.domain.statistics.sharpe import (
    annualised,
    deflated_sharpe,
    minimum_track_record,
    probabilistic_sharpe,
    sharpe_ratio,
    sortino_ratio,
)
from trading.domain.statistics.trades import RoundTrips, TradeFigures, trade_figures

DAILY_MINIMUM: Final = 30
"""From so many full UTC days on, significance is judged on daily returns."""

_TOO_SHORT: Final = "needs at least two points"


@dataclass(frozen=True, slots=True)
class Trials:
    """What a result was chosen from.

    Attributes
    ----------
    count : effectively independent trials, every one ever run counted.
    sharpe_variance : variance over them of the ANNUAL Sharpe ratio.
    """

    count: float
    sharpe_variance: float


@dataclass(frozen=True, slots=True)
class Summary:
    """Statistics of one equity curve; fractions are fractions, money is quote units, times are ns or s.

    Attributes
    ----------
    points : of the curve.  step_ns : median time between them.
    total_return : E_end / E_start - 1.  cagr : (E_end / E_start)^(365 days / span) - 1, from one day on.
    volatility, sharpe, sortino : of the returns per point, annualised with sqrt(points per year).
    sharpe_daily : of UTC daily returns, annualised with sqrt(365).
    calmar : cagr / max_drawdown.  ulcer : root mean square drawdown.
    skew, kurt : of the returns that `basis` names.
    var_95, es_95 : historical, positive losses of one `basis` period.
    basis : "day" with 30 full UTC days or more, else "bar": the returns that psr, dsr, minimum track
        record, skew, kurt, var and es are taken from. Daily returns are nearer to independent.
    observations : how many `basis` returns there are.
    psr : probability that the true Sharpe ratio is above 0.  dsr : the same against the luck of the trials.
    min_track_record_days : span for which psr reaches 95 %.
    fees, funding, slippage : paid, quote units; positive is a cost.
    break_even_cost_bps : cost per traded notional that would have eaten the profit.
    """

    start_ns: int
    end_ns: int
    points: int
    step_ns: int
    start_equity: float
    final_equity: float
    total_return: float
    cagr: Figure
    volatility: Figure
    sharpe: Figure
    sharpe_daily: Figure
    sortino: Figure
    calmar: Figure
    max_drawdown: float
    longest_under_water_s: float
    ulcer: float
    basis: str
    observations: int
    skew: Figure
    kurt: Figure
    var_95: Figure
    es_95: Figure
    best_day: Figure
    worst_day: Figure
    psr: Figure
    dsr: Figure
    dsr_trials: float
    min_track_record_days: Figure
    activity: Activity
    trades: TradeFigures
    fees: float
    funding: float
    slippage: float
    break_even_cost_bps: Figure

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON data: undefined figures are null, and `undefined` says why by dotted name."""
        why: dict[str, str] = {}
        data = _plain(self, "", why)
        data["undefined"] = why
        return dict(data)


def summary(
    times_ns: ArrayLike,
    equity: ArrayLike,
    *,
    exposure: ArrayLike | None = None,
    traded_notional: float | None = None,
    trips: RoundTrips | None = None,
    fees: float = 0.0,
    funding: float = 0.0,
    slippage: float = 0.0,
    trials: Trials | None = None,
) -> Summary:
    """Return every statistic of an equity curve and its trades.

    Parameters
    ----------
    times_ns, equity : (T,), the close of each bar and the equity there, net of all costs; the first point
        is the start. exposure, traded_notional : as `activity_figures`.
    trips : closed round trips.  fees, funding, slippage : totals paid, quote units.
    trials : what this run was selected from; without it the deflated Sharpe ratio is undefined.

    Raises
    ------
    ValueError : bad input, see `equity_curve` and `activity_figures`; or a cost that is not finite.
    """
    if not all(math.isfinite(cost) for cost in (fees, funding, slippage)):
        raise ValueError(f"expected finite costs, were {fees}, {funding} and {slippage}")
    curve = equity_curve(times_ns, equity)
    returns = simple_returns(curve.equity)
    daily = daily_curve(curve)
    daily_returns = simple_returns(daily.equity)
    deepest = max_drawdown(curve.equity)
    per_year = periods_per_year(curve.step_ns) if curve.step_ns else 0.0
    growth = _growth_rate(curve)
    # Bars of a day or longer have nothing to gain from being sampled daily.
    use_days = len(daily_returns) >= DAILY_MINIMUM and curve.step_ns < DAY_NS
    basis_returns, basis_ns = (daily_returns, DAY_NS) if use_days else (returns, curve.step_ns)
    moments = sample_moments(basis_returns)
    significance = _significance(basis_returns, moments, basis_ns, trials)
    daily_sharpe = sharpe_ratio(daily_returns)
    start, final = float(curve.equity[0]), float(curve.equity[-1])
    day_known = len(daily_returns) > 0
    no_day = undefined("there is no full UTC day")
    if traded_notional is None:
        break_even = undefined("the fills were not recorded")
    else:
        break_even = break_even_cost_bps(final - start + fees + slippage + funding, traded_notional)
    return Summary(
        start_ns=int(curve.times_ns[0]),
        end_ns=int(curve.times_ns[-1]),
        points=len(curve.equity),
        step_ns=curve.step_ns,
        start_equity=start,
        final_equity=final,
        total_return=final / start - 1.0,
        cagr=growth,
        volatility=figure(float(returns.std(ddof=1)) * per_year**0.5, "too large")
        if len(returns) > 1
        else undefined("needs at least two returns"),
        sharpe=annualised(sharpe_ratio(returns), per_year),
        sharpe_daily=annualised(daily_sharpe, 365.0),
        sortino=annualised(sortino_ratio(returns), per_year),
        calmar=calmar_ratio(growth, deepest),
        max_drawdown=deepest,
        longest_under_water_s=longest_under_water_ns(curve) / NS_PER_S,
        ulcer=ulcer_index(curve.equity),
        basis="day" if use_days else "bar",
        observations=len(basis_returns),
        best_day=Figure(float(daily_returns.max())) if day_known else no_day,
        worst_day=Figure(float(daily_returns.min())) if day_known else no_day,
        activity=activity_figures(curve, exposure, traded_notional),
        trades=trade_figures(trips if trips is not None else _no_trips()),
        fees=float(fees),
        funding=float(funding),
        slippage=float(slippage),
        break_even_cost_bps=break_even,
        dsr_trials=trials.count if trials else 0.0,
        **significance,
    )


def _growth_rate(curve: EquityCurve) -> Figure:
    if curve.span_ns < DAY_NS:
        return undefined("needs at least a day")
    ratio = float(curve.equity[-1] / curve.equity[0])
    if ratio <= 0:
        return undefined("the account was lost")
    exponent = YEAR_NS / curve.span_ns * math.log(ratio)
    if exponent > 700:  # e^709 is the largest float
        return undefined("too large to annualise")
    return Figure(math.expm1(exponent))


def _significance(
    returns: FloatArray, moments: Moments, step_ns: int, trials: Trials | None
) -> dict[str, Figure]:
    ratio = sharpe_ratio(returns)
    if ratio.value is None:
        none = undefined(ratio.reason)
        tail = historical_tail(returns, 0.95) if moments.n else None
        lost = undefined(_TOO_SHORT)
        return {
            "skew": none,
            "kurt": none,
            "var_95": Figure(tail.var) if tail else lost,
            "es_95": Figure(tail.es) if tail else lost,
            "psr": none,
            "dsr": none,
            "min_track_record_days": none,
        }
    sr, tail = ratio.value, historical_tail(returns, 0.95)
    known = {"skew": moments.skew, "kurt": moments.kurt}
    if trials is None:
        deflated = undefined("the number of trials is not known")
    else:
        per_observation = trials.sharpe_variance / periods_per_year(step_ns)
        deflated = deflated_sharpe(
            sr=sr, trials_variance=per_observation, n_trials=trials.count, n=moments.n, **known
        ).probability
    length = minimum_track_record(sr=sr, benchmark=0.0, **known)
    if length.value is not None:
        length = figure(length.value * step_ns / DAY_NS, "too long")
    return {
        "skew": Figure(moments.skew),
        "kurt": Figure(moments.kurt),
        "var_95": Figure(tail.var),
        "es_95": Figure(tail.es),
        "psr": probabilistic_sharpe(sr=sr, benchmark=0.0, n=moments.n, **known),
        "dsr": deflated,
        "min_track_record_days": length,
    }


def _no_trips() -> RoundTrips:
    none = np.zeros(0, dtype=np.int64)
    return RoundTrips(none, none, np.zeros(0), np.zeros(0))


def _plain(record: Any, path: str, why: dict[str, str]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value, name = getattr(record, field.name), f"{path}{field.name}"
        if isinstance(value, Figure):
            data[field.name] = value.value
            if value.value is None:
                why[name] = value.reason
        elif dataclasses.is_dataclass(value):
            data[field.name] = _plain(value, f"{name}.", why)
        else:
            data[field.name] = value
    return data
