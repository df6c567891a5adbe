"""Moving-average crossing: long while the fast mean of closes is above the slow one.

Definition. With closes c_1..t, SMA_n(t) = (c_t-n+1 + ... + c_t) / n, summed without rounding error. From
bar `slow` on: target 1 when SMA_fast > SMA_slow; 0 when SMA_fast < SMA_slow (-1 with `allow_short`); no
change while they are equal, within a relative 1e-12 of the slow mean, so that a flat market cannot cross
itself by rounding. Defaults 9 and 21. It is a level, not an event: it says the same at every bar that
the averages stand the same way.

Confidence is |SMA_fast - SMA_slow| over the standard deviation of the slow window, at most 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from trading.domain.strategies.base import Desired, Observation, Strategy
from trading.domain.strategies.parameters import ParameterError, parameter

EQUAL_WITHIN = 1e-12

Closes = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class MovingAverageParams:
    """Window lengths in bars, and whether it may be short."""

    fast: int = parameter(9, ge=1, le=1_000, unit="bars", help="length of the fast average")
    slow: int = parameter(21, ge=2, le=5_000, unit="bars", help="length of the slow average")
    allow_short: bool = parameter(False, help="be short, not flat, while the fast average is below")

    def __post_init__(self) -> None:
        if self.fast >= self.slow:
            raise ParameterError("fast", f"expected fast below slow, were {self.fast} and {self.slow}")


class MovingAverage(Strategy):
    """Crossing of two simple moving averages of closes; its state is the last `slow` closes."""

    name: ClassVar[str] = "moving_average"
    Params: ClassVar[type] = MovingAverageParams

    def warmup(self, params: MovingAverageParams) -> int:
        """Return `slow`: the averages exist from that bar on."""
        return params.slow

    def initial(self, params: MovingAverageParams) -> Closes:
        """Return no closes."""
        return ()

    def step(
        self, params: MovingAverageParams, state: Closes, observation: Observation
    ) -> tuple[Closes, Desired | None]:
        """Add one close and compare the averages."""
        if observation.trigger != "bar":
            return state, None
        closes = (*state, observation.bar.close)[-params.slow :]
        if len(closes) < params.slow:
            return closes, None
        # Summing the window afresh keeps the answer a function of the window alone: a running sum would
        # carry the rounding of all history, and differ after a restart.
        fast = math.fsum(closes[-params.fast :]) / params.fast
        slow = math.fsum(closes) / params.slow
        gap = fast - slow
        if abs(gap) <= EQUAL_WITHIN * abs(slow):
            return closes, None
        spread = math.sqrt(math.fsum((close - slow) ** 2 for close in closes) / params.slow)
        confidence = min(1.0, abs(gap) / spread) if spread > 0 else 0.0
        features = {"fast": fast, "slow": slow, "spread": spread}
        if gap > 0:
            return closes, Desired(1.0, confidence, "FAST_ABOVE_SLOW", features=features)
        target = -1.0 if params.allow_short else 0.0
        return closes, Desired(target, confidence, "FAST_BELOW_SLOW", features=features)
