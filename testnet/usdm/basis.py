"""How far a perpetual trades off its index: a mean-reverting premium that depends on the hidden regime."""

from __future__ import annotations

import math
import random
from typing import NamedTuple

from testnet.market.regimes import REGIMES


class Pull(NamedTuple):
    """The premium one regime pulls towards, and its stationary spread round it; both log fractions."""

    mean: float
    spread: float


# Longs pay up in a rising market and shorts in a falling one; turbulence widens the basis without a sign.
PULLS: dict[str, Pull] = {
    "calm": Pull(0.00005, 0.00010),
    "trend_up": Pull(0.00070, 0.00020),
    "trend_down": Pull(-0.00060, 0.00020),
    "turbulent": Pull(0.0, 0.00060),
}
HALF_LIFE_MIN = 20.0
_RATE = math.log(2.0) / HALF_LIFE_MIN


class Basis:
    """The log premium over the index, an Ornstein-Uhlenbeck process whose mean and spread follow the regime."""

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def step(self, regime: int, minutes: float, rng: random.Random) -> float:
        """Advance by some minutes of market time; exact for any length of step."""
        pull = PULLS[REGIMES[regime].name]
        decay = math.exp(-_RATE * minutes)
        noise = pull.spread * math.sqrt(1.0 - decay * decay) * rng.gauss(0.0, 1.0)
        self.value = pull.mean + (self.value - pull.mean) * decay + noise
        return self.value
