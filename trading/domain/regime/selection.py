"""How many states: held-out one-step log score over walk-forward blocks, with BIC as second opinion."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.errors import DegenerateFilter, FitRefused
from trading.domain.regime.filter import filter_series
from trading.domain.regime.fitting import BestFit, FitRecipe, Trainer, fit_best
from trading.domain.regime.scaler import Scaling
from trading.domain.regime.smoothing import icl

MOST_STATES = 4
_FEWEST_BLOCK_ROWS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One number of states.

    Attributes
    ----------
    held_out : mean log score per held-out row of each block, nats; empty when a block could not be fitted.
    bic, aic, icl : of the fit to all rows; smaller is better.
    """

    states: int
    best: BestFit | None
    held_out: tuple[float, ...]
    bic: float
    aic: float
    icl: float
    refusal: str = ""

    @property
    def score(self) -> float:
        """Mean held-out log score per row, -inf where there is none."""
        return math.fsum(self.held_out) / len(self.held_out) if self.held_out else -math.inf


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The chosen number of states and what each candidate scored.

    Attributes
    ----------
    states : by held-out score with the one-standard-error rule.  by_bic : the second opinion.
    """

    states: int
    by_bic: int
    candidates: tuple[Candidate, ...]

    @property
    def opinions_agree(self) -> bool:
        return self.states == self.by_bic

    def candidate(self, states: int) -> Candidate:
        return next(one for one in self.candidates if one.states == states)


def select_states(
    x: FloatArray,
    names: tuple[str, ...],
    recipe: FitRecipe,
    *,
    candidates: tuple[int, ...] = (1, 2, 3, 4),
    blocks: int = 8,
    lengths: tuple[int, ...] | None = None,
    trainer: Trainer | None = None,
    scaling: Scaling | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Selection:
    """Choose the number of states.

    The first half of the rows begins the training window; the second is cut into `blocks`, each scored by a
    model fitted to all rows before it, filtered on from there. Degenerate candidates are scored but not chosen.

    Parameters
    ----------
    x : (T, D) features, not standardised: each block's scaler is fitted on the rows before it alone.
    progress : called with (fits done, of how many).

    Raises
    ------
    FitRefused : blocks of fewer than 20 rows, or no candidate could be fitted.
    """
    scaling = scaling or Scaling()
    first = x.shape[0] // 2
    if blocks < 2 or (x.shape[0] - first) // blocks < _FEWEST_BLOCK_ROWS:
        raise FitRefused(
            f"{x.shape[0]} rows are too few for {blocks} blocks of {_FEWEST_BLOCK_ROWS} held-out rows and more"
        )
    edges = [first + (x.shape[0] - first) * number // blocks for number in range(blocks + 1)]
    spans = lengths or (x.shape[0],)
    done, total = 0, len(candidates) * (blocks + 1)
    results: list[Candidate] = []
    for states in candidates:
        wanted = replace(recipe, states=states)
        best: BestFit | None = None
        held_out: list[float] = []
        bic = aic = entropy_bic = math.inf
        refusal = ""
        try:
            whole = scaling.fit(x, names).apply(x)
            best = fit_best(whole, names, wanted, lengths=spans, trainer=trainer)
            bic, aic, entropy_bic = best.fit.bic(), best.fit.aic(), icl(whole, best.fit, spans)
            for start, stop in pairwise(edges):
                # The scale differs from block to block by a constant that every candidate shares.
                z = scaling.fit(x[:start], names).apply(x[:stop])
                part = fit_best(z[:start], names, wanted, lengths=cut_lengths(spans, start), trainer=trainer)
                _, scores = filter_series(part.fit.hmm, z, cut_lengths(spans, stop), machine_code=True)
                held_out.append(float(scores[start:].mean()))
                done += 1
                if progress is not None:
                    progress(done, total)
        except (FitRefused, DegenerateFilter) as error:
            refusal, held_out = str(error), []
        done = (len(results) + 1) * (blocks + 1)
        if progress is not None:
            progress(done, total)
        results.append(Candidate(states, best, tuple(held_out), bic, aic, entropy_bic, refusal))
    return Selection(_by_one_standard_error(results), _by_bic(results), tuple(results))


def cut_lengths(lengths: tuple[int, ...], rows: int) -> tuple[int, ...]:
    """Return the stretches of the first `rows` rows."""
    kept: list[int] = []
    left = rows
    for length in lengths:
        if left <= 0:
            break
        kept.append(min(length, left))
        left -= length
    return tuple(kept)


def _by_one_standard_error(results: list[Candidate]) -> int:
    usable = [one for one in results if one.held_out and one.best is not None and not one.best.findings]
    if not usable:
        reasons = "; ".join(
            f"{one.states}: {one.refusal or ', '.join(map(str, one.best.findings if one.best else ()))}"
            for one in results
        )
        raise FitRefused(f"no number of states gave a sound fit ({reasons})")
    best = max(usable, key=lambda one: one.score)
    for one in sorted(usable, key=lambda one: one.states):
        # Blocks are easy or hard for every candidate alike, so the error is that of the paired difference.
        gaps = np.array(best.held_out) - np.array(one.held_out)
        error = float(gaps.std(ddof=1)) / math.sqrt(len(gaps))
        if float(gaps.mean()) <= error:
            return one.states
    return best.states


def _by_bic(results: list[Candidate]) -> int:
    return min(results, key=lambda one: (one.bic, one.states)).states
