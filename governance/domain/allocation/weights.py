"""Methods that turn what is known of strategies into weights: floats, zero or more, summing to at most 1.

Weights say which share of the pool a strategy should have; `capital.py` turns them into money and applies
every limit. Returns and covariances are per period, all of the same period.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_ROUNDS = 10_000
_SETTLED = 1e-13


class AllocationError(ValueError):
    """The input of an allocation method is unusable; nothing may be allocated from it."""


def equal_weights(n: int) -> FloatArray:
    """Return 1/n for each; empty for none."""
    if n < 0:
        raise AllocationError(f"expected a number of zero or more, was {n}")
    return np.full(n, 1.0 / n) if n else np.zeros(0)


def inverse_volatility(volatilities: ArrayLike) -> FloatArray:
    """Return weights proportional to 1 / volatility, summing to 1.

    Raises
    ------
    AllocationError : a volatility that is not positive and finite: a strategy without risk has no data.
    """
    sigma = _vector(volatilities, "volatilities")
    if not (sigma > 0).all():
        raise AllocationError("expected positive volatilities")
    # Relative to the smallest, so that 1 / 1e-320 cannot overflow.
    inverse = sigma.min() / sigma if len(sigma) else sigma
    return np.asarray(inverse / inverse.sum() if len(sigma) else inverse)


def risk_budget(covariance: ArrayLike, budgets: ArrayLike | None = None) -> FloatArray:
    """Return the weights whose risk contributions w_i (Cw)_i / w'Cw equal the budgets, summing to 1.

    The minimiser of y'Cy/2 - sum b_i ln y_i by cyclical updates, normalised. Without budgets all
    contribute alike (risk parity).

    Parameters
    ----------
    covariance : (N, N), symmetric positive definite.  budgets : (N,), positive; scaled to sum to 1.

    Raises
    ------
    AllocationError : shapes, signs, a covariance that is not positive definite, or no convergence.

    Source: Maillard, Roncalli & Teiletche (2010), J. Portf. Manag. 36(4), 60-70; Griveau-Billion, Richard &
    Roncalli (2013) for the updates.
    """
    c = covariance_matrix(covariance)
    n = len(c)
    b = np.full(n, 1.0 / n) if budgets is None else _vector(budgets, "budgets")
    if len(b) != n or not (b > 0).all():
        raise AllocationError(f"expected {n} positive budgets")
    b = b / b.sum()
    y = 1.0 / np.sqrt(np.diag(c))
    for _ in range(_ROUNDS):
        before = y.copy()
        for i in range(n):
            cross = float(c[i] @ y) - c[i, i] * y[i]
            y[i] = (-cross + math.sqrt(cross * cross + 4.0 * c[i, i] * b[i])) / (2.0 * c[i, i])
        if float(np.max(np.abs(y - before) / y)) < _SETTLED:
            return np.asarray(y / y.sum())
    raise AllocationError("risk budgeting did not settle: the covariance is close to singular")


def risk_contributions(weights: ArrayLike, covariance: ArrayLike) -> FloatArray:
    """Return w_i (Cw)_i / w'Cw, summing to 1.

    Raises
    ------
    AllocationError : a portfolio without variance.
    """
    w, c = _vector(weights, "weights"), covariance_matrix(covariance)
    marginal = c @ w
    variance = float(w @ marginal)
    if variance <= 0:
        raise AllocationError("expected a portfolio with variance")
    return np.asarray(w * marginal / variance)


def kelly_weights(means: ArrayLike, covariance: ArrayLike, fraction: float = 0.25) -> FloatArray:
    """Return fraction x C^-1 mu: unconstrained, may be negative or above 1.

    Parameters
    ----------
    means : (N,), expected net returns, already shrunk.  fraction : 0 to 1; more than a half is for the brave.

    Raises
    ------
    AllocationError : shapes, a fraction outside (0, 1], or a covariance that is not positive definite.

    Source: Thorp (2006), in Handbook of Asset and Liability Management 1, 385-428.
    """
    mu, c = _vector(means, "means"), covariance_matrix(covariance)
    if len(mu) != len(c) or not 0 < fraction <= 1:
        raise AllocationError(f"expected {len(c)} means and a fraction of 0 to 1, was {fraction}")
    return np.asarray(fraction * np.linalg.solve(c, mu))


def capped_kelly(
    means: ArrayLike, covariance: ArrayLike, *, fraction: float = 0.25, cap: float = 1.0
) -> FloatArray:
    """Return Kelly weights fit for allocation: none negative, none above `cap`, sum at most 1.

    Strategies with a negative weight are left out and the rest solved again, so that no hedge is assumed
    which is not held. It never scales up: little edge gets little capital.

    Raises
    ------
    AllocationError : as `kelly_weights`; a fraction above a half; a cap outside (0, 1].
    """
    if not 0 < fraction <= 0.5:
        raise AllocationError(f"expected a fraction of at most a half, was {fraction}")
    if not 0 < cap <= 1:
        raise AllocationError(f"expected a cap of 0 to 1, was {cap}")
    mu, c = _vector(means, "means"), covariance_matrix(covariance)
    weights = np.zeros(len(mu))
    held = np.arange(len(mu))
    while len(held):
        solved = kelly_weights(mu[held], c[np.ix_(held, held)], fraction)
        if (solved >= 0).all():
            weights[held] = np.minimum(solved, cap)
            break
        held = held[solved > 0]
    total = float(weights.sum())
    return weights / total if total > 1.0 else weights


def shrunk_means(means: ArrayLike, observations: ArrayLike, prior_observations: float) -> FloatArray:
    """Return means x n / (n + n0): an estimate from few observations is mostly luck.

    Raises
    ------
    AllocationError : lengths differ, or negative counts.
    """
    mu, n = _vector(means, "means"), _vector(observations, "observations")
    if len(mu) != len(n) or (n < 0).any() or not prior_observations > 0:
        raise AllocationError("expected a count of zero or more for each mean, and a positive prior")
    return np.asarray(mu * n / (n + prior_observations))


def binary_kelly(probability: float, odds: float) -> float:
    """Return p - (1 - p) / b for a bet that pays b to 1; negative when it should not be taken.

    Raises
    ------
    AllocationError : not a probability, or odds that are not positive.
    """
    if not 0 <= probability <= 1 or not odds > 0:
        raise AllocationError(f"expected a probability and positive odds, were {probability} and {odds}")
    return probability - (1.0 - probability) / odds


def kelly_growth_share(fraction: float) -> float:
    """Return which share of the full Kelly growth rate a fraction keeps: c (2 - c); a half keeps 75 %."""
    return fraction * (2.0 - fraction)


def hit_probability(level: float, fraction: float) -> float:
    """Return P(ever falling to `level` of the start) at a fraction of Kelly: level^(2/c - 1).

    Raises
    ------
    AllocationError : a level outside (0, 1] or a fraction outside (0, 2).

    Source: Thorp (2006), eq. 7.4, continuous time.
    """
    if not 0 < level <= 1 or not 0 < fraction < 2:
        raise AllocationError(f"expected a level of 0 to 1 and a fraction below 2: {level}, {fraction}")
    return float(level ** (2.0 / fraction - 1.0))


def with_floor(weights: ArrayLike, floor: float) -> FloatArray:
    """Return w <- floor + (1 - n floor) w: every live strategy keeps a little, the sum does not rise above 1.

    Raises
    ------
    AllocationError : negative weights, a sum above 1, or floors that alone need more than everything.
    """
    w = _vector(weights, "weights")
    if (w < 0).any() or w.sum() > 1 + 1e-9:
        raise AllocationError("expected weights of zero or more that sum to at most 1")
    if not 0 <= floor * len(w) <= 1:
        raise AllocationError(f"{len(w)} floors of {floor} are more than everything")
    return np.asarray(floor + (1.0 - floor * len(w)) * w)


def covariance_matrix(values: ArrayLike) -> FloatArray:
    """Return a symmetric positive definite matrix.

    Raises
    ------
    AllocationError : not square, not finite, not symmetric, or not positive definite.
    """
    c = np.asarray(values, dtype=np.float64)
    if c.ndim != 2 or c.shape[0] != c.shape[1] or not np.isfinite(c).all():
        raise AllocationError(f"expected a finite square covariance, was shape {c.shape}")
    if not np.allclose(c, c.T, rtol=1e-9, atol=0.0):
        raise AllocationError("expected a symmetric covariance")
    try:
        np.linalg.cholesky(c)
    except np.linalg.LinAlgError:
        raise AllocationError("expected a positive definite covariance") from None
    return c


def _vector(values: ArrayLike, name: str) -> FloatArray:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise AllocationError(f"expected finite {name} in one dimension")
    return x
