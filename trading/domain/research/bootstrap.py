"""Block bootstrap: sampling uncertainty of a statistic of autocorrelated returns."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from trading.domain.statistics.figures import FloatArray, IntArray, finite_array

Kind = Literal["stationary", "circular"]


def circular_block_rows(n: int, block: int, rng: np.random.Generator) -> IntArray:
    """Return n row numbers made of blocks of fixed length that wrap around the end.

    Source: Politis & Romano (1992), in Exploring the Limits of Bootstrap, 263-270.

    Raises
    ------
    ValueError : not 1 <= block <= n.
    """
    if not 1 <= block <= n:
        raise ValueError(f"expected a block of 1 to {n}, was {block}")
    starts = rng.integers(0, n, size=-(-n // block))
    return np.asarray((starts[:, None] + np.arange(block)).reshape(-1)[:n] % n, dtype=np.int64)


def stationary_block_rows(n: int, mean_block: float, rng: np.random.Generator) -> IntArray:
    """Return n row numbers made of blocks of geometric length (mean `mean_block`) that wrap around.

    Source: Politis & Romano (1994), JASA 89(428), 1303-1313.

    Raises
    ------
    ValueError : no rows, or a mean block below 1.
    """
    if n < 1 or not mean_block >= 1:
        raise ValueError(f"expected rows and a mean block of 1 or more, were {n} and {mean_block}")
    fresh = rng.random(n) < 1.0 / mean_block
    fresh[0] = True
    starts = rng.integers(0, n, size=n)
    # Row t continues the block that began at the last fresh position.
    began = np.maximum.accumulate(np.where(fresh, np.arange(n), 0))
    return np.asarray((starts[began] + np.arange(n) - began) % n, dtype=np.int64)


def optimal_block(values: ArrayLike, kind: Kind = "stationary") -> float:
    """Return the block length that minimises the error of the bootstrap variance of the mean.

    Flat-top lag window after the first run of 5 (or sqrt(log10 n)) insignificant autocorrelations; at least 1
    and at most min(3 sqrt(n), n / 3); 1 for series that do not vary.
    Source: Politis & White (2004), Econometric Reviews 23(1), 53-70; corrected by Patton, Politis & White
    (2009), 28(4), 372-375.

    Raises
    ------
    ValueError : not finite.
    """
    x = finite_array(values, "values")
    n = len(x)
    if n < 8:
        return 1.0
    x = x - x.mean()
    power = float(x @ x) / n
    if power <= 0.0:
        return 1.0
    run = max(5, math.ceil(math.sqrt(math.log10(n))))
    most_lags = math.ceil(math.sqrt(n)) + run
    lags = min(most_lags, n - 1)
    covariance = np.array([float(x[lag:] @ x[: n - lag]) / n for lag in range(lags + 1)])
    threshold = 2.0 * math.sqrt(math.log10(n) / n)
    small = np.abs(covariance[1:] / power) < threshold
    m = lags
    for lag in range(lags - run + 1):
        if small[lag : lag + run].all():
            m = max(1, lag)
            break
    window = min(2 * m, lags)
    k = np.arange(-window, window + 1)
    taper = np.minimum(1.0, 2.0 * (1.0 - np.abs(k) / window))
    weighted = taper * covariance[np.abs(k)]
    g = float((np.abs(k) * weighted).sum())
    spectrum = float(weighted.sum())
    d = (2.0 if kind == "stationary" else 4.0 / 3.0) * spectrum * spectrum
    if d <= 0.0 or g == 0.0:
        return 1.0
    length = (2.0 * g * g / d) ** (1.0 / 3.0) * n ** (1.0 / 3.0)
    return float(min(max(length, 1.0), math.ceil(min(3.0 * math.sqrt(n), n / 3.0))))


@dataclass(frozen=True, slots=True)
class Interval:
    """A percentile interval.

    Attributes
    ----------
    estimate : of the data.  low, high : ends of the central interval of probability `level`.
    share_above_zero : of the resampled statistics.  block : (mean) length used.  samples : how many.
    """

    estimate: float
    low: float
    high: float
    level: float
    share_above_zero: float
    block: float
    samples: int


def bootstrap_interval(
    values: ArrayLike,
    statistic: Callable[[FloatArray], float],
    rng: np.random.Generator,
    *,
    kind: Kind = "stationary",
    block: float | None = None,
    samples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Return the percentile interval of a statistic under a block bootstrap.

    Parameters
    ----------
    statistic : (n,) -> finite number.  rng : seeded, for the same answer twice.
    block : (mean) block length; by `optimal_block` where not given.

    Raises
    ------
    ValueError : fewer than two values, samples below 100, a level not between 0 and 1, or a statistic that
        is not finite on some sample.
    """
    x = finite_array(values, "values")
    n = len(x)
    if n < 2 or samples < 100 or not 0 < level < 1:
        raise ValueError(f"expected 2 values, 100 samples and a level of 0 to 1: {n}, {samples}, {level}")
    length = optimal_block(x, kind) if block is None else float(block)
    drawn = np.empty(samples)
    for i in range(samples):
        if kind == "stationary":
            rows = stationary_block_rows(n, length, rng)
        else:
            rows = circular_block_rows(n, max(1, min(n, round(length))), rng)
        drawn[i] = statistic(x[rows])
    if not np.isfinite(drawn).all():
        raise ValueError("the statistic is not finite on every resample")
    low, high = np.quantile(drawn, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(
        float(statistic(x)), float(low), float(high), level, float(np.mean(drawn > 0.0)), length, samples
    )


def mean_over_sd(returns: FloatArray) -> float:
    """Return the Sharpe ratio per observation, 0.0 where the returns do not vary: a resample may be constant."""
    sd = float(returns.std(ddof=1))
    return float(returns.mean()) / sd if sd > 1e-14 else 0.0
