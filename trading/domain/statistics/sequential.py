"""Tests that may be looked at after every observation: promotion without fooling oneself by peeking.

An e-process starts at 1 and is, on average, at most 1 under the null hypothesis whenever one stops; by
Ville's inequality it ever reaches 1/alpha with probability at most alpha. An ordinary z-test repeated at
each observation promotes 40 % of identical strategies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from trading.domain.statistics import normal
from trading.domain.statistics.figures import FloatArray, finite_array

MINIMUM_OBSERVATIONS: Final = 30
"""Before that the running variance is too uncertain to be used as known."""


@dataclass(frozen=True, slots=True)
class SprtPlan:
    """Wald's test of N(0, 1) against N(delta, 1).

    Attributes
    ----------
    upper, lower : accept H1 when the log likelihood ratio is at or above, H0 when at or below.
    expected_n_h0, expected_n_h1 : mean number of observations to a decision, without overshoot.
    fixed_n : what a test of fixed length with the same errors needs.
    """

    delta: float
    upper: float
    lower: float
    expected_n_h0: float
    expected_n_h1: float
    fixed_n: float


def sprt_plan(delta: float, alpha: float, beta: float) -> SprtPlan:
    """Return the boundaries and expected lengths. Source: Wald (1945), Ann. Math. Stat. 16, 117-186.

    Raises
    ------
    ValueError : delta is 0, or alpha and beta are not positive with a sum below 1.
    """
    if delta == 0 or not (alpha > 0 and beta > 0 and alpha + beta < 1):
        raise ValueError(f"expected delta and errors above 0, sum below 1; were {delta}, {alpha}, {beta}")
    upper, lower = math.log((1.0 - beta) / alpha), math.log(beta / (1.0 - alpha))
    half = delta * delta / 2.0
    h0 = ((1.0 - alpha) * lower + alpha * upper) / -half
    h1 = (beta * lower + (1.0 - beta) * upper) / half
    fixed = ((normal.quantile(1.0 - alpha) + normal.quantile(1.0 - beta)) / delta) ** 2
    return SprtPlan(delta, upper, lower, h0, h1, fixed)


def sprt_increment(plan: SprtPlan, x: float) -> float:
    """Return what one observation adds to the log likelihood ratio: delta x - delta^2 / 2."""
    return plan.delta * x - plan.delta**2 / 2.0


def mixture_rho(v_opt: float, alpha: float, *, one_sided: bool = False) -> float:
    """Return the mixture parameter whose bound is tightest near the intrinsic time `v_opt`.

    rho = v_opt / (2 ln(1/a) + ln(1 + 2 ln(1/a))), a = alpha two-sided, 2 alpha one-sided.
    Source: Howard, Ramdas, McAuliffe & Sekhon (2021), Ann. Stat. 49(2), 1055-1080.

    Raises
    ------
    ValueError : v_opt not positive, or a not between 0 and 1.
    """
    a = 2.0 * alpha if one_sided else alpha
    if not (v_opt > 0 and 0 < a < 1):
        raise ValueError(f"expected v_opt > 0 and an error between 0 and 1, were {v_opt} and {a}")
    double = 2.0 * math.log(1.0 / a)
    return v_opt / (double + math.log1p(double))


def mixture_log_e(s: float, v: float, rho: float, *, one_sided: bool = False) -> float:
    """Return the log e-value of the normal mixture.

    Parameters
    ----------
    s : sum of the differences.  v : variance of one times their number (intrinsic time).
    rho : mixture parameter, same unit as v.  one_sided : only a positive sum is evidence.

    Raises
    ------
    ValueError : v negative or rho not positive.
    """
    if not (v >= 0 and rho > 0):
        raise ValueError(f"expected v >= 0 and rho > 0, were {v} and {rho}")
    total = v + rho
    log_e = 0.5 * math.log(rho / total) + s * s / (2.0 * total)
    if not one_sided:
        return log_e
    return log_e + math.log(2.0) + normal.log_cdf(s / math.sqrt(total))


def mixture_bound(v: float, alpha: float, rho: float, *, one_sided: bool = False) -> float:
    """Return the sum that reaches log e = ln(1/alpha) at intrinsic time v.

    Two-sided in closed form, sqrt((v + rho) ln((v + rho) / (alpha^2 rho))); one-sided by bisection to the
    last bit.

    Raises
    ------
    ValueError : as `mixture_log_e`, or alpha not between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"expected alpha between 0 and 1, was {alpha}")
    if not (v >= 0 and rho > 0):
        raise ValueError(f"expected v >= 0 and rho > 0, were {v} and {rho}")
    total = v + rho
    two_sided = math.sqrt(total * math.log(total / (alpha * alpha * rho)))
    if not one_sided:
        return two_sided
    # The one-sided e-value is at most twice the two-sided, so the root lies at or below the bound of
    # alpha; it grows in s, and at s = 0 it is below 1.
    low, high, wanted = 0.0, two_sided, math.log(1.0 / alpha)
    while True:
        middle = 0.5 * (low + high)
        if middle in (low, high):
            return high
        if mixture_log_e(middle, v, rho, one_sided=True) < wanted:
            low = middle
        else:
            high = middle


