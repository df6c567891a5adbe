"""When a fit is not a model: degenerate variances, empty states, chains that do not stay or never leave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

import numpy as np

from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.em import Fit
from trading.domain.regime.gaussian import GaussianEmission

SMALLEST_VARIANCE: Final = 1e-4
"""In standardised units squared."""
FEWEST_VISITS: Final = 30
FEWEST_VISITS_SHARE: Final = 0.01
SHORTEST_DURATION: Final = 2.0
"""Bars."""
LARGEST_CONDITION: Final = 1e6
LARGEST_FALL: Final = 1e-6
"""Of the objective between two iterations, as a part of its size."""


class Degeneracy(StrEnum):
    """What is wrong with a fit."""

    VARIANCE = "VARIANCE_TOO_SMALL"
    VISITS = "TOO_FEW_VISITS"
    TRANSITION = "TRANSITION_NOT_STOCHASTIC"
    SHORT = "DURATION_TOO_SHORT"
    LONG = "DURATION_TOO_LONG"
    CONDITION = "ILL_CONDITIONED"
    FELL = "OBJECTIVE_FELL"
    UNFINISHED = "NOT_CONVERGED"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong; `state` is None where it is the whole fit's."""

    kind: Degeneracy
    state: int | None
    value: float
    limit: float

    def __str__(self) -> str:
        where = "" if self.state is None else f" in state {self.state}"
        return f"{self.kind.value}{where}: {self.value:.6g}, limit {self.limit:g}"


def degeneracies(fit: Fit) -> tuple[Finding, ...]:
    """Return everything that forbids a fit to serve; empty when it is sound.

    A variance under 1e-4 (standardised), under max(30, 1 %) expected visits, a row of the transition matrix
    that is not a distribution, an expected duration under 2 bars or over the training length, a covariance
    condition number over 1e6, an objective that fell by more than 1e-6 of its size, or no convergence.
    """
    durations = fit.hmm.expected_durations()
    row_errors = np.abs(fit.hmm.transition.sum(axis=1) - 1.0)
    found = list(emission_findings(fit.hmm.emission, fit.visits, fit.rows))
    found += duration_findings(durations, fit.rows)
    for k in range(fit.hmm.states):
        if not row_errors[k] <= 1e-9:
            found.append(Finding(Degeneracy.TRANSITION, k, float(row_errors[k]), 1e-9))
    found += trace_findings(fit.trace)
    if not fit.converged:
        found.append(Finding(Degeneracy.UNFINISHED, None, float(len(fit.trace)), float(len(fit.trace))))
    return tuple(found)


def emission_findings(emission: GaussianEmission, visits: FloatArray, rows: int) -> Iterator[Finding]:
    """Yield what is wrong with states that see too little or are too narrow.

    Parameters
    ----------
    visits : (K,) expected rows in each state, of `rows`.
    """
    variances = np.diagonal(emission.covariances, axis1=1, axis2=2).min(axis=1)
    conditions = np.linalg.cond(emission.covariances)
    needed = max(float(FEWEST_VISITS), FEWEST_VISITS_SHARE * rows)
    for k in range(emission.states):
        if not variances[k] >= SMALLEST_VARIANCE:
            yield Finding(Degeneracy.VARIANCE, k, float(variances[k]), SMALLEST_VARIANCE)
        if not conditions[k] <= LARGEST_CONDITION:
            yield Finding(Degeneracy.CONDITION, k, float(conditions[k]), LARGEST_CONDITION)
        if not visits[k] >= needed:
            yield Finding(Degeneracy.VISITS, k, float(visits[k]), needed)


def duration_findings(durations: FloatArray, rows: int) -> Iterator[Finding]:
    """Yield states that hardly stay or never leave; a single state has nowhere to go, so it passes."""
    for k in range(len(durations) if len(durations) > 1 else 0):
        if durations[k] < SHORTEST_DURATION:
            yield Finding(Degeneracy.SHORT, k, float(durations[k]), SHORTEST_DURATION)
        if durations[k] > rows:
            yield Finding(Degeneracy.LONG, k, float(durations[k]), float(rows))


def trace_findings(trace: tuple[float, ...]) -> Iterator[Finding]:
    """Yield the first fall of an objective that may only rise."""
    for before, after in pairwise(trace):
        limit = LARGEST_FALL * max(1.0, abs(before))
        if before - after > limit:
            yield Finding(Degeneracy.FELL, None, before - after, limit)
            return
