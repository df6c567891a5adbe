"""Weight methods: their defining equations, other libraries, and what they refuse."""

from math import factorial

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from governance.domain.allocation import (
    AllocationError,
    best_probabilities,
    beta_exceeds,
    binary_kelly,
    capped_kelly,
    discounted,
    draw_best,
    equal_weights,
    ewma_covariance,
    hedge_observe,
    hedge_rate,
    hedge_start,
    inverse_volatility,
    kelly_growth_share,
    kelly_weights,
    risk_budget,
    risk_contributions,
    scaled_losses,
    shrunk_covariance,
    shrunk_means,
    stressed_covariance,
    with_floor,
)

COV = np.array([[0.04, 0.006, -0.01], [0.006, 0.09, 0.02], [-0.01, 0.02, 0.16]])


def test_risk_parity_and_budgets_give_the_contributions_asked_for():
    assert risk_contributions(risk_budget(COV), COV) == pytest.approx([1 / 3] * 3, abs=1e-9)
    wanted = [0.5, 0.3, 0.2]
    assert risk_contributions(risk_budget(COV, [5, 3, 2]), COV) == pytest.approx(wanted, abs=1e-9)


def test_published_risk_parity_has_the_published_volatility():
    vols = np.array([0.1, 0.2, 0.3, 0.4])
    corr = np.eye(4)
    corr[0, 1] = corr[1, 0] = 0.8
    corr[2, 3] = corr[3, 2] = -0.5
    cov = corr * np.outer(vols, vols)
    w = risk_budget(cov)
    assert (w @ cov @ w) ** 0.5 == pytest.approx(0.102934, abs=1e-6)


def test_without_correlation_risk_parity_is_inverse_volatility():
    vols = np.array([0.1, 0.5, 0.02])
    assert risk_budget(np.diag(vols**2)) == pytest.approx(inverse_volatility(vols), rel=1e-9)


@pytest.mark.parametrize(
    "call",
    [
        lambda: inverse_volatility([0.1, 0.0]),
        lambda: inverse_volatility([0.1, float("nan")]),
        lambda: risk_budget([[1.0, 2.0], [2.0, 1.0]]),
        lambda: risk_budget([[1.0, 0.5], [0.2, 1.0]]),
        lambda: risk_budget(COV, [1, 1, 0]),
        lambda: kelly_weights([0.1], COV),
        lambda: kelly_weights([0.1, 0.1, 0.1], COV, 1.5),
        lambda: capped_kelly([0.1, 0.1, 0.1], COV, fraction=0.6),
        lambda: capped_kelly([0.1, 0.1, 0.1], COV, cap=0.0),
        lambda: with_floor([0.5, 0.6], 0.1),
        lambda: with_floor([0.5, 0.5], 0.6),
        lambda: shrunk_means([0.1], [-1.0], 10.0),
        lambda: binary_kelly(1.2, 1.0),
        lambda: hedge_observe(hedge_start(2), [0.5, 1.5], eta=0.1),
        lambda: hedge_observe(hedge_start(2), [0.5], eta=0.1),
        lambda: hedge_observe(hedge_start(2), [0.5, 0.5], eta=0.0),
        lambda: scaled_losses([0.1], 0.1, 0.1),
        lambda: best_probabilities([0.1, 0.2], [0.1, 0.0]),
        lambda: draw_best([], [], np.random.default_rng(1)),
        lambda: beta_exceeds(0, 1, 1, 1),
        lambda: discounted(1.0, 1.0, -1.0, 1.0),
        lambda: ewma_covariance([[0.1, 0.2], [0.1, 0.2]], 0.0),
        lambda: shrunk_covariance([[0.1, 0.1], [0.1, 0.1]]),
        lambda: stressed_covariance(COV, 1.0),
    ],
)
def test_unusable_input_is_refused_and_never_allocated_from(call):
    with pytest.raises(AllocationError):
        call()


def test_kelly_of_one_strategy_is_edge_over_variance_and_of_a_coin_the_published_tenth():
    assert kelly_weights([0.001], [[0.0004]], 1.0) == pytest.approx([2.5])
    assert binary_kelly(0.55, 1.0) == pytest.approx(0.10)
    assert kelly_growth_share(0.5) == pytest.approx(0.75)


def test_capped_kelly_leaves_losers_out_and_solves_the_rest_again():
    found = capped_kelly([0.02, -0.05, 0.01], COV, fraction=0.25, cap=0.3)
    assert found[1] == 0.0
    pair = np.ix_([0, 2], [0, 2])
    assert found[[0, 2]] == pytest.approx(np.minimum(0.25 * np.linalg.solve(COV[pair], [0.02, 0.01]), 0.3))
    assert capped_kelly([-0.1, -0.1, -0.1], COV).tolist() == [0.0, 0.0, 0.0]


def test_little_edge_gets_little_capital_and_much_is_scaled_to_one():
    assert capped_kelly([1e-4] * 3, COV).sum() < 0.01
    assert capped_kelly([5.0] * 3, COV).sum() == pytest.approx(1.0)


