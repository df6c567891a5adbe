"""The opinions the ensemble pools: how far the averages stand apart, and which way the regime leans."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from trading.domain.strategies.compiled import numeric

CLIP: Final = (0.01, 0.99)


@numeric
def calibrated(score: float, slope: float, offset: float) -> float:
    """Return 1 / (1 + exp(-(slope * score + offset))) within 0.01..0.99: Platt's map from score to probability."""
    exponent = slope * score + offset
    if exponent >= 0.0:
        p = 1.0 / (1.0 + math.exp(-exponent))
    else:
        grown = math.exp(exponent)
        p = grown / (1.0 + grown)
    return min(CLIP[1], max(CLIP[0], p))


@numeric
def average_gap(fast: float, slow: float, spread: float) -> float:
    """Return (SMA_fast - SMA_slow) in standard deviations of the slow window; 0.0 in a flat market.

    Not |SMA_fast - SMA_slow| / price: that is a thousandth in any market and can outvote nothing.
    """
    return (fast - slow) / spread if spread > 0.0 else 0.0


@numeric
def rise_log_odds(ahead: Sequence[float], means: Sequence[float], variances: Sequence[float]) -> float:
    """Return ln P(r > 0) / P(r < 0) of the next return, a mixture of normals over the predicted regimes.

    Parameters
    ----------
    ahead : (K,), P(s_t+1 | x_1..t).  means, variances : (K,), of the bar's return in each regime.
    """
    up = 0.0
    for k in range(len(ahead)):
        up += ahead[k] * 0.5 * math.erfc(-means[k] / math.sqrt(2.0 * variances[k]))
    up = min(CLIP[1], max(CLIP[0], up))
    return math.log(up / (1.0 - up))
