"""Shuffled trades: small cases by enumeration, large ones by their laws."""

from itertools import permutations

import numpy as np
import pytest

from trading.domain.research.monte_carlo import shuffle_trades


def deepest(returns):
    equity, peak, worst = 1.0, 1.0, 0.0
    for r in returns:
        equity *= 1 + r
        peak = max(peak, equity)
        worst = max(worst, 1 - equity / peak)
    return worst


def test_shuffled_drawdowns_are_those_of_all_orders():
    trades = [0.1, -0.05, 0.03, -0.08]
    every = sorted(deepest(order) for order in permutations(trades))
    found = shuffle_trades(trades, np.random.default_rng(1), paths=6000)
    assert found.max_drawdown.observed == pytest.approx(deepest(trades))
    assert every[11] - 1e-9 <= found.max_drawdown.median <= every[12] + 1e-9, (
        "24 orders: between the middle two"
    )
    assert found.max_drawdown.p99 == pytest.approx(every[-1])
    share = np.mean([depth <= deepest(trades) + 1e-12 for depth in every])
    assert found.max_drawdown.observed_rank == pytest.approx(share, abs=0.02)


def test_the_order_does_not_change_the_result_but_drawing_again_does():
    trades = np.random.default_rng(2).normal(0.002, 0.02, 200)
    kept = shuffle_trades(trades, np.random.default_rng(3), paths=200)
    drawn = shuffle_trades(trades, np.random.default_rng(3), paths=200, replace=True)
    assert kept.final_return.p05 == pytest.approx(kept.final_return.p95)
    assert kept.final_return.observed_rank == 1.0
    assert drawn.final_return.p05 < drawn.final_return.observed < drawn.final_return.p95


def test_the_longest_run_of_losses_is_counted():
    found = shuffle_trades([0.1, -0.1, -0.1, -0.1, 0.1], np.random.default_rng(4), paths=500)
    assert found.longest_losses.observed == 3
    assert 1 <= found.longest_losses.p05 <= found.longest_losses.p99 <= 3


def test_ruin_is_counted_against_its_level():
    halves = [-0.3] * 4
    assert shuffle_trades(halves, np.random.default_rng(5), paths=10, ruin_level=0.25).ruin_probability == 1.0
    assert shuffle_trades(halves, np.random.default_rng(5), paths=10, ruin_level=0.2).ruin_probability == 0.0


def test_a_trade_that_lost_everything_is_refused():
    with pytest.raises(ValueError, match="lost everything"):
        shuffle_trades([0.1, -1.0], np.random.default_rng(0))
    with pytest.raises(ValueError, match="expected 2 trades"):
        shuffle_trades([0.1], np.random.default_rng(0))
