"""Standardising features with the training window's own location and scale, then clipping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from trading.domain.regime.arrays import FloatArray, finite_array
from trading.domain.regime.errors import FitRefused

CLIP_RANGE = (5.0, 8.0)
_NORMAL_IQR = 1.3489795003921634
"""Interquartile range of N(0, 1): 2 * Phi^-1(0.75); dividing by it makes the robust scale a sd."""
_CONSTANT = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Scaler:
    """z = (x - center) / scale, clipped at +-`clip`.

    Attributes
    ----------
    center, scale : (D,), scale positive.  clip : 5 to 8, in standard deviations.
    """

    center: FloatArray
    scale: FloatArray
    clip: float = 8.0

    def __post_init__(self) -> None:
        center = finite_array("center", self.center, (None,))
        scale = finite_array("scale", self.scale, center.shape)
        if (scale <= 0).any():
            raise ValueError(f"scale: expected positive numbers, the smallest is {float(scale.min())}")
        if not CLIP_RANGE[0] <= self.clip <= CLIP_RANGE[1]:
            raise ValueError(f"clip: expected {CLIP_RANGE[0]:g} to {CLIP_RANGE[1]:g}, was {self.clip}")
        object.__setattr__(self, "center", center)
        object.__setattr__(self, "scale", scale)

    def apply(self, x: FloatArray) -> FloatArray:
        """Return standardised, clipped (T, D) rows; the same arithmetic as the kernel `scale_row`."""
        return np.clip((x - self.center) / self.scale, -self.clip, self.clip)


@dataclass(frozen=True, slots=True)
class Scaling:
    """How a scaler is fitted: mean and sd, or median and IQR / 1.349."""

    method: Literal["standard", "robust"] = "standard"
    clip: float = CLIP_RANGE[1]

    def __post_init__(self) -> None:
        if self.method not in ("standard", "robust"):
            raise ValueError(f"method: expected standard or robust, was {self.method!r}")
        if not CLIP_RANGE[0] <= self.clip <= CLIP_RANGE[1]:
            raise ValueError(f"clip: expected {CLIP_RANGE[0]:g} to {CLIP_RANGE[1]:g}, was {self.clip}")

    def fit(self, x: FloatArray, names: tuple[str, ...]) -> Scaler:
        """Fit on (T, D) training rows only.

        Raises
        ------
        FitRefused : fewer than two rows, a number that is not finite, or a feature that does not vary.
        """
        if x.shape[0] < 2:
            raise FitRefused(f"expected at least 2 rows to standardise, was {x.shape[0]}")
        if not np.isfinite(x).all():
            raise FitRefused("expected finite features; a NaN or infinity is among them")
        if self.method == "standard":
            center, scale = x.mean(axis=0), x.std(axis=0)
        else:
            low, center, high = np.quantile(x, (0.25, 0.5, 0.75), axis=0)
            scale = (high - low) / _NORMAL_IQR
        flat = scale <= _CONSTANT * (1.0 + np.abs(center))
        if flat.any():
            which = ", ".join(name for name, is_flat in zip(names, flat, strict=True) if is_flat)
            raise FitRefused(f"constant on the training window: {which}")
        return Scaler(np.ascontiguousarray(center), np.ascontiguousarray(scale), self.clip)
