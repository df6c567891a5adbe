"""Thompson routing: capital by the probability of being the best, and what is known of that probability."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from governance.domain.allocation.weights import AllocationError, FloatArray

_GRID = np.linspace(-9.0, 9.0, 18_001)


def best_probabilities(means: ArrayLike, deviations: ArrayLike) -> FloatArray:
    """Return P(strategy i has the largest net return) under independent normal posteriors, summing to 1.

    By the trapezoid rule over each posterior's own scale (step 0.001 standard deviations); the error is
    below 1e-6 unless deviations differ by a factor of more than 1000.

    Raises
    ------
    AllocationError : lengths differ, none, not finite, or deviations that are not positive.
    """
    from scipy.special import ndtr

    m, s = np.asarray(means, dtype=np.float64), np.asarray(deviations, dtype=np.float64)
    if m.shape != s.shape or m.ndim != 1 or not len(m):
        raise AllocationError("expected as many deviations as means")
    if not (np.isfinite(m).all() and np.isfinite(s).all() and (s > 0).all()):
        raise AllocationError("expected finite means and positive deviations")
    density = np.exp(-0.5 * _GRID**2)
    found = np.empty(len(m))
    for i in range(len(m)):
        chance = density.copy()
        for j in range(len(m)):
            if j != i:
                chance *= ndtr((m[i] + s[i] * _GRID - m[j]) / s[j])
        found[i] = np.trapezoid(chance)
    return np.asarray(found / found.sum())


def draw_best(means: ArrayLike, deviations: ArrayLike, rng: np.random.Generator) -> int:
    """Return the strategy that is the largest in one draw from each posterior (Thompson 1933).

    Raises
    ------
    AllocationError : lengths differ, none, or deviations below zero.
    """
    m, s = np.asarray(means, dtype=np.float64), np.asarray(deviations, dtype=np.float64)
    if m.shape != s.shape or not len(m) or not (s >= 0).all():
        raise AllocationError("expected as many deviations of zero or more as means")
    return int(np.argmax(rng.normal(m, s)))


def beta_exceeds(a1: float, b1: float, a2: float, b2: float) -> float:
    """Return P(Y > X) for X ~ Beta(a1, b1) and Y ~ Beta(a2, b2), e.g. two win rates.

    The mean of F_X over the quantiles of Y, by adaptive quadrature to 1e-9.

    Raises
    ------
    AllocationError : a parameter that is not positive.
    """
    from scipy.integrate import quad
    from scipy.special import betainc, betaincinv

    if not all(value > 0 for value in (a1, b1, a2, b2)):
        raise AllocationError(f"expected positive parameters, were {a1}, {b1}, {a2}, {b2}")
    chance, _ = quad(
        lambda u: float(betainc(a1, b1, betaincinv(a2, b2, u))), 0.0, 1.0, epsabs=1e-9, limit=200
    )
    return float(np.clip(chance, 0.0, 1.0))


def discounted(total: float, count: float, age_periods: float, half_life: float) -> tuple[float, float]:
    """Return (sum, count) of old evidence after `age_periods`: halved every half-life.

    Raises
    ------
    AllocationError : negative age or a half-life that is not positive.
    """
    if age_periods < 0 or not half_life > 0:
        raise AllocationError(f"expected an age and a positive half-life, were {age_periods}, {half_life}")
    kept = 0.5 ** (age_periods / half_life)
    return total * kept, count * kept
