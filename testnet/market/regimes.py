"""The hidden Markov chain behind generated prices."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

MINUTES_PER_STEP = 1


@dataclass(frozen=True, slots=True)
class Regime:
    """One hidden state: log drift and volatility per minute, and its mean duration in minutes."""

    name: str
    drift: float
    volatility: float
    mean_minutes: float


# A day of calm moves about 1.1 %, of turbulence about 6 %; a trend of two hours carries about 2 %.
REGIMES: tuple[Regime, ...] = (
    Regime("calm", 0.0, 0.0003, 240.0),
    Regime("trend_up", 0.00016, 0.00055, 150.0),
    Regime("trend_down", -0.00016, 0.00055, 150.0),
    Regime("turbulent", 0.0, 0.0016, 60.0),
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
        leave = 1.0 / regime.mean_minutes
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
