"""Sequential tests: Wald's guarantees and false promotions under continuous peeking, by simulation."""

import math

import numpy as np
import pytest

from trading.domain.statistics.sequential import (
    MixtureState,
    betting_log_wealth,
    confidence_sequence,
    e_benjamini_hochberg,
    long_run_factor,
    mixture_bound,
    mixture_log_e,
    mixture_observe,
    mixture_rho,
    shared_alpha,
    sprt_increment,
    sprt_plan,
)

LOG_20 = math.log(20.0)


def promoted(differences, n_opt=400.0, factor=1.0):
    state = MixtureState()
    for d in differences:
        state = mixture_observe(state, d, alpha=0.05, n_opt=n_opt, variance_factor=factor)
        if state.best_log_e >= LOG_20:
            return state.n
    return None


def best_log_e_paths(differences, n_opt):
    """The same test over many runs at once, written independently with cumulative sums; (runs,)."""
    n = np.arange(1, differences.shape[1] + 1)
    total, squares = differences.cumsum(axis=1), (differences**2).cumsum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = (squares - total**2 / n) / (n - 1)
        s = total / np.sqrt(variance)
    double = 2 * math.log(10)
    rho = n_opt / (double + math.log(1 + double))
    from scipy.special import log_ndtr

    log_e = 0.5 * np.log(4 * rho / (n + rho)) + s**2 / (2 * (n + rho)) + log_ndtr(s / np.sqrt(n + rho))
    return log_e[:, 29:].max(axis=1)


def test_identical_strategies_are_promoted_no_more_often_than_alpha_under_continuous_peeking():
    rng = np.random.default_rng(1)
    runs = 2000
    best = best_log_e_paths(rng.normal(0, 1, (runs, 2000)), 400.0)
    assert np.mean(best >= LOG_20) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_the_running_state_equals_the_sums_over_all_observations():
    x = np.random.default_rng(2).normal(0.05, 2.0, 500)
    state = MixtureState()
    for d in x:
        state = mixture_observe(state, d, alpha=0.05, n_opt=400.0)
    assert state.best_log_e == pytest.approx(max(0.0, best_log_e_paths(x[None, :], 400.0)[0]), rel=1e-9)
    assert state.mean == pytest.approx(x.mean())
    assert state.m2 / 499 == pytest.approx(x.var(ddof=1))


def test_an_effect_is_found_and_the_unit_does_not_matter():
    x = np.random.default_rng(3).normal(0.3, 1.0, 2000)
    found = promoted(x, n_opt=100.0)
    assert found is not None
    assert found == promoted(x * 1e-4, n_opt=100.0)
    assert promoted(-x, n_opt=100.0) is None


def test_nothing_is_decided_before_thirty_observations():
    assert promoted(np.linspace(0.9, 1.1, 29)) is None
    assert promoted(np.linspace(0.9, 1.1, 30)) == 30


def test_differences_that_never_vary_decide_nothing():
    assert promoted([0.5] * 200) is None


def test_the_p_value_never_rises_again():
    rng = np.random.default_rng(4)
    state, last = MixtureState(), 1.0
    for d in np.concatenate((rng.normal(0.4, 1, 200), rng.normal(-0.4, 1, 200))):
        state = mixture_observe(state, d, alpha=0.05, n_opt=100.0)
        assert state.p_value <= last
        last = state.p_value


def test_bad_differences_are_refused():
    with pytest.raises(ValueError, match="finite difference"):
        mixture_observe(MixtureState(), float("nan"), alpha=0.05, n_opt=100.0)
    with pytest.raises(ValueError, match="factor of 1 or more"):
        mixture_observe(MixtureState(), 0.1, alpha=0.05, n_opt=100.0, variance_factor=0.5)


@pytest.mark.parametrize("one_sided", [False, True])
def test_the_bound_is_where_the_e_value_reaches_one_over_alpha(one_sided):
    rho = mixture_rho(100.0, 0.05, one_sided=one_sided)
    for v in (1.0, 100.0, 1e5):
        bound = mixture_bound(v, 0.05, rho, one_sided=one_sided)
        assert mixture_log_e(bound, v, rho, one_sided=one_sided) == pytest.approx(LOG_20, rel=1e-9)


def test_the_confidence_sequence_covers_the_mean_at_all_times_at_once():
    rng = np.random.default_rng(5)
    missed = 0
    for _ in range(100):
        state, outside = MixtureState(), False
        for d in rng.normal(0.2, 1.0, 300):
            state = mixture_observe(state, d, alpha=0.05, n_opt=100.0)
            interval = confidence_sequence(state, alpha=0.05, n_opt=100.0)
            outside = outside or (interval is not None and not interval[0] <= 0.2 <= interval[1])
        missed += outside
    assert missed <= 5 + 3 * math.sqrt(100 * 0.05 * 0.95)
    assert confidence_sequence(MixtureState(), alpha=0.05, n_opt=100.0) is None


def test_the_long_run_factor_of_an_autoregression_is_near_its_closed_form():
    rng = np.random.default_rng(6)
    x = np.empty(40_000)
    x[0] = 0.0
    noise = rng.normal(size=len(x))
    for t in range(1, len(x)):
        x[t] = 0.5 * x[t - 1] + noise[t]
    # 1 + 2 sum rho_j = (1 + 0.5) / (1 - 0.5) = 3; Bartlett weights lose a little of it.
    assert long_run_factor(x, 40) == pytest.approx(3.0, rel=0.1)
    assert long_run_factor([1.0, -1.0] * 50, 1) == 1.0
    assert long_run_factor([1.0] * 10, 3) == 1.0
    with pytest.raises(ValueError, match="more than"):
        long_run_factor([1.0, 2.0], 5)


def test_walds_test_keeps_its_errors():
    plan = sprt_plan(0.5, 0.05, 0.2)
    rng = np.random.default_rng(7)
    outcomes = {0.0: 0, 0.5: 0}
    for mean in outcomes:
        for _ in range(800):
            ratio = 0.0
            while plan.lower < ratio < plan.upper:
                ratio += sprt_increment(plan, rng.normal(mean, 1.0))
            outcomes[mean] += ratio >= plan.upper
    assert outcomes[0.0] / 800 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 800)
    assert outcomes[0.5] / 800 >= 0.8 - 3 * math.sqrt(0.8 * 0.2 / 800)


def test_betting_on_a_fair_coin_rarely_gets_rich():
    rng = np.random.default_rng(8)
    rich = sum(betting_log_wealth(rng.integers(0, 2, 500), 0.5).max() >= LOG_20 for _ in range(600))
    assert rich / 600 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 600)
    with pytest.raises(ValueError, match="outcomes of 0 to 1"):
        betting_log_wealth([0.5, 1.5], 0.5)


def test_several_challengers_share_alpha():
    assert shared_alpha(0.05, 4) == 0.0125
    with pytest.raises(ValueError, match="at least one"):
        shared_alpha(0.05, 0)


def test_e_bh_takes_the_largest_set_that_pays_for_itself():
    # m = 4, alpha 0.1: one needs e >= 40, two need 20 each, three need 13.3, four need 10.
    e = [25.0, 3.0, 21.0, 1.0]
    assert e_benjamini_hochberg([math.log(x) for x in e], 0.1) == [0, 2]
    assert e_benjamini_hochberg([math.log(x) for x in (25.0, 3.0, 2.0, 1.0)], 0.1) == []
    assert e_benjamini_hochberg([], 0.1) == []
