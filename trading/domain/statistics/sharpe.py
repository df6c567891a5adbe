"""Sharpe ratios, and how much of one is luck.

All functions on (sr, n) are in units of ONE observation: mixing an annual ratio with a daily n is the
commonest bug. `annualised` is the only conversion. Skewness and kurtosis are those of `moments.py`
(the normal law has 0 and 3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from numpy.typing import ArrayLike

from trading.domain.statistics import normal
from trading.domain.statistics.figures import Figure, figure, finite_array, is_flat, undefined
from trading.domain.statistics.moments import mean_and_sd

EULER_GAMMA: Final = 0.5772156649015329

_TOO_FEW: Final = "needs at least two observations"
_FLAT: Final = "the returns do not vary"


def sharpe_ratio(returns: ArrayLike) -> Figure:
    """Return mean over standard deviation (n - 1) of excess returns, per observation.

    Undefined for fewer than two observations and for returns that do not vary.
    Source: Sharpe (1994), J. Portf. Manag. 21(1), 49-58.
    """
    x = finite_array(returns, "returns")
    mean, sd = mean_and_sd(x)
    return ratio_of(mean, sd, len(x))


def ratio_of(mean: float, sd: float, n: int) -> Figure:
    """Return mean / sd of n returns, undefined as `sharpe_ratio` says."""
    if n < 2:
        return undefined(_TOO_FEW)
    if is_flat(sd, mean):
        return undefined(_FLAT)
    return figure(mean / sd, _FLAT)


def sortino_ratio(returns: ArrayLike, target: float = 0.0) -> Figure:
    """Return (mean - target) over the downside deviation, per observation.

    Downside deviation = sqrt(mean over ALL observations of min(r - target, 0)^2). Undefined for fewer than
    two observations and when no return is below the target.
    Source: Sortino & Price (1994), J. Investing 3(3), 59-64.
    """
    x = finite_array(returns, "returns") - target
    if len(x) < 2:
        return undefined(_TOO_FEW)
    downside = math.sqrt(float(((x < 0) * x**2).mean()))
    if downside == 0.0:
        return undefined("no return is below the target")
    return figure(float(x.mean()) / downside, "the downside deviation is too small to divide by")


def annualised(ratio: Figure, per_year: float) -> Figure:
    """Return a per-observation ratio scaled by sqrt(observations per year), the rule for independent returns."""
    if ratio.value is None:
        return ratio
    return figure(ratio.value * math.sqrt(per_year), "too large to annualise")


def sharpe_variance_factor(sr: float, skew: float, kurt: float) -> float:
    """Return n - 1 times the variance of an estimated Sharpe ratio: 1 - g3 SR + (g4 - 1)/4 SR^2.

    Source: Mertens (2002); Lo (2002), Financial Analysts Journal 58(4). Positive whenever g4 >= g3^2 + 1,
    which every sample obeys.
    """
    return 1.0 - skew * sr + (kurt - 1.0) / 4.0 * sr * sr


def probabilistic_sharpe(*, sr: float, benchmark: float, n: float, skew: float, kurt: float) -> Figure:
    """Return PSR, the probability that the true Sharpe ratio exceeds the benchmark, given an estimate.

    Parameters
    ----------
    sr, benchmark : per observation.  n : observations.  skew, kurt : of the returns.

    Source: Bailey & Lopez de Prado (2012), J. Risk 15(2), 3-44.
    """
    if n < 2:
        return undefined(_TOO_FEW)
    factor = sharpe_variance_factor(sr, skew, kurt)
    if not factor > 0:
        return undefined(f"skewness {skew:g} and kurtosis {kurt:g} do not belong together")
    return figure(normal.cdf((sr - benchmark) * math.sqrt(n - 1) / math.sqrt(factor)), "not finite")


def expected_maximum(n_trials: float) -> float:
    """Return the expected maximum of N independent standard normals, by the extreme-value approximation.

    (1 - e) z(1 - 1/N) + e z(1 - 1/(N exp 1)), e Euler's constant; 0.0 for one trial. For N = 100 it gives
    2.5306 where simulation gives 2.508: it is an approximation from above.
    Source: Bailey & Lopez de Prado (2014), J. Portf. Manag. 40(5), 94-107.

    Raises
    ------
    ValueError : fewer than one trial.
    """
    if not n_trials >= 1:
        raise ValueError(f"expected at least one trial, was {n_trials}")
    if n_trials == 1:
        return 0.0
    first = normal.quantile(1.0 - 1.0 / n_trials)
    second = normal.quantile(1.0 - 1.0 / (n_trials * math.e))
    # Just above one trial the approximation is negative, and a best of several is never below one.
    return max(0.0, (1.0 - EULER_GAMMA) * first + EULER_GAMMA * second)


@dataclass(frozen=True, slots=True)
class DeflatedSharpe:
    """Attributes
    ----------
    benchmark : SR0, the Sharpe ratio per observation the best of the trials reaches by luck alone.
    probability : DSR = PSR(SR0).
    trials : the number of independent trials it was deflated for.
    """

    benchmark: float
    probability: Figure
    trials: float


def deflated_sharpe(
    *, sr: float, trials_variance: float, n_trials: float, n: float, skew: float, kurt: float
) -> DeflatedSharpe:
    """Return the probability that the best of N trials has a true Sharpe ratio above zero.

    Parameters
    ----------
    sr : of the selected trial, per observation.
    trials_variance : variance of the Sharpe ratios over the trials, per observation (annual / per_year).
    n_trials : effectively independent trials, every one ever run counted.

    Raises
    ------
    ValueError : fewer than one trial, or a negative variance.

    Source: Bailey & Lopez de Prado (2014), J. Portf. Manag. 40(5), 94-107.
    """
    if not trials_variance >= 0:
        raise ValueError(f"expected a variance of zero or more, was {trials_variance}")
    benchmark = math.sqrt(trials_variance) * expected_maximum(n_trials)
    probability = probabilistic_sharpe(sr=sr, benchmark=benchmark, n=n, skew=skew, kurt=kurt)
    return DeflatedSharpe(benchmark, probability, n_trials)


def minimum_track_record(
    *, sr: float, benchmark: float, skew: float, kurt: float, probability: float = 0.95
) -> Figure:
    """Return how many observations make PSR(benchmark) reach the probability (MinTRL).

    Undefined unless the estimate is above the benchmark: then no length is enough.
    Source: Bailey & Lopez de Prado (2012), J. Risk 15(2), 3-44.
    """
    if not sr > benchmark:
        return undefined("the Sharpe ratio is not above the benchmark")
    factor = sharpe_variance_factor(sr, skew, kurt)
    if not factor > 0:
        return undefined(f"skewness {skew:g} and kurtosis {kurt:g} do not belong together")
    length = 1.0 + factor * (normal.quantile(probability) / (sr - benchmark)) ** 2
    return figure(length, "the Sharpe ratio is too close to the benchmark")


def minimum_backtest_years(*, n_trials: float, sr_annual: float) -> float:
    """Return the years below which N skill-less trials are expected to show this annual Sharpe in sample.

    (E[max of N] / SR)^2, below 2 ln N / SR^2.
    Source: Bailey et al. (2014), Notices of the AMS 61(5), 458-471.

    Raises
    ------
    ValueError : fewer than one trial, or a Sharpe ratio that is not positive.
    """
    if not sr_annual > 0:
        raise ValueError(f"expected a positive Sharpe ratio, was {sr_annual}")
    return (expected_maximum(n_trials) / sr_annual) ** 2
