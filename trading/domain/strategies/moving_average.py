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
from typing import Any, ClassVar

from trading.domain.strategies.base import Desired, Observation, Strategy
from trading.domain.strategies.compiled import CompiledStep, numeric
from trading.domain.strategies.parameters import ParameterError, parameter

EQUAL_WITHIN = 1e-12
FRESH_TURNS = 32
"""After so many turns of its ring the compiled step takes its running sums afresh."""
NEARLY_EQUAL = 1e-9
"""Closer than this the compiled step sums exactly. Its running sums are wrong by at most three roundings a
bar, which over 32 turns of 5,000 closes is 6e-11 of a sum."""
PIECE = 256
"""Bars of which the whole-column signals are worked out at a time."""

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


def crossing_step(
    params: Any,
    state: Any,
    now_ns: int,
    open_price: float,
    high: float,
    low: float,
    close: float,
    volume: float,
    position: float,
    average_price: float,
    unrealized: float,
) -> tuple[int, float, float, float, float]:
    """Decide as `MovingAverage.step`, at a cost that does not grow with the windows.

    The state is: turns of the ring since the sums were last taken afresh, place of the next close in the
    ring, sum of the fast and of the slow window, then the ring of the last `slow` closes, in which a place
    never filled is zero. Where the averages are too close for the rounding of running sums, they are summed
    in two floats each, which is exact (and so equal to `math.fsum`) while the closes of a window lie within
    a factor of 2^40 of each other (Dekker 1971, Numer. Math. 18, 224-242).
    """
    fast, slow = int(params[0]), int(params[1])
    at = int(state[1])
    fast_sum = state[2] + (close - state[4 + (at - fast if at >= fast else at - fast + slow)])
    slow_sum = state[3] + (close - state[4 + at])
    state[4 + at] = close
    at = at + 1 if at + 1 < slow else 0
    if at == 0:
        state[0] += 1.0
    # The sign of the difference of the averages, times both lengths: products are cheaper than quotients.
    level = slow_sum * fast
    gap = fast_sum * slow - level
    equal = state[4 + at] == 0.0
    if state[0] >= FRESH_TURNS or (abs(gap) <= NEARLY_EQUAL * abs(level) and not equal):
        state[0] = 0.0
        fast_sum = fast_rest = slow_sum = slow_rest = 0.0
        for k in range(slow):
            value = state[4 + (at + k if at + k < slow else at + k - slow)]
            total = slow_sum + value
            back = total - slow_sum
            slow_rest += (slow_sum - (total - back)) + (value - back)
            slow_sum = total + slow_rest
            slow_rest -= slow_sum - total
            if k >= slow - fast:
                total = fast_sum + value
                back = total - fast_sum
                fast_rest += (fast_sum - (total - back)) + (value - back)
                fast_sum = total + fast_rest
                fast_rest -= fast_sum - total
        mean = slow_sum / slow
        gap = fast_sum / fast - mean
        equal = abs(gap) <= EQUAL_WITHIN * abs(mean)
    state[1], state[2], state[3] = at, fast_sum, slow_sum
    above = gap > 0.0
    code = 0 if equal else (1 if above else 2)
    target = 1.0 if above else (-1.0 if params[2] > 0.0 else 0.0)
    return code, target, 0.0, 0.0, 0.0


@numeric
def exact_sums(close: Any, last: int, fast: int, slow: int) -> tuple[float, float]:
    """Return the sums of the `fast` and of the `slow` closes up to `last`, each the float nearest to it."""
    fast_sum = fast_rest = slow_sum = slow_rest = 0.0
    for k in range(slow):
        value = close[last - slow + 1 + k]
        total = slow_sum + value
        back = total - slow_sum
        slow_rest += (slow_sum - (total - back)) + (value - back)
        slow_sum = total + slow_rest
        slow_rest -= slow_sum - total
        if k >= slow - fast:
            total = fast_sum + value
            back = total - fast_sum
            fast_rest += (fast_sum - (total - back)) + (value - back)
            fast_sum = total + fast_rest
            fast_rest -= fast_sum - total
    return fast_sum, slow_sum


def crossing_signals(
    params: Any, open_price: Any, high: Any, low: Any, close: Any, volume: Any, sums: Any, codes: Any
) -> None:
    """Say at each bar what `crossing_step` says, from differences of sums that are exact.

    In pieces, so that the first loop of each is done for many bars at once; where averages nearly tie, the
    second one looks closer.
    """
    fast, slow, size = int(params[0]), int(params[1]), len(close)
    for i in range(min(slow - 1, size)):
        codes[i] = 0
    for start in range(slow - 1, size, PIECE):
        stop = min(start + PIECE, size)
        said, last = codes[start:stop], sums[start + 1 : stop + 1]
        before_fast = sums[start + 1 - fast : stop + 1 - fast]
        before_slow = sums[start + 1 - slow : stop + 1 - slow]
        clear = 0
        for k in range(stop - start):
            level = (last[k] - before_slow[k]) * fast
            gap = (last[k] - before_fast[k]) * slow - level
            above = gap > NEARLY_EQUAL * level
            clear += int(above) + int(gap < -NEARLY_EQUAL * level)
            said[k] = 2 - int(above)
        if clear == stop - start:
            continue
        for k in range(stop - start):
            level = (last[k] - before_slow[k]) * fast
            gap = (last[k] - before_fast[k]) * slow - level
            if abs(gap) <= NEARLY_EQUAL * level:
                fast_sum, slow_sum = exact_sums(close, start + k, fast, slow)
                mean = slow_sum / slow
                gap = fast_sum / fast - mean
                if abs(gap) <= EQUAL_WITHIN * abs(mean):
                    said[k] = 0
                else:
                    said[k] = 1 if gap > 0.0 else 2


def _targets(params: MovingAverageParams) -> tuple[float, float]:
    return 1.0, -1.0 if params.allow_short else 0.0


def _vector(params: MovingAverageParams) -> tuple[float, ...]:
    return float(params.fast), float(params.slow), float(params.allow_short)


def _state_size(params: MovingAverageParams) -> int:
    return 4 + params.slow


class MovingAverage(Strategy):
    """Crossing of two simple moving averages of closes; its state is the last `slow` closes."""

    name: ClassVar[str] = "moving_average"
    Params: ClassVar[type] = MovingAverageParams
    compiled: ClassVar[CompiledStep | None] = CompiledStep(
        crossing_step,
        _vector,
        _state_size,
        ("FAST_ABOVE_SLOW", "FAST_BELOW_SLOW"),
        crossing_signals,
        _targets,
    )

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
