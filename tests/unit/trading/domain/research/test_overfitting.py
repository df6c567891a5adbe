"""PBO beyond the two published matrices: noise, skill, and a naive computation of the definition."""

from itertools import combinations

import numpy as np
import pytest

from trading.domain.research.overfitting import backtest_overfitting, most_blocks


def naive_logits(matrix, blocks):
    """The definition with explicit rows, numpy means and standard deviations."""
    length = len(matrix) // blocks
    parts = [matrix[b * length : (b + 1) * length] for b in range(blocks)]
    logits = []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.vstack([parts[b] for b in chosen])
        outside = np.vstack([parts[b] for b in range(blocks) if b not in chosen])
        best = np.argmax(inside.mean(axis=0) / inside.std(axis=0, ddof=1))
        out = outside.mean(axis=0) / outside.std(axis=0, ddof=1)
        w = ((out < out[best]).sum() + 1) / (matrix.shape[1] + 1)
        logits.append(np.log(w / (1 - w)))
    return np.array(logits)


def test_sums_per_block_give_the_definition():
    matrix = np.random.default_rng(1).normal(0.001, 0.02, (203, 7))
    for blocks in (2, 6, 8):
        assert backtest_overfitting(matrix, blocks).logits == pytest.approx(naive_logits(matrix, blocks))


def test_choosing_among_noise_is_a_coin_toss():
    # Reference over 30 such data sets: mean 0.53, standard deviation 0.16.
    rng = np.random.default_rng(2)
    found = [backtest_overfitting(rng.normal(0, 0.01, (1000, 100)), 10).probability for _ in range(12)]
    assert np.mean(found) == pytest.approx(0.53, abs=3 * 0.16 / 12**0.5)


def test_one_true_strategy_among_noise_is_no_overfitting():
    # Annual Sharpe 3 in daily returns of 1 %: mean 3 x 0.01 / sqrt(365).
    rng = np.random.default_rng(3)
    found = []
    for _ in range(8):
        matrix = rng.normal(0, 0.01, (1000, 101))
        matrix[:, 40] += 3 * 0.01 / 365**0.5
        found.append(backtest_overfitting(matrix, 10).probability)
    assert np.mean(found) < 0.15


def test_columns_that_never_vary_do_not_win():
    matrix = np.random.default_rng(4).normal(0.002, 0.01, (100, 3))
    matrix[:, 0] = 0.0
    assert np.isfinite(backtest_overfitting(matrix, 4).logits).all()


@pytest.mark.parametrize(
    ("shape", "blocks", "complaint"),
    [((100, 1), 4, "two columns"), ((100, 3), 5, "even number"), ((7, 3), 4, "at least 8 rows")],
)
def test_impossible_requests_are_refused(shape, blocks, complaint):
    with pytest.raises(ValueError, match=complaint):
        backtest_overfitting(np.ones(shape), blocks)


def test_the_number_of_blocks_leaves_rows_in_each():
    assert most_blocks(1000) == 16
    assert most_blocks(95) == 8
    assert most_blocks(5) == 2
