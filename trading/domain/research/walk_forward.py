"""Walk-forward: choose on the past, judge on what follows, stitch what was judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from trading.domain.research.splits import Window, cpcv_paths, cpcv_splits
from trading.domain.statistics.figures import FloatArray
from trading.domain.statistics.sharpe import sharpe_ratio

Run = Callable[[int, int, int], FloatArray]
"""(candidate, start row, stop row) -> its net returns on those test rows, started flat, (stop - start,)."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One window: the candidate chosen on its training rows, and the scores on both parts."""

    window: Window
    chosen: int
    in_sample: float
    out_of_sample: float


@dataclass(frozen=True, slots=True)
class WalkForward:
    """Attributes
    ----------
    steps : in time order.  returns : (rows tested,), the chosen candidates' returns one after the other.
    efficiency : mean out-of-sample score over mean in-sample score, None unless the latter is positive.
    stability : share of steps that chose what the step before chose; None for a single step.
    """

    steps: tuple[Step, ...]
    returns: FloatArray
    efficiency: float | None
    stability: float | None

    @property
    def curve(self) -> FloatArray:
        """Growth of 1, from the row before the first test row on, shape (rows tested + 1,)."""
        return np.concatenate(([1.0], np.cumprod(1.0 + self.returns)))


def score_sharpe(returns: FloatArray) -> float:
    """Return the Sharpe ratio per observation; 0.0 where there is none, so that doing nothing beats losing."""
    return sharpe_ratio(returns).value or 0.0


def training_scores(
    returns: FloatArray, windows: Sequence[Window], score: Callable[[FloatArray], float] = score_sharpe
) -> FloatArray:
    """Return the score of one candidate on the training rows of each window, (windows,).

    Parameters
    ----------
    returns : (T,), of one run over all rows. Its decisions know only their past, so a part of it may stand for
        a run on that part; it may hold a position from before.
    """
    return np.array([score(returns[window.train_start : window.train_stop]) for window in windows])


def walk_forward(
    windows: Sequence[Window],
    scores: FloatArray,
    run: Run,
    *,
    score: Callable[[FloatArray], float] = score_sharpe,
    progress: Progress | None = None,
) -> WalkForward:
    """Choose the best-scoring candidate on each training part and judge it on the test part.

    Ties go to the candidate with the lowest number. Each test starts flat and pays for its entry; what is held
    at its end is valued, not sold.

    Parameters
    ----------
    scores : (candidates, windows), of `training_scores`.  score : of the tests, the same measure.

    Raises
    ------
    ValueError : no window or candidate, scores of another shape or not finite, a training part that reaches
        into its test, tests that do not follow one another, or returns of another length than asked for.
    """
    if not windows or scores.ndim != 2 or scores.shape[1] != len(windows) or not len(scores):
        raise ValueError(f"expected windows and a score of each candidate in each, was {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("expected finite scores")
    for before, after in pairwise(windows):
        if after.test_start != before.test_stop:
            raise ValueError(f"the test from {after.test_start} does not follow that to {before.test_stop}")
    steps, pieces = [], []
    for number, window in enumerate(windows):
        if window.train_stop > window.test_start:
            raise ValueError(
                f"training to {window.train_stop} reaches into the test from {window.test_start}"
            )
        best = int(np.argmax(scores[:, number]))
        judged = _checked(run, best, window.test_start, window.test_stop)
        steps.append(Step(window, best, float(scores[best, number]), score(judged)))
        pieces.append(judged)
        if progress is not None:
            progress(number + 1, len(windows))
    inside = float(np.mean([step.in_sample for step in steps]))
    outside = float(np.mean([step.out_of_sample for step in steps]))
    same = [a.chosen == b.chosen for a, b in pairwise(steps)]
    return WalkForward(
        steps=tuple(steps),
        returns=np.concatenate(pieces),
        efficiency=outside / inside if inside > 0 else None,
        stability=float(np.mean(same)) if same else None,
    )


def combinatorial_paths(
    returns: FloatArray,
    *,
    groups: int,
    test_groups: int,
    horizon: int,
    embargo: int,
    score: Callable[[FloatArray], float] = score_sharpe,
) -> FloatArray:
    """Return the returns of each combinatorial purged path, shape (paths, T).

    In each split the column that scores best on the training rows is used on the tested groups; each path
    covers all T rows once, out of sample everywhere. Ties go to the lowest column.

    Parameters
    ----------
    returns : (T, N), net returns of N fixed configurations, each run once over all rows.

    Raises
    ------
    ValueError : as `cpcv_splits`.
    """
    matrix = np.asarray(returns, dtype=np.float64)
    splits = cpcv_splits(
        len(matrix), groups=groups, test_groups=test_groups, horizon=horizon, embargo=embargo
    )
    chosen = []
    for split in splits:
        scores = [score(matrix[split.train, column]) for column in range(matrix.shape[1])]
        chosen.append(int(np.argmax(scores)))
    paths = []
    for path in cpcv_paths(groups, test_groups):
        pieces = []
        for number, group in path:
            rows = splits[number].tests[splits[number].test_groups.index(group)]
            pieces.append(matrix[rows, chosen[number]])
        paths.append(np.concatenate(pieces))
    return np.array(paths)


def _checked(run: Run, candidate: int, start: int, stop: int) -> FloatArray:
    returns = np.asarray(run(candidate, start, stop), dtype=np.float64)
    if returns.shape != (stop - start,):
        raise ValueError(f"expected {stop - start} returns for rows {start} to {stop}, were {returns.shape}")
    return returns
