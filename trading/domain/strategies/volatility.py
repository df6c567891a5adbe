"""Exponentially weighted volatility of returns, and exposure scaled to a volatility target."""

from __future__ import annotations

import math
from typing import NamedTuple

from trading.domain.strategies.compiled import numeric


class ReturnSpread(NamedTuple):
    """Exponentially weighted moments between two bars: total weight, mean, weighted sum of squared deviations."""

    weight: float = 0.0
    mean: float = 0.0
    squares: float = 0.0


@numeric
def next_return_spread(state: ReturnSpread, value: float, center_of_mass: float) -> ReturnSpread:
    """Take one return; weights fall by d = com / (1 + com) a bar, so that d / (1 - d) is the centre of mass.

    Updated around the running mean (West 1979, Commun. ACM 22, 532-535): the textbook difference of mean square
    and squared mean loses half its digits where the mean is large.
    """
    decay = center_of_mass / (1.0 + center_of_mass)
    weight = decay * state.weight + 1.0
    away = value - state.mean
    mean = state.mean + away / weight
    return ReturnSpread(weight, mean, decay * state.squares + away * (value - mean))


@numeric
def annual_volatility(state: ReturnSpread, periods: float) -> float:
    """Return sqrt(periods * sum w_i (r_i - mean)^2), weights normalised to 1; 0.0 before the first return.

    Source: Moskowitz, Ooi & Pedersen (2012), J. Financ. Econ. 104, 228-250, equation 1.
    """
    if state.weight <= 0.0:
        return 0.0
    return math.sqrt(periods * max(0.0, state.squares) / state.weight)


@numeric
def volatility_target(signal: float, target: float, volatility: float, cap: float) -> float:
    """Return signal * target / volatility within +-cap; 0.0 where the volatility is not positive.

    Parameters
    ----------
    signal : -1 to 1.  target, volatility : a year's, fractions.  cap : largest exposure, fraction of capital.
    """
    if not volatility > 0.0:
        return 0.0
    return max(-cap, min(cap, signal * target / volatility))