def test_shrinking_by_the_prior_halves_at_as_many_observations():
    assert shrunk_means([0.2, 0.2], [0, 50], 50) == pytest.approx([0.0, 0.1])


def test_floors_keep_the_sum():
    assert with_floor([1.0, 0.0], 0.1) == pytest.approx([0.9, 0.1])
    assert with_floor([0.5, 0.0], 0.1) == pytest.approx([0.5, 0.1])
    assert equal_weights(4).tolist() == [0.25] * 4
    assert equal_weights(0).size == 0


def test_regret_of_hedge_stays_under_its_bound():
    rng = np.random.default_rng(1)
    periods, n = 500, 6
    losses = rng.random((periods, n)) ** np.array([0.5, 1, 1, 1, 2, 1])
    state, eta = hedge_start(n), hedge_rate(periods, n)
    for row in losses:
        state = hedge_observe(state, row, eta=eta)
    regret = state.loss - losses.sum(axis=0).min()
    assert regret <= (periods * np.log(n) / 2) ** 0.5
    assert int(np.argmax(state.weights)) == 4


def test_a_fixed_share_lets_a_strategy_come_back():
    plain = shared = hedge_start(2)
    for losses in [[0, 1]] * 200 + [[1, 0]] * 30:
        plain = hedge_observe(plain, losses, eta=0.5)
        shared = hedge_observe(shared, losses, eta=0.5, share=0.02)
    assert shared.weights[1] > 0.9
    assert plain.weights[1] < 1e-6


def test_hedge_survives_losses_that_would_underflow():
    state = hedge_start(2)
    for _ in range(50):
        state = hedge_observe(state, [1.0, 1.0], eta=1e6)
    assert state.weights == (0.5, 0.5)


def test_returns_become_losses_between_zero_and_one():
    assert scaled_losses([0.02, 0.0, -0.02, -0.1], -0.02, 0.02).tolist() == [0.0, 0.5, 1.0, 1.0]


def test_probabilities_of_being_best_agree_with_drawing():
    means, sds = [0.01, 0.012, 0.0], [0.02, 0.005, 0.05]
    rng = np.random.default_rng(2)
    draws = rng.normal(means, sds, (400_000, 3))
    shares = np.bincount(draws.argmax(axis=1), minlength=3) / 400_000
    assert best_probabilities(means, sds) == pytest.approx(shares, abs=0.003)
    assert best_probabilities([0.3], [0.1]).tolist() == [1.0]
    picked = np.bincount([draw_best(means, sds, rng) for _ in range(20_000)], minlength=3) / 20_000
    assert picked == pytest.approx(shares, abs=0.015)


def test_beta_comparison_equals_its_closed_form_for_whole_parameters():
    # P(Y > X) = sum over i < a2 of B(a1 + i, b1 + b2) / ((b2 + i) B(1 + i, b2) B(a1, b1))
    def beta(a, b):
        return factorial(a - 1) * factorial(b - 1) / factorial(a + b - 1)

    a1, b1, a2, b2 = 7, 12, 10, 9
    closed = sum(beta(a1 + i, b1 + b2) / ((b2 + i) * beta(1 + i, b2) * beta(a1, b1)) for i in range(a2))
    assert beta_exceeds(a1, b1, a2, b2) == pytest.approx(closed, abs=1e-9)
    assert beta_exceeds(a1, b1, a2, b2) + beta_exceeds(a2, b2, a1, b1) == pytest.approx(1.0, abs=1e-9)


def test_old_evidence_halves():
    assert discounted(8.0, 40.0, 2.0, 2.0) == (4.0, 20.0)


def test_the_shrunk_covariance_is_that_of_scikit_learn():
    x = np.random.default_rng(3).normal(size=(60, 8)) @ np.random.default_rng(4).normal(size=(8, 8))
    assert shrunk_covariance(x) == pytest.approx(ledoit_wolf(x)[0], rel=1e-9)


def test_exponential_weights_halve_after_the_half_life():
    x = np.array([[2.0, 0.0], [0.0, 1.0]])
    # weights 1/3 and 2/3
    assert ewma_covariance(x, 1.0) == pytest.approx(np.array([[4 / 3, 0.0], [0.0, 2 / 3]]))


def test_stress_raises_correlations_keeps_variances_and_stays_positive_definite():
    found = stressed_covariance(COV, 0.5)
    sd = np.sqrt(np.diag(COV))
    assert np.diag(found) == pytest.approx(np.diag(COV))
    assert (found / np.outer(sd, sd) >= 0.5 - 1e-9).all()
    # 0.99, 0.99 and -0.9 raised to 0.5 cannot hold together.
    odd = np.array([[1.0, 0.99, -0.9], [0.99, 1.0, 0.99], [-0.9, 0.99, 1.0]])
    repaired = stressed_covariance(odd, 0.5)
    assert np.linalg.eigvalsh(repaired).min() > 0
    assert np.diag(repaired) == pytest.approx(np.ones(3))
