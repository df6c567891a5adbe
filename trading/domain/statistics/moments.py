"""Sample moments, with the conventions every other statistic here relies on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trading.domain.statistics.figures import FloatArray, finite_array, is_flat


@dataclass(frozen=True, slots=True)
class Moments:
    """Of n observations.

    Attributes
    ----------
    mean : arithmetic.
    sd : with n - 1 in the denominator; 0.0 for fewer than two observations.
    skew : m3 / m2^1.5 with central moments over n; 0.0 where there is no variation.
    kurt : m4 / m2^2, the normal law has 3; 3.0 where there is no variation.
    flat : no variation beyond rounding, so that no ratio to `sd` means anything.
    """

    n: int
    mean: float
    sd: float
    skew: float
    kurt: float
    flat: bool


def sample_moments(values: ArrayLike) -> Moments:
    """Return the moments of finite observations.

    Raises
    ------
    ValueError : not one-dimensional, or not finite.
    """
    x = finite_array(values, "observations")
    n = len(x)
    if n == 0:
        return Moments(0, 0.0, 0.0, 0.0, 3.0, True)
    mean = float(x.mean())
    centred = x - mean
    squares = centred * centred
    m2 = float(squares.mean())
    sd = math.sqrt(m2 * n / (n - 1)) if n > 1 else 0.0
    if n < 2 or is_flat(sd, mean):
        return Moments(n, mean, sd, 0.0, 3.0, True)
    scaled = centred / math.sqrt(m2)  # scaled first: the fourth power of 1e-90 would underflow
    squares = scaled * scaled
    return Moments(n, mean, sd, float(np.mean(squares * scaled)), float(np.mean(squares * squares)), False)


def mean_and_sd(values: FloatArray) -> tuple[float, float]:
    """Return (mean, sd) of checked observations, as `sample_moments` has them, at a third of the cost."""
    n = len(values)
    if n < 2:
        return (float(values[0]) if n else 0.0), 0.0
    mean = float(values.mean())
    centred = values - mean
    # Not `centred @ centred`: a threaded BLAS spends more on waking its threads than the sum takes.
    sd = math.sqrt(float((centred * centred).sum()) / (n - 1))
    return mean, sd
