"""Steps in the subset that numba compiles: scalars and float arrays in, a tuple out.

The backtester compiles such a step and runs millions of bars a second; live the same function runs as the
plain Python it is. A strategy declares it in one of two ways: as `compiled`, beside a `step` of its own that
decides the same; or by deriving from `ArrayStrategy`, which has no other step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import FunctionType
from typing import Any, ClassVar, TypeVar

from trading.domain.strategies.base import Desired, Observation, Protection, Strategy

ArrayStep = Callable[..., tuple[int, float, float, float, float]]
"""`step(params, state, now_ns, open, high, low, close, volume, position, average_price, unrealized)`.

`params` and `state` are float arrays; `state` is changed in place and starts as zeros. Units as in
`Observation`. It returns `(code, target, stop, take_profit, trailing)`: code 0 is no change, code n gives
reason n; a protection of 0.0 is none. It may use arithmetic, comparisons, loops, `math`, indexing and
functions marked `numeric`; nothing else.
"""

ArraySignals = Callable[..., None]
"""`signals(params, open, high, low, close, volume, sums, codes)` writes the step's code of every bar into `codes`.

`sums` (N + 1,) holds the sum of all closes before each bar, in ticks and exact: the sum of any window is a
difference of two. It is one array for all runs over the same bars.

It may look back as far as it likes, and must not look ahead; each code stands for one target.
"""

_F = TypeVar("_F", bound=Callable[..., Any])

NUMERIC: set[FunctionType] = set()
"""Functions that compiled steps may call."""


def numeric(function: _F) -> _F:
    """Let compiled steps call a function; it is itself in the compiled subset."""
    assert isinstance(function, FunctionType)
    NUMERIC.add(function)
    return function


@dataclass(frozen=True, slots=True)
class CompiledStep:
    """A step in the compiled subset and what belongs to it.

    Attributes
    ----------
    step : the function, or `package.module:function` where importing it early would cost too much.
    vector : parameters as the numbers the step gets.  state_size : how many numbers it remembers.
    by_interval : `vector` takes the interval of the bars as well.
    unable : why parameters on bars of an interval cannot be compiled, empty where they can.
    reasons : codes for records and screens, for the step's code 1, 2, ...
    signals, targets : where neither position nor protection matters, the same for whole columns; `targets`
        gives the target of code 1, 2, ... The engine compares them with the step before it believes them.
    """

    step: ArrayStep | str
    vector: Callable[..., tuple[float, ...]]
    state_size: Callable[[Any], int]
    reasons: tuple[str, ...]
    signals: ArraySignals | None = None
    targets: Callable[[Any], tuple[float, ...]] | None = None
    by_interval: bool = False
    unable: Callable[[Any, str], str] | None = None

    @property
    def function(self) -> ArrayStep:
        """The step itself."""
        if not isinstance(self.step, str):
            return self.step
        module, _, name = self.step.partition(":")
        found: ArrayStep = getattr(import_module(module), name)
        return found

    def numbers(self, params: Any, interval: str) -> tuple[float, ...]:
        """Return the parameters as the step gets them, for bars of an interval."""
        return self.vector(params, interval) if self.by_interval else self.vector(params)


class ArrayStrategy(Strategy):
    """A strategy whose one step is in the compiled subset: derive, set `compiled`, `Params`, `warmup`."""

    compiled: ClassVar[CompiledStep]

    def initial(self, params: Any) -> tuple[float, ...]:
        """Return zeros."""
        return (0.0,) * self.compiled.state_size(params)

    def step(
        self, params: Any, state: tuple[float, ...], observation: Observation
    ) -> tuple[tuple[float, ...], Desired | None]:
        """Run the array step on one closed bar."""
        if observation.trigger != "bar":
            return state, None
        bar, numbers = observation.bar, list(state)
        code, target, stop, take_profit, trailing = self.compiled.function(
            self.compiled.numbers(params, observation.interval),
            numbers,
            observation.now_ns,
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            bar.volume,
            observation.position,
            observation.average_price,
            observation.unrealized,
        )
        if code == 0:
            return tuple(numbers), None
        protection = None
        if stop > 0 or take_profit > 0 or trailing > 0:
            protection = Protection(stop or None, take_profit or None, trailing or None)
        return tuple(numbers), Desired(
            float(target), reason=self.compiled.reasons[int(code) - 1], protection=protection
        )
