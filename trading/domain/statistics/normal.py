"""The standard normal law: its distribution, quantile and the logarithm of its tail."""

from __future__ import annotations

import math
from statistics import NormalDist

_STANDARD = NormalDist()


def cdf(x: float) -> float:
    """Return P(Z <= x); the tail keeps its relative precision, unlike 1 - cdf."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def quantile(p: float) -> float:
    """Return z with P(Z <= z) = p.

    Raises
    ------
    ValueError : p is not strictly between 0 and 1.
    """
    if not 0.0 < p < 1.0:
        raise ValueError(f"expected a probability between 0 and 1, was {p}")
    return _STANDARD.inv_cdf(p)


def density(x: float) -> float:
    """Return the density at x."""
    return math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


def log_cdf(x: float) -> float:
    """Return ln P(Z <= x), finite for every finite x.

    Below -20 by the asymptotic series of Mills' ratio (Abramowitz & Stegun 26.2.12), because `erfc` is zero
    from -38 on; its error is under the first term left out, 945 / x^10 < 1e-10.
    """
    if x > -20.0:
        return math.log(cdf(x))
    square = x * x
    series = -1.0 / square + 3.0 / square**2 - 15.0 / square**3 + 105.0 / square**4
    return -0.5 * square - math.log(-x) - 0.5 * math.log(2.0 * math.pi) + math.log1p(series)