def long_run_factor(values: ArrayLike, lags: int) -> float:
    """Return 1 + 2 sum of (1 - j/(lags+1)) rho_j: what autocorrelation multiplies the variance of a sum by.

    Bartlett weights keep it non-negative; at least 1, because negative autocorrelation is not relied on.
    Source: Newey & West (1987), Econometrica 55(3), 703-708.

    Raises
    ------
    ValueError : fewer observations than lags + 2, or negative lags.
    """
    x = finite_array(values, "values")
    if lags < 0 or len(x) < lags + 2:
        raise ValueError(f"expected more than {lags + 1} values and lags of zero or more, were {len(x)}")
    x = x - x.mean()
    power = float(x @ x)
    if power == 0.0:
        return 1.0
    factor = 1.0
    for j in range(1, lags + 1):
        factor += 2.0 * (1.0 - j / (lags + 1.0)) * float(x[j:] @ x[:-j]) / power
    return max(1.0, factor)


@dataclass(frozen=True, slots=True)
class MixtureState:
    """A running one-sided mixture test of paired differences; start with the defaults.

    Attributes
    ----------
    n, mean, m2 : count, mean and sum of squared deviations (Welford).
    best_log_e : the largest log e-value so far; the always-valid p-value is exp(-best_log_e).
    """

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0
    best_log_e: float = 0.0

    @property
    def p_value(self) -> float:
        """The always-valid p-value: the smallest so far, at most 1."""
        return math.exp(-max(0.0, self.best_log_e))


def mixture_observe(
    state: MixtureState, difference: float, *, alpha: float, n_opt: float, variance_factor: float = 1.0
) -> MixtureState:
    """Take one paired difference (challenger minus champion) into the one-sided test.

    The variance is the running one, used from 30 observations on. Promote when
    `best_log_e >= ln(1/alpha)`; swap the sign of the differences to test for harm.

    Parameters
    ----------
    n_opt : number of observations at which the test should be sharpest.
    variance_factor : from `long_run_factor`, for autocorrelated differences; 1 or more.

    Raises
    ------
    ValueError : a difference that is not finite, or a factor below 1.
    """
    if not math.isfinite(difference):
        raise ValueError(f"expected a finite difference, was {difference}")
    if not variance_factor >= 1.0:
        raise ValueError(f"expected a variance factor of 1 or more, was {variance_factor}")
    n = state.n + 1
    delta = difference - state.mean
    mean = state.mean + delta / n
    m2 = state.m2 + delta * (difference - mean)
    state = replace(state, n=n, mean=mean, m2=m2)
    variance = m2 / (n - 1) * variance_factor if n > 1 else 0.0
    if n < MINIMUM_OBSERVATIONS or variance <= 0.0:
        return state
    rho = mixture_rho(n_opt, alpha, one_sided=True)
    # In units of the standard deviation, so that n_opt can be given without knowing the scale.
    log_e = mixture_log_e(n * mean / math.sqrt(variance), n, rho, one_sided=True)
    return replace(state, best_log_e=max(state.best_log_e, log_e))


def confidence_sequence(
    state: MixtureState, *, alpha: float, n_opt: float, variance_factor: float = 1.0
) -> tuple[float, float] | None:
    """Return an interval for the mean difference, valid at all times at once; None before 30 observations."""
    if state.n < MINIMUM_OBSERVATIONS:
        return None
    sd = math.sqrt(state.m2 / (state.n - 1) * variance_factor)
    rho = mixture_rho(n_opt, alpha)
    width = sd * mixture_bound(state.n, alpha, rho) / state.n
    return state.mean - width, state.mean + width


def betting_log_wealth(outcomes: ArrayLike, m0: float) -> FloatArray:
    """Return the log wealth after each bet that the mean of outcomes in [0, 1] exceeds m0, shape (n,).

    Bet i: wealth *= 1 + lambda_i (x_i - m0) with lambda_i = clip((mean - m0) / (var + (mean - m0)^2), 0,
    0.5 / m0) from the past only; mean and variance start from one pseudo-observation 1/2 with variance 1/4.
    Reject when it reaches ln(1/alpha). Source: Waudby-Smith & Ramdas (2024), JRSS B 86(1), 1-27.

    Raises
    ------
    ValueError : m0 not between 0 and 1, or outcomes outside [0, 1].
    """
    x = finite_array(outcomes, "outcomes")
    if not 0 < m0 < 1:
        raise ValueError(f"expected m0 between 0 and 1, was {m0}")
    if ((x < 0) | (x > 1)).any():
        raise ValueError("expected outcomes of 0 to 1")
    wealth = np.empty(len(x))
    total, squares, count, log_wealth = 0.5, 0.25, 1, 0.0
    for i, outcome in enumerate(x.tolist()):
        mean, variance = total / count, squares / count
        edge = mean - m0
        stake = min(max(edge / (variance + edge * edge), 0.0), 0.5 / m0)
        log_wealth += math.log1p(stake * (outcome - m0))
        wealth[i] = log_wealth
        total, count = total + outcome, count + 1
        squares += (outcome - total / count) ** 2
    return wealth


def shared_alpha(alpha: float, challengers: int) -> float:
    """Return the error each of several challengers may use (Bonferroni).

    Raises
    ------
    ValueError : no challenger.
    """
    if challengers < 1:
        raise ValueError(f"expected at least one challenger, was {challengers}")
    return alpha / challengers


def e_benjamini_hochberg(log_e_values: Sequence[float], alpha: float) -> list[int]:
    """Return the positions promoted by e-BH: false discovery rate at most alpha under any dependence.

    The k largest e-values are taken for the largest k whose k-th largest is at least m / (k alpha).
    Source: Wang & Ramdas (2022), JRSS B 84(3), 822-852.
    """
    order = sorted(range(len(log_e_values)), key=lambda i: -log_e_values[i])
    m = len(order)
    for k in range(m, 0, -1):
        if log_e_values[order[k - 1]] >= math.log(m / (k * alpha)):
            return sorted(order[:k])
    return []
