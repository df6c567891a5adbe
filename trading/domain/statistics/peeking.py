"""The mixture test of paired differences along a whole path: for one canary, or for thousands of simulated ones.

What `sequential.mixture_observe` does one difference at a time and with a given factor is done here for all prefixes
at once, with the variance factor for autocorrelation estimated from the same prefix: none knows what comes later.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from trading.domain.statistics.figures import FloatArray, IntArray
from trading.domain.statistics.sequential import (
    MINIMUM_OBSERVATIONS,
    mixture_bound,
    mixture_log_e,
    mixture_rho,
)

LAGS: Final = 4
"""Autocorrelations looked at; intervals are chosen long enough that later ones are small."""

UPPER_ERRORS: Final = 1.5
"""Standard errors above the first autocorrelation at which its variance is taken."""
MOST_CORRELATED: Final = 0.98
"""Beyond that the factor, 99, has no meaning; a test that needs it decides nothing."""


@dataclass(frozen=True, slots=True)
class Peek:
    """The test after n differences.

    Attributes
    ----------
    log_e : log e-value now, None before 30 differences or while they do not vary.  best : the largest so far, 0 at
        least; the always-valid p-value is exp(-best).
    factor : what autocorrelation multiplied the variance by.  low, high : confidence sequence of the mean difference,
        valid at all times at once with 1 - 2 alpha; None with `log_e`.
    """

    n: int
    mean: float
    log_e: float | None
    best: float
    factor: float
    low: float | None
    high: float | None

    def decides(self, alpha: float) -> bool:
        """Whether the evidence ever reached 1 / alpha."""
        return self.best >= math.log(1.0 / alpha)


def standard_sums(differences: ArrayLike, *, lags: int = LAGS) -> tuple[FloatArray, FloatArray]:
    """Return the sums of differences in units of their corrected running deviation, and the factors.

    Element n - 1 of the last axis is S_n / sqrt(variance_n x factor_n), with the variance (n - 1) and the long-run
    factor of the first n differences alone; NaN before 30 differences and while they do not vary. The factor is the
    larger of two:

    - max(1, 1 + 2 sum_j rho_j) + 2 sqrt(lags / n), j up to `lags`. The lags are not tapered as in `long_run_factor`: a
      taper leaves an eighth of the variance out at rho_1 = 0.4, and with it false promotions above alpha; what is not
      tapered may be negative, and is cut at 1. The last term is the standard error of the estimated sum, since each
      rho_j has one of 1 / sqrt(n) (Bartlett 1946): a path is stopped where its own estimate happens to be small.
    - (1 + u) / (1 - u), the factor of a first-order autoregression, at the upper end u of an interval of rho_1:
      rho_1 + (1 + 3 rho_1) / n, which takes the estimate's downward bias out (Kendall 1954, Biometrika 41, 403-404),
      plus 1.5 standard errors sqrt((1 - rho_1^2) / n). A fixed number of lags leaves a tail of the sum out (a tenth at
      rho_1 = 0.6), and its error grows with rho_1 where the term above does not; alone it promotes by luck in 0.052 of
      canaries at rho_1 = 0.4 and 0.089 at 0.6, with alpha 0.05.

    Parameters
    ----------
    differences : (..., n), paired, challenger minus champion.

    Raises
    ------
    ValueError : not finite, no differences, or negative lags.
    """
    x = np.asarray(differences, dtype=np.float64)
    if x.ndim < 1 or lags < 0:
        raise ValueError(f"expected differences and lags of zero or more, were {x.shape} and {lags}")
    if not np.isfinite(x).all():
        raise ValueError("expected finite differences")
    length = x.shape[-1]
    n = np.arange(1, length + 1, dtype=np.float64)
    sums = np.cumsum(x, axis=-1)
    mean = sums / n
    # About the first difference, so that a large common level does not cancel the deviations away.
    origin = x[..., :1]
    y = x - origin
    shifted = np.cumsum(y, axis=-1)
    m = shifted / n
    power = np.maximum(np.cumsum(y * y, axis=-1) - n * m * m, 0.0)
    factor, first = np.ones_like(x), np.zeros_like(x)
    for lag in range(1, min(lags, length - 1) + 1):
        products = np.zeros_like(x)
        products[..., lag:] = np.cumsum(y[..., lag:] * y[..., :-lag], axis=-1)
        ahead, behind = np.zeros_like(x), np.zeros_like(x)
        ahead[..., lag:] = shifted[..., lag:] - shifted[..., lag - 1 : lag]
        behind[..., lag:] = shifted[..., :-lag]
        covariance = products - m * (ahead + behind) + np.maximum(n - lag, 0.0) * m * m
        with np.errstate(divide="ignore", invalid="ignore"):
            rho = np.where(power > 0.0, covariance / power, 0.0)
        factor += 2.0 * rho
        first = rho if lag == 1 else first
    factor = np.maximum(factor, 1.0) + 2.0 * np.sqrt(lags / n)
    if lags:
        factor = np.maximum(factor, _autoregressive(first, n))
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = np.sqrt(power / np.maximum(n - 1.0, 1.0) * factor)
        # Differences equal up to rounding do not vary.
        varies = (n >= MINIMUM_OBSERVATIONS) & (deviation > 1e-12 * np.maximum(1e-12, np.abs(mean)))
        return np.where(varies, sums / deviation, np.nan), factor


def _autoregressive(rho: FloatArray, n: FloatArray) -> FloatArray:
    """The long-run factor of a first-order autoregression at the upper end of the interval of its coefficient."""
    unbiased = np.clip(rho + (1.0 + 3.0 * rho) / n, -1.0, 1.0)
    upper = unbiased + UPPER_ERRORS * np.sqrt((1.0 - unbiased * unbiased) / n)
    upper = np.clip(upper, 0.0, MOST_CORRELATED)
    return np.asarray((1.0 + upper) / (1.0 - upper), dtype=np.float64)


@lru_cache(maxsize=64)
def _bounds(length: int, alpha: float, n_opt: float) -> FloatArray:
    rho = mixture_rho(n_opt, alpha, one_sided=True)
    found = np.array([mixture_bound(float(n), alpha, rho, one_sided=True) for n in range(1, length + 1)])
    found.flags.writeable = False
    return found


def bounds(length: int, *, alpha: float, n_opt: float) -> FloatArray:
    """Return the standard sum at which the one-sided test decides after 1 .. length differences, (length,)."""
    return _bounds(length, alpha, n_opt)


def first_crossing(differences: ArrayLike, *, alpha: float, n_opt: float, lags: int = LAGS) -> IntArray:
    """Return after how many differences each path first decides for the challenger, 0 where it never does.

    Looking after every difference is allowed: under no difference the probability of ever deciding is at most alpha.

    Parameters
    ----------
    differences : (..., n).  n_opt : number of differences at which the test should be sharpest.

    Raises
    ------
    ValueError : as `standard_sums`, or an alpha not between 0 and 1/2.
    """
    sums, _ = standard_sums(differences, lags=lags)
    over = np.nan_to_num(sums, nan=-np.inf) >= bounds(sums.shape[-1], alpha=alpha, n_opt=n_opt)
    return np.asarray(np.where(over.any(axis=-1), over.argmax(axis=-1) + 1, 0), dtype=np.int64)


def peek(differences: ArrayLike, *, alpha: float, n_opt: float, lags: int = LAGS) -> Peek:
    """Return the test after all of one path's differences, (n,); swap their sign to test for harm.

    Raises
    ------
    ValueError : as `first_crossing`, or differences of more than one path.
    """
    x = np.asarray(differences, dtype=np.float64)
    if x.ndim != 1:
        raise ValueError(f"expected one path of differences, was shape {x.shape}")
    n = len(x)
    if n == 0:
        return Peek(0, 0.0, None, 0.0, 1.0, None, None)
    sums, factors = standard_sums(x, lags=lags)
    logs = _log_e(sums, alpha=alpha, n_opt=n_opt)
    mean, now = float(x.mean()), logs[-1]
    low = high = None
    if now is not None:
        deviation = math.sqrt(float(x.var(ddof=1)) * float(factors[-1]))
        width = deviation * mixture_bound(n, 2.0 * alpha, mixture_rho(n_opt, 2.0 * alpha)) / n
        low, high = mean - width, mean + width
    best = max([0.0, *(value for value in logs if value is not None)])
    return Peek(n, mean, now, best, float(factors[-1]), low, high)


def log_e_path(differences: ArrayLike, *, alpha: float, n_opt: float, lags: int = LAGS) -> list[float | None]:
    """Return the log e-value after each of one path's differences; None before 30 and while they do not vary.

    Raises
    ------
    ValueError : as `peek`.
    """
    x = np.asarray(differences, dtype=np.float64)
    if x.ndim != 1:
        raise ValueError(f"expected one path of differences, was shape {x.shape}")
    return _log_e(standard_sums(x, lags=lags)[0], alpha=alpha, n_opt=n_opt) if len(x) else []


def _log_e(sums: FloatArray, *, alpha: float, n_opt: float) -> list[float | None]:
    rho = mixture_rho(n_opt, alpha, one_sided=True)
    return [
        None if math.isnan(s) else mixture_log_e(float(s), float(at), rho, one_sided=True)
        for at, s in enumerate(sums.tolist(), start=1)
    ]
