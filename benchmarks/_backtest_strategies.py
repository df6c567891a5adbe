"""Strategies as a user writes them, for what a bar, a step and an order cost by themselves."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from trading.domain.strategies import Desired, Observation, Strategy, parameter
from trading.domain.strategies.compiled import ArrayStrategy, CompiledStep

FAST, SLOW = 20, 50
LONG, FLAT = Desired(1.0, reason="FAST_ABOVE_SLOW"), Desired(0.0, reason="FAST_BELOW_SLOW")


@dataclass(frozen=True)
class Windows:
    """Lengths in bars."""

    fast: int = parameter(FAST)
    slow: int = parameter(SLOW)


class PlainCrossing(Strategy):
    """What a user writes: two deques and running sums."""

    name = "plain_crossing"
    Params = Windows

    def warmup(self, params: Windows) -> int:
        return params.slow

    def initial(self, params: Windows) -> Any:
        return deque(maxlen=params.fast), deque(maxlen=params.slow), [0.0, 0.0]

    def step(self, params: Windows, state: Any, seen: Observation) -> tuple[Any, Desired | None]:
        fast, slow, sums = state
        close = seen.bar.close
        if len(fast) == params.fast:
            sums[0] -= fast[0]
        if len(slow) == params.slow:
            sums[1] -= slow[0]
        fast.append(close)
        slow.append(close)
        sums[0] += close
        sums[1] += close
        if len(slow) < params.slow:
            return state, None
        gap = sums[0] * params.slow - sums[1] * params.fast
        return state, LONG if gap > 0 else FLAT if gap < 0 else None


class Silent(PlainCrossing):
    """Never says anything: what a bar costs by itself."""

    def step(self, params: Windows, state: Any, seen: Observation) -> tuple[Any, Desired | None]:
        return state, None


class Flipping(PlainCrossing):
    """In at one bar, out at the next: what an order costs."""

    def initial(self, params: Windows) -> Any:
        return False

    def step(self, params: Windows, state: Any, seen: Observation) -> tuple[Any, Desired | None]:
        return not state, FLAT if state else LONG


def flipping_step(
    params: Any, state: Any, now_ns: int, open_price: float, high: float, low: float, close: float, volume: float,
    position: float, average_price: float, unrealized: float,
) -> tuple[int, float, float, float, float]:  # fmt: skip
    state[0] = 1.0 - state[0]
    return (1 if state[0] > 0.0 else 2), state[0], 0.0, 0.0, 0.0


def silent_step(
    params: Any, state: Any, now_ns: int, open_price: float, high: float, low: float, close: float, volume: float,
    position: float, average_price: float, unrealized: float,
) -> tuple[int, float, float, float, float]:  # fmt: skip
    return 0, 0.0, 0.0, 0.0, 0.0


class CompiledFlipping(ArrayStrategy):
    """`Flipping` as machine code."""

    name = "compiled_flipping"
    Params = Windows
    compiled = CompiledStep(flipping_step, lambda _: (0.0,), lambda _: 1, ("IN", "OUT"))

    def warmup(self, params: Windows) -> int:
        return 1


class CompiledSilent(CompiledFlipping):
    """`Silent` as machine code."""

    name = "compiled_silent"
    compiled = CompiledStep(silent_step, lambda _: (0.0,), lambda _: 1, ("IN", "OUT"))
