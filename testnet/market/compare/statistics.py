"""The few statistics the comparison needs, on plain sequences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise


def quantile(ordered: Sequence[float], share: float) -> float:
    """The linearly interpolated quantile of ascending values; NaN when there are none.

    Source: definition 7 of Hyndman and Fan (1996), The American Statistician 50(4), 361-365.
    """
    if not ordered:
        return math.nan
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean; NaN when there are no values."""
    return math.fsum(values) / len(values) if values else math.nan


def autocorrelation(values: Sequence[float], lag: int) -> float:
    """The sample autocorrelation at a lag; NaN when the values are too few or all the same."""
    count = len(values)
    if count <= lag:
        return math.nan
    centre = mean(values)
    spread = math.fsum((value - centre) ** 2 for value in values)
    if spread == 0:
        return math.nan
    shared = math.fsum((values[i] - centre) * (values[i + lag] - centre) for i in range(count - lag))
    return shared / spread


def log_returns(prices: Sequence[float], span: int) -> list[float]:
    """Log returns over `span` samples, one starting at each sample, so that they overlap."""
    logs = [math.log(price) for price in prices]
    return [later - earlier for earlier, later in zip(logs, logs[span:], strict=False)]


def root_mean_square(values: Sequence[float]) -> float:
    """The spread around zero; NaN when there are no values."""
    return math.sqrt(mean([value * value for value in values])) if values else math.nan


def kurtosis(values: Sequence[float]) -> float:
    """The fourth standardised moment (3 for a normal law); NaN when the values do not vary."""
    if not values:
        return math.nan
    centre = mean(values)
    second = mean([(value - centre) ** 2 for value in values])
    return mean([(value - centre) ** 4 for value in values]) / second**2 if second > 0 else math.nan


def gaps(times: Sequence[int]) -> list[int]:
    """Differences of successive times."""
    return [later - earlier for earlier, later in pairwise(times)]
