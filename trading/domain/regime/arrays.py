"""Array types of the regime kernel and the checks every array passes where it enters."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]

ROW_SUM_TOLERANCE = 1e-9
"""How far a row of probabilities may miss 1: rounding of K terms and of decimal JSON, never a wrong row."""


def finite_array(name: str, values: Any, shape: tuple[int | None, ...]) -> FloatArray:
    """Return `values` as a contiguous float64 array of the given shape; None matches any length.

    Raises
    ------
    ValueError : not numbers, another shape, or a NaN or infinity in it.
    """
    try:
        array = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: expected numbers") from None
    if array.ndim != len(shape) or any(
        want is not None and want != have for want, have in zip(shape, array.shape, strict=True)
    ):
        raise ValueError(f"{name}: expected shape {_shown(shape)}, was {_shown(array.shape)}")
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name}: expected finite numbers, {float(array[where])} at {list(where)}")
    return array


def probabilities(name: str, values: Any, shape: tuple[int, ...]) -> FloatArray:
    """Return `values` as an array whose last axis holds probability distributions.

    Raises
    ------
    ValueError : as `finite_array`, a negative entry, or a row that does not sum to 1 within 1e-9.
    """
    array = finite_array(name, values, shape)
    if (array < 0).any():
        raise ValueError(f"{name}: expected probabilities, the smallest is {float(array.min())}")
    worst = float(np.abs(array.sum(axis=-1) - 1.0).max())
    if worst > ROW_SUM_TOLERANCE:
        raise ValueError(f"{name}: expected rows that sum to 1, one misses it by {worst:.3g}")
    return array


def _shown(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
