"""The forward filter inside a strategy: its state is part of the strategy's, its trouble has reason codes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trading.domain.clock import interval_ns
from trading.domain.strategies.base import Observation
from trading.domain.strategies.filter_memory import FilterMemory
from trading.domain.strategies.parameters import ParameterError
from trading.domain.strategies.regime_model import ServedModel

WARMING: Final = "REGIME_WARMING"
UNUSABLE_BAR: Final = "UNUSABLE_BAR"
UNEXPLAINED: Final = "UNEXPLAINED_OBSERVATION"
FROM_THE_FUTURE: Final = "MODEL_FROM_THE_FUTURE"

if TYPE_CHECKING:
    from trading.domain.regime.filter import RegimeFilter

_RUNNING: Final[FilterMemory[RegimeFilter]] = FilterMemory()


@dataclass(frozen=True, slots=True)
class RegimeView:
    """What is known about the regime at a closed bar.

    Attributes
    ----------
    posterior : (K,) filtered probabilities; empty while nothing has been observed.
    log_score : of the last bar that was observed, nats; -inf before.
    age_bars : bars since one was observed, 0 when this one was.
    problem : reason code why this bar says nothing, "" when it does.
    """

    posterior: tuple[float, ...]
    log_score: float
    age_bars: int
    problem: str


def regime_step(
    served: ServedModel, stored: Mapping[str, Any] | None, observation: Observation, longest_gap: int
) -> tuple[dict[str, Any], RegimeView | None]:
    """Take a closed bar into the filter; return what to store, and the view, None for a bar already taken.

    Missing bars are let pass one by one up to `longest_gap`; behind a longer hole, under another model or with a
    state that does not fit, the filter begins anew. It never goes on from a wrong place.

    Raises
    ------
    ParameterError : bars of another interval than the model was trained on.
    """
    from trading.domain.regime.errors import DegenerateFilter, FeaturesRefused
    from trading.domain.regime.filter import ClosedBar, RegimeFilter

    model, bar = served.flat(), observation.bar
    require_interval(observation, model.interval_ns)
    running, age, score = _resumed(served, stored)
    if running.close_ns:
        if bar.close_ns <= running.close_ns and stored is not None:
            return dict(stored), None
        ahead = bar.close_ns - running.close_ns
        if ahead % model.interval_ns or ahead // model.interval_ns - 1 > longest_gap:
            running, age, score = RegimeFilter(model, served.digest), 0, -math.inf
        for _ in range(running.missing(bar.close_ns)):
            running.skip(running.close_ns + model.interval_ns)
            age += 1
    problem = ""
    closed = ClosedBar(
        bar.close_ns, bar.high, bar.low, bar.close, bar.volume, bar.taker_base, observation.funding_or_nan
    )
    try:
        reading = running.step(closed)
        if reading is not None:
            age, score = 0, reading.log_score
        else:
            age, problem = age + 1, WARMING
    except (FeaturesRefused, DegenerateFilter) as error:
        running.skip(bar.close_ns)
        age, problem = age + 1, UNEXPLAINED if isinstance(error, DegenerateFilter) else UNUSABLE_BAR
    view = RegimeView(running.posterior or (), score, age, problem)
    members = running.state().members()
    after = {
        **members,
        "features": tuple(members["features"]),
        "chain": tuple(members["chain"]),
        "age": age,
        "log_score": None if score == -math.inf else score,
    }
    _RUNNING.keep(after, running)
    return after, view


def require_interval(observation: Observation, expected_ns: int) -> None:
    """Refuse bars of another length than the model was trained on.

    Raises
    ------
    ParameterError : they are.
    """
    if interval_ns(observation.interval) != expected_ns:
        raise ParameterError(
            "model",
            f"was trained on bars of {expected_ns // 1_000_000_000} s and is served {observation.interval}",
        )


def _resumed(served: ServedModel, stored: Mapping[str, Any] | None) -> tuple[RegimeFilter, int, float]:
    from trading.domain.regime.errors import StateRefused
    from trading.domain.regime.filter import FilterState, RegimeFilter

    if stored is not None:
        try:
            running = _RUNNING.take(stored)
            if running is None or running.digest != served.digest:
                running = RegimeFilter.restored(served.flat(), served.digest, FilterState.parse(stored))
            score = stored["log_score"]
            return running, int(stored["age"]), -math.inf if score is None else float(score)
        except (StateRefused, KeyError):
            # Another model, or a state from another version: the filter warms up again, exposure waits.
            pass
    return RegimeFilter(served.flat(), served.digest), 0, -math.inf
