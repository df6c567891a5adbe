"""Whether the time spent in each state now could have come from the chain the model was trained to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.artefact import Artefact
from trading.domain.regime.drift import PSI_ALARM, PSI_WATCH, Drift, population_stability
from trading.domain.regime.model import RegimeModel, stationary_law

PATHS: Final = 4000
WATCH_AT, ALARM_AT = 0.95, 0.999
"""Quantiles of the index among windows the model itself would make."""


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Stability index of the time in each state, and from where on it says something.

    Attributes
    ----------
    index : PSI of the shares of time, trained and now.
    watch, alarm : above which it is one; the index's usual bounds, or the 95 % and 99.9 % quantiles of windows of as
        many rows simulated from the model's own chain where those are higher. States last: a window of 500 rows may
        hold a dozen of their spells, and the usual bounds take that for a change of the market.
    """

    index: float
    watch: float
    alarm: float

    @property
    def verdict(self) -> Drift:
        """Stable, watch or alarm; an index that is no number is an alarm."""
        if self.index < self.watch:
            return Drift.STABLE
        return Drift.WATCH if self.index <= self.alarm else Drift.ALARM


def occupancy_of(artefact: Artefact, states: FloatArray) -> Occupancy:
    """Compare filtered probabilities, (N, K), with the training's expected visits."""
    visits = np.asarray(artefact.lineage["visits"], dtype=np.float64)
    model = artefact.model
    if isinstance(model, RegimeModel):
        chain, rows_per_step = np.asarray(model.hmm.transition), 1
    else:
        # The macro chain moves when a slow bar closes.
        chain = np.asarray(model.hmm.chain.macro_transition)
        rows_per_step = max(1, model.slow_interval_ns // model.interval_ns)
    watch, alarm = _bounds(
        tuple(map(tuple, chain.tolist())), tuple((visits / visits.sum()).tolist()), len(states), rows_per_step
    )
    return Occupancy(population_stability(visits, states.sum(axis=0)), watch, alarm)


@lru_cache(maxsize=64)
def _bounds(
    chain: tuple[tuple[float, ...], ...], trained: tuple[float, ...], rows: int, rows_per_step: int
) -> tuple[float, float]:
    found = simulated_indices(np.array(chain), np.array(trained), rows=rows, rows_per_step=rows_per_step)
    watch, alarm = np.quantile(found, (WATCH_AT, ALARM_AT))
    return max(PSI_WATCH, float(watch)), max(PSI_ALARM, float(alarm))


def simulated_indices(
    chain: FloatArray, trained: FloatArray, *, rows: int, rows_per_step: int = 1, seed: int = 0
) -> FloatArray:
    """Return (4000,) indices of windows a chain makes when nothing has changed.

    Parameters
    ----------
    chain : (K, K).  trained : (K,) shares of time.  rows : of a window.  rows_per_step : that share one state.
    """
    states = len(trained)
    if states == 1:
        return np.zeros(PATHS)
    rng = np.random.default_rng(seed)
    steps = math.ceil(rows / rows_per_step)
    edges = np.cumsum(chain, axis=1)[:, :-1]
    at = np.searchsorted(np.cumsum(stationary_law(chain))[:-1], rng.random(PATHS), side="right")
    counts = np.zeros((PATHS, states))
    every = np.arange(PATHS)
    for _ in range(steps):
        counts[every, at] += 1.0
        at = (edges[at] <= rng.random(PATHS)[:, None]).sum(axis=1)
    return np.array([population_stability(trained, row) for row in counts])
