"""The exact two-clock filter inside a strategy: its state is part of the strategy's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trading.domain.strategies.base import Observation
from trading.domain.strategies.filter_memory import FilterMemory
from trading.domain.strategies.regime_model import ServedModel
from trading.domain.strategies.regime_reading import UNEXPLAINED, UNUSABLE_BAR, WARMING, require_interval
from trading.domain.strategies.slow_bar import GrowingBar, grow

if TYPE_CHECKING:
    from trading.domain.regime.two_clock_filter import TwoClockFilter

_RUNNING: Final[FilterMemory[TwoClockFilter]] = FilterMemory()


@dataclass(frozen=True, slots=True)
class TwoClockView:
    """What is known at a closed fast bar.

    Attributes
    ----------
    macro, micro : (K,) and (M,) filtered probabilities; empty where this bar says nothing.
    log_score : nats, -inf where this bar says nothing.  problem : why it does not, else "".
    slow_closed : the score includes that of a slow bar.  slow_bars : how many of those were observed.
    """

    macro: tuple[float, ...]
    micro: tuple[float, ...]
    log_score: float
    problem: str
    slow_closed: bool
    slow_bars: int


def two_clock_step(
    served: ServedModel, stored: Mapping[str, Any] | None, observation: Observation, longest_gap: int
) -> tuple[dict[str, Any], TwoClockView | None]:
    """Take a closed fast bar; return what to store, and the view, None for a bar already taken.

    Gaps, foreign states and unusable bars as in `regime_step`. The slow bar is made here, of the fast ones, so that
    it is the one the model was trained on, whatever the feed delivers.

    Raises
    ------
    ParameterError : bars of another interval than the model was trained on.
    """
    from trading.domain.regime.errors import DegenerateFilter, FeaturesRefused
    from trading.domain.regime.filter import ClosedBar
    from trading.domain.regime.two_clock_filter import TwoClockFilter

    model, bar = served.two_clock(), observation.bar
    require_interval(observation, model.interval_ns)
    running, growing, slow_bars = _resumed(served, stored)
    if running.close_ns:
        if bar.close_ns <= running.close_ns and stored is not None:
            return dict(stored), None
        ahead = bar.close_ns - running.close_ns
        missing = ahead // model.interval_ns - 1
        if ahead % model.interval_ns or missing > longest_gap:
            running, growing, slow_bars = TwoClockFilter(model, served.digest), GrowingBar(), 0
        else:
            for _ in range(missing):
                running.skip(running.close_ns + model.interval_ns)
    growing, whole = grow(growing, bar, model.interval_ns, model.slow_interval_ns)
    rate = observation.funding_or_nan
    fast = ClosedBar(bar.close_ns, bar.high, bar.low, bar.close, bar.volume, bar.taker_base, rate)
    slow = None
    if whole is not None:
        slow = ClosedBar(bar.close_ns, whole.high, whole.low, bar.close, whole.volume, whole.taker_base, rate)
    macro: tuple[float, ...] = ()
    micro: tuple[float, ...] = ()
    score, problem = -math.inf, ""
    try:
        reading = running.step(fast, slow)
        if reading is None:
            problem = WARMING
        else:
            macro, micro, score = reading.macro, reading.micro, float(reading.log_score)
        slow_bars += whole is not None
    except (FeaturesRefused, DegenerateFilter) as error:
        running.skip(bar.close_ns)
        problem = UNEXPLAINED if isinstance(error, DegenerateFilter) else UNUSABLE_BAR
    members = running.state().members()
    for name in ("features", "slow_features", "log_joint"):
        members[name] = tuple(members[name])
    view = TwoClockView(macro, micro, score, problem, whole is not None, slow_bars)
    after = {**members, "growing": tuple(growing), "slow_bars": slow_bars}
    _RUNNING.keep(after, running)
    return after, view


def _resumed(served: ServedModel, stored: Mapping[str, Any] | None) -> tuple[TwoClockFilter, GrowingBar, int]:
    from trading.domain.regime.errors import StateRefused
    from trading.domain.regime.two_clock_filter import TwoClockFilter, TwoClockState

    model = served.two_clock()
    if stored is not None:
        try:
            running = _RUNNING.take(stored)
            if running is None or running.digest != served.digest:
                running = TwoClockFilter.restored(model, served.digest, TwoClockState.parse(stored))
            return running, GrowingBar(*stored["growing"]), int(stored["slow_bars"])
        except (StateRefused, KeyError, TypeError):
            # Another model, or a state from another version: the filter warms up again, exposure waits.
            pass
    return TwoClockFilter(model, served.digest), GrowingBar(), 0
