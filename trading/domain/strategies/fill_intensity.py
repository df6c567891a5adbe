"""How fast quotes fill at a distance from the middle: A exp(-k depth), from counted fills."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FillIntensity:
    """Fills per unit of time at depth 0, and how fast they thin out: rate(depth) = arrival exp(-decay depth)."""

    arrival: float
    decay: float


def fit_intensity(depths: Sequence[float], fills: Sequence[int], exposures: Sequence[float]) -> FillIntensity:
    """Regress the log fill rate on depth, each depth weighted by its fills (the inverse variance of a log count).

    Parameters
    ----------
    depths : distances from the middle, any unit.  fills : counted at each depth.
    exposures : time quoted at each depth, any unit.

    Raises
    ------
    ValueError : columns of different lengths, negative numbers, fewer than two depths with fills, or rates that
        do not fall with depth.
    """
    if not len(depths) == len(fills) == len(exposures):
        raise ValueError("expected depths, fills and exposures of one length")
    if any(count < 0 for count in fills) or any(not time > 0.0 for time in exposures):
        raise ValueError("expected fills of zero or more and positive exposures")
    seen = [
        (depth, math.log(count / time), float(count))
        for depth, count, time in zip(depths, fills, exposures, strict=True)
        if count
    ]
    total = math.fsum(weight for _, _, weight in seen)
    if len({depth for depth, _, _ in seen}) < 2:
        raise ValueError("expected fills at two depths at least")
    mean_depth = math.fsum(w * x for x, _, w in seen) / total
    mean_log = math.fsum(w * y for _, y, w in seen) / total
    slope = math.fsum(w * (x - mean_depth) * (y - mean_log) for x, y, w in seen) / math.fsum(
        w * (x - mean_depth) ** 2 for x, _, w in seen
    )
    if not slope < 0.0:
        raise ValueError(f"expected rates that fall with depth, they change by {slope:g} in the logarithm")
    return FillIntensity(math.exp(mean_log - slope * mean_depth), -slope)
