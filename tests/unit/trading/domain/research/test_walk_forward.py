"""Walk-forward and combinatorial paths: chosen on the past only, judged on what follows."""

import numpy as np
import pytest

from trading.domain.research.gate import GateLimits, positive_share, promotion_gate
from trading.domain.research.splits import Window, walk_forward_windows
from trading.domain.research.trials import TrialCount, effective_trials, pooled_trials
from trading.domain.research.walk_forward import (
    combinatorial_paths,
    score_sharpe,
    training_scores,
    walk_forward,
)

RNG = np.random.default_rng(1)
NOISE = RNG.normal(0, 0.01, (600, 5))


def walk(windows, matrix, score=score_sharpe):
    """A walk-forward over fixed return columns."""
    scores = np.array([training_scores(column, windows, score) for column in matrix.T])
    return walk_forward(windows, scores, lambda c, start, stop: matrix[start:stop, c], score=score)


def test_the_best_of_the_training_rows_is_judged_on_the_test_rows():
    matrix = np.full((60, 2), 0.001) + np.tile([[1e-4], [-1e-4]], (30, 1))
    matrix[:30, 0] += 0.01  # candidate 0 is better at first,
    matrix[30:, 1] += 0.01  # candidate 1 afterwards
    windows = [Window(0, 20, 20, 40), Window(20, 40, 40, 60)]
    found = walk(windows, matrix, lambda r: float(r.mean()))
    assert [step.chosen for step in found.steps] == [0, 0]
    assert found.returns.tolist() == [*matrix[20:40, 0], *matrix[40:60, 0]]
    assert found.stability == 1.0
    assert found.steps[1].in_sample == pytest.approx(matrix[20:40, 0].mean())
    assert found.curve[-1] == pytest.approx(np.prod(1 + found.returns))


def test_what_happens_after_a_test_changes_no_earlier_choice_or_return():
    windows = walk_forward_windows(600, train=200, test=100, gap=5)
    whole = walk(windows, NOISE)
    changed = NOISE.copy()
    changed[305:] = RNG.normal(0, 0.01, changed[305:].shape)  # from the end of the first test on
    other = walk(windows, changed)
    assert other.steps[0] == whole.steps[0]
    assert other.returns[:100].tolist() == whole.returns[:100].tolist()
    assert other.returns[100:].tolist() != whole.returns[100:].tolist()


def test_ties_go_to_the_first_candidate():
    matrix = np.repeat(NOISE[:, :1], 3, axis=1)
    found = walk([Window(0, 300, 300, 600)], matrix)
    assert found.steps[0].chosen == 0
    assert found.stability is None


def test_a_candidate_that_does_nothing_beats_losers():
    matrix = np.column_stack((NOISE[:, 0] - 0.005, np.zeros(600)))
    assert walk([Window(0, 300, 300, 600)], matrix).steps[0].chosen == 1


def test_selection_on_noise_has_no_edge_out_of_sample():
    rng = np.random.default_rng(2)
    scores = []
    for _ in range(60):
        matrix = rng.normal(0, 0.01, (500, 20))
        found = walk(walk_forward_windows(500, train=200, test=100), matrix)
        scores.append(found.returns.mean() / found.returns.std() * len(found.returns) ** 0.5)
        assert np.mean([step.in_sample for step in found.steps]) > 0.05, "the choice itself looks good"
    assert abs(np.mean(scores)) < 3 / 60**0.5


@pytest.mark.parametrize(
    ("windows", "complaint"),
    [
        ([], "expected windows"),
        ([Window(0, 10, 10, 20), Window(0, 10, 25, 30)], "does not follow"),
        ([Window(0, 15, 10, 20)], "reaches into the test"),
    ],
)
def test_windows_that_leak_or_leave_holes_are_refused(windows, complaint):
    with pytest.raises(ValueError, match=complaint):
        walk(windows, NOISE[:, :1])


def test_a_run_with_missing_rows_is_refused():
    with pytest.raises(ValueError, match="expected 10 returns"):
        walk_forward([Window(0, 10, 10, 20)], np.zeros((1, 1)), lambda c, a, b: NOISE[a : b - 1, 0])
    with pytest.raises(ValueError, match="finite scores"):
        walk_forward([Window(0, 10, 10, 20)], np.array([[np.nan]]), lambda c, a, b: NOISE[a:b, 0])


def test_combinatorial_paths_are_out_of_sample_everywhere():
    # Each column wins in one group only; chosen without seeing that group it never shines there.
    matrix = np.random.default_rng(3).normal(0, 0.001, (120, 4))
    for group in range(4):
        matrix[group * 30 : (group + 1) * 30, group] += 0.02
    paths = combinatorial_paths(matrix, groups=4, test_groups=1, horizon=0, embargo=0)
    assert paths.shape == (1, 120)
    assert abs(paths.mean()) < 0.002
    assert positive_share(np.vstack((paths, paths + 0.05))) >= 0.5


def test_effective_trials_of_identical_and_of_independent_columns():
    one = NOISE[:, :1]
    assert effective_trials(np.repeat(one, 10, axis=1)) == pytest.approx(1.0)
    independent = np.random.default_rng(4).normal(size=(20_000, 10))
    assert effective_trials(independent) == pytest.approx(10.0, rel=0.01)
    # Equal correlation 0.5 by a common factor: 0.5 + 0.5 x 10 = 5.5
    common = np.random.default_rng(5).normal(size=(20_000, 1))
    assert effective_trials(independent + common) == pytest.approx(5.5, rel=0.03)
    assert effective_trials(np.column_stack((one, np.zeros((600, 3))))) == 2.0


def test_sweeps_are_pooled_as_if_they_had_been_one():
    rng = np.random.default_rng(6)
    first, second = rng.normal(0.5, 1.0, 40), rng.normal(-0.5, 2.0, 10)
    counts = [TrialCount(len(x), 4.0, x.mean(), x.var(ddof=1)) for x in (first, second)]
    pooled = pooled_trials(counts)
    assert pooled.count == 8.0
    assert pooled.sharpe_variance == pytest.approx(np.concatenate((first, second)).var(ddof=1))
    with pytest.raises(ValueError, match="at least one sweep"):
        pooled_trials([])


def test_the_gate_fails_on_what_is_missing_and_passes_at_its_limits():
    passing = promotion_gate(
        deflated=0.95, overfitting=0.2, positive_paths=0.6, days=400.0, min_track_record_days=400.0
    )
    assert all(criterion.passed for criterion in passing)
    failing = promotion_gate(
        deflated=None, overfitting=0.21, positive_paths=0.59, days=399.0, min_track_record_days=400.0
    )
    assert [criterion.passed for criterion in failing] == [False] * 4
    unknown = promotion_gate(
        deflated=0.99, overfitting=0.0, positive_paths=1.0, days=9e9, min_track_record_days=None,
        limits=GateLimits(),
    )  # fmt: skip
    assert [criterion.passed for criterion in unknown] == [True, True, True, False]
