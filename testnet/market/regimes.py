"""The hidden Markov chain behind generated prices, and how makers and takers behave in each state."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Regime:
    """One hidden state.

    Price: log drift and volatility per minute, and the state's mean duration in minutes.
    Makers, relative to the symbol's profile: `depth` of what they quote, `refill` (share of missing
    levels put back per second), `wide` (share of time the touch stands wider) by `wide_bps` on average.
    Takers, relative to the profile: `rate` of orders, `size` of the median order; `persistence` is the
    standard deviation of their slowly changing preference for one direction, in [0, 1).
    """

    name: str
    drift: float
    volatility: float
    mean_minutes: float
    depth: float
    refill: float
    wide: float
    wide_bps: float
    rate: float
    size: float
    persistence: float


# A day of calm moves about 1.1 %, of turbulence about 6 %; a trend of two hours carries about 2 %.
# The trends' makers and takers are fitted to the recorded feeds, whose volatility they come nearest to.
#   name, drift, volatility, mean_minutes; depth, refill, wide, wide_bps; rate, size, persistence
REGIMES: tuple[Regime, ...] = (
    Regime("calm", 0.0, 0.0003, 240.0, 1.3, 6.0, 0.003, 0.05, 0.5, 0.8, 0.30),
    Regime("trend_up", 0.00016, 0.00055, 150.0, 1.0, 4.0, 0.004, 0.15, 1.0, 1.0, 0.45),
    Regime("trend_down", -0.00016, 0.00055, 150.0, 1.0, 4.0, 0.004, 0.15, 1.0, 1.0, 0.45),
    Regime("turbulent", 0.0, 0.0016, 60.0, 0.5, 2.0, 0.060, 1.00, 2.5, 1.4, 0.55),
)
NAMES = [regime.name for regime in REGIMES]

# Where a state goes when it ends; rows follow REGIMES and sum to 1.
_NEXT: tuple[tuple[float, ...], ...] = (
    (0.0, 0.38, 0.38, 0.24),
    (0.5, 0.0, 0.2, 0.3),
    (0.4, 0.2, 0.0, 0.4),
    (0.5, 0.25, 0.25, 0.0),
)


def transition_matrix() -> list[list[float]]:
    """(K, K) one-minute transition probabilities in the order of REGIMES."""
    rows = []
    for index, regime in enumerate(REGIMES):
        leave = -math.expm1(-1.0 / regime.mean_minutes)
        rows.append([1.0 - leave if j == index else leave * p for j, p in enumerate(_NEXT[index])])
    return rows


def step_regime(index: int, minutes: float, rng: random.Random) -> int:
    """The state after some minutes, at most one change."""
    regime = REGIMES[index]
    if rng.random() >= 1.0 - math.exp(-minutes / regime.mean_minutes):
        return index
    return rng.choices(range(len(REGIMES)), _NEXT[index])[0]


def log_return(
    index: int, minutes: float, common: float, correlation: float, volatility: float, rng: random.Random
) -> float:
    """Draw the log return over some minutes; `common` is the market-wide standard normal draw."""
    regime = REGIMES[index]
    own = rng.gauss(0.0, 1.0)
    noise = correlation * common + math.sqrt(1.0 - correlation * correlation) * own
    sigma = regime.volatility * volatility
    drift = regime.drift * volatility - sigma * sigma / 2.0
    return drift * minutes + sigma * math.sqrt(minutes) * noise
