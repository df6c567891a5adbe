"""The results of a parameter sweep: ranked, counted as trials, and tested for overfitting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trading.domain.research.grid import Candidate
from trading.domain.research.outcomes import SCORES, Outcome
from trading.domain.research.overfitting import Overfitting, backtest_overfitting, most_blocks
from trading.domain.research.trials import TrialCount, effective_trials
from trading.domain.statistics.figures import FloatArray

_FEWEST_ROWS = 40
"""Fewer periods than that make blocks too short to say anything about overfitting."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration and what came of it."""

    candidate: Candidate
    outcome: Outcome


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """All trials in the order of the grid, and what "best" meant."""

    trials: tuple[Trial, ...]
    score: str
    skipped: int = 0

    def __post_init__(self) -> None:
        if not self.trials:
            raise ValueError("a sweep needs at least one trial")
        if self.score not in SCORES:
            raise ValueError(f"unknown score {self.score!r}; expected one of {', '.join(SCORES)}")

    def scores(self) -> FloatArray:
        """(N,), the score of each trial."""
        measure = SCORES[self.score]
        return np.array([measure(trial.outcome) for trial in self.trials])

    def ranked(self) -> list[Trial]:
        """Return the trials best first; ties keep the order of the grid."""
        order = np.argsort(-self.scores(), kind="stable")
        return [self.trials[at] for at in order.tolist()]

    def matrix(self) -> FloatArray:
        """(P, N), the period returns of each trial."""
        return np.column_stack([trial.outcome.periods for trial in self.trials])

    def trial_count(self) -> TrialCount:
        """Return how many trials these were, for deflation."""
        ratios = np.array([trial.outcome.sharpe.value or 0.0 for trial in self.trials])
        matrix = self.matrix()
        effective = effective_trials(matrix) if len(matrix) > 1 else float(len(ratios))
        variance = float(ratios.var(ddof=1)) if len(ratios) > 1 else 0.0
        return TrialCount(len(ratios), effective, float(ratios.mean()), variance)

    def overfitting(self) -> Overfitting | None:
        """Return the probability of overfitting, None with one trial or fewer than 40 periods."""
        matrix = self.matrix()
        if matrix.shape[1] < 2 or matrix.shape[0] < _FEWEST_ROWS:
            return None
        return backtest_overfitting(matrix, most_blocks(len(matrix)))


def neighbours_share(sweep: Sweep, names: Sequence[str]) -> float | None:
    """Return the mean score of the best trial's grid neighbours over its own score; None where undefined.

    A best trial whose neighbours fail stands on a spike: near 1 is a plateau, near 0 or below is luck.
    Neighbours differ in one parameter by one step.
    """
    best = sweep.ranked()[0]
    top = SCORES[sweep.score](best.outcome)
    if top <= 0:
        return None
    values = {name: _distinct(sweep, name) for name in names}
    found = []
    for trial in sweep.trials:
        distance = sum(
            abs(values[n].index(trial.candidate.values[n]) - values[n].index(best.candidate.values[n]))
            for n in names
        )
        if distance == 1:
            found.append(SCORES[sweep.score](trial.outcome))
    return float(np.mean(found)) / top if found else None


def _distinct(sweep: Sweep, name: str) -> list[str]:
    return list(dict.fromkeys(trial.candidate.values[name] for trial in sweep.trials))
