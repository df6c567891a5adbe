"""A statistic that may not exist: its value, or the reason why there is none. Never NaN, never infinity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Returns computed from an equity curve carry rounding of about 2e-16 each; a spread of that size beside
# its mean is rounding, not risk, and would give Sharpe ratios of 1e9.
_ROUNDING_ABSOLUTE = 1e-14
_ROUNDING_RELATIVE = 1e-9


@dataclass(frozen=True, slots=True)
class Figure:
    """A finite value, or None and the reason there is none."""

    value: float | None
    reason: str = ""

    def __post_init__(self) -> None:
        if self.value is None:
            if not self.reason:
                raise ValueError("a figure without a value needs a reason")
        elif not math.isfinite(self.value):
            raise ValueError(f"expected a finite figure, was {self.value}")


def undefined(reason: str) -> Figure:
    """Return the figure that does not exist for this reason."""
    return Figure(None, reason)


def figure(value: float, otherwise: str) -> Figure:
    """Return the value as a figure, or the reason when it is not finite."""
    return Figure(float(value)) if math.isfinite(value) else Figure(None, otherwise)


def reasons(figures: Mapping[str, Figure]) -> dict[str, str]:
    """Return why, by name, for every figure without a value."""
    return {name: item.reason for name, item in figures.items() if item.value is None}


def finite_array(values: ArrayLike, name: str) -> FloatArray:
    """Return one-dimensional finite float64 data.

    Raises
    ------
    ValueError : another shape, or NaN or infinity; the text gives the first position.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"expected {name} of one dimension, were {array.ndim}")
    finite = np.isfinite(array)
    if not finite.all():
        at = int(np.argmin(finite))
        raise ValueError(f"expected finite {name}, was {array[at]} at position {at}")
    return array


def is_flat(sd: float, mean: float) -> bool:
    """Say whether a standard deviation is nothing but the rounding of equal numbers."""
    return sd <= _ROUNDING_ABSOLUTE + _ROUNDING_RELATIVE * abs(mean)
