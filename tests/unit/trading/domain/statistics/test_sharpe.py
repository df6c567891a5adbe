"""Sharpe ratios and their significance, against scipy, closed forms and limits."""

import math

import numpy as np
import pytest
from scipy import stats

from trading.domain.statistics import (
    Figure,
    annualised,
    deflated_sharpe,
    expected_maximum,
    minimum_backtest_years,
    minimum_track_record,
    normal,
    probabilistic_sharpe,
    sample_moments,
    sharpe_ratio,
    sortino_ratio,
)


@pytest.fixture
def returns():
    return np.random.default_rng(7).standard_t(5, 400) * 0.01 + 0.0004


def test_moments_are_those_of_scipy(returns):
    found = sample_moments(returns)
    assert found.skew == pytest.approx(stats.skew(returns), rel=1e-12)
    assert found.kurt == pytest.approx(stats.kurtosis(returns, fisher=False), rel=1e-12)
    assert found.sd == pytest.approx(stats.tstd(returns), rel=1e-12)


def test_the_normal_law_is_that_of_scipy_far_into_its_tails():
    for x in (-37.0, -8.0, -1.0, 0.0, 0.5, 6.0):
        assert normal.cdf(x) == pytest.approx(stats.norm.cdf(x), rel=1e-12)
    for x in (-500.0, -40.0, -20.5, -19.5, -3.0, 2.0):
        assert normal.log_cdf(x) == pytest.approx(stats.norm.logcdf(x), rel=1e-10)
    for p in (1e-12, 0.025, 0.5, 0.999):
        assert normal.quantile(p) == pytest.approx(stats.norm.ppf(p), rel=1e-9, abs=1e-12)


def test_the_sharpe_ratio_is_the_t_statistic_over_root_n(returns):
    expected = stats.ttest_1samp(returns, 0.0).statistic / math.sqrt(len(returns))
    assert sharpe_ratio(returns).value == pytest.approx(expected, rel=1e-12)


def test_annualising_multiplies_by_the_root_of_the_year():
    assert annualised(Figure(0.1), 365.0).value == pytest.approx(1.910497, rel=1e-6)
    assert annualised(Figure(None, "why"), 365.0).reason == "why"


@pytest.mark.parametrize("values", [[], [0.01], [0.01] * 50, [0.0] * 50])
def test_a_ratio_without_variation_has_a_reason_in_place_of_a_number(values):
    found = sharpe_ratio(values)
    assert found.value is None
    assert found.reason


def test_rounding_in_a_constant_growth_is_no_variation():
    equity = 100.0 * 1.001 ** np.arange(500)
    assert sharpe_ratio(equity[1:] / equity[:-1] - 1.0).value is None


def test_sortino_counts_only_falls_but_over_all_observations():
    # mean 0.005; downside = sqrt((0.01^2 + 0.01^2) / 4) = 0.00707107
    assert sortino_ratio([0.02, -0.01, 0.02, -0.01]).value == pytest.approx(0.005 / 0.0070710678, rel=1e-8)
    assert sortino_ratio([0.01, 0.02]).value is None


def test_psr_of_the_benchmark_itself_is_one_half():
    assert probabilistic_sharpe(sr=0.1, benchmark=0.1, n=100, skew=-1, kurt=8).value == 0.5


def test_psr_of_a_normal_sample_is_close_to_the_t_test(returns):
    moments = sample_moments(returns)
    sr = sharpe_ratio(returns).value
    found = probabilistic_sharpe(sr=sr, benchmark=0.0, n=400, skew=moments.skew, kurt=moments.kurt).value
    p_value = stats.ttest_1samp(returns, 0.0, alternative="greater").pvalue
    assert found == pytest.approx(1.0 - p_value, abs=0.01)


def test_psr_with_impossible_moments_is_undefined():
    # kurtosis below skew^2 + 1 belongs to no distribution
    assert probabilistic_sharpe(sr=1.0, benchmark=0.0, n=50, skew=3.0, kurt=1.0).value is None


def test_psr_covers_what_it_promises_on_skewed_returns():
    # Gamma returns (skew 1) with a true ratio of 0.1: PSR(0.1) must be uniform, so 5 % lie above 0.95.
    rng = np.random.default_rng(3)
    draws = rng.gamma(4.0, 0.5, (4000, 250)) - 2.0 + 0.1
    above = 0
    for row in draws:
        m = sample_moments(row)
        above += (
            probabilistic_sharpe(sr=m.mean / m.sd, benchmark=0.1, n=250, skew=m.skew, kurt=m.kurt).value
            > 0.95
        )
    assert above / 4000 == pytest.approx(0.05, abs=0.015)


def test_the_minimum_track_record_is_where_psr_reaches_the_probability():
    length = minimum_track_record(sr=0.08, benchmark=0.02, skew=-0.5, kurt=6.0, probability=0.9).value
    assert probabilistic_sharpe(
        sr=0.08, benchmark=0.02, n=length, skew=-0.5, kurt=6.0
    ).value == pytest.approx(0.9)
    assert minimum_track_record(sr=0.02, benchmark=0.02, skew=0.0, kurt=3.0).value is None


def test_the_expected_maximum_is_near_the_simulated_one():
    rng = np.random.default_rng(5)
    for n in (5, 20, 100):
        simulated = rng.standard_normal((20_000, n)).max(axis=1).mean()
        assert expected_maximum(n) == pytest.approx(simulated, rel=0.03)
    assert expected_maximum(1) == 0.0
    with pytest.raises(ValueError, match="at least one trial"):
        expected_maximum(0)


def test_one_trial_deflates_nothing():
    found = deflated_sharpe(sr=0.1, trials_variance=0.01, n_trials=1, n=500, skew=0.0, kurt=3.0)
    assert found.benchmark == 0.0
    assert found.probability == probabilistic_sharpe(sr=0.1, benchmark=0.0, n=500, skew=0.0, kurt=3.0)


def test_deflation_grows_with_the_trials():
    found = [
        deflated_sharpe(
            sr=0.1, trials_variance=0.001, n_trials=n, n=500, skew=0.0, kurt=3.0
        ).probability.value
        for n in (1, 2, 10, 100, 10_000)
    ]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 5


def test_the_minimum_backtest_length_is_below_its_simple_bound():
    for n in (2, 10, 1000):
        assert minimum_backtest_years(n_trials=n, sr_annual=1.5) < 2 * math.log(n) / 1.5**2


def test_the_best_of_many_lucky_strategies_is_not_significant_after_deflation():
    # 100 strategies without skill: the best looks good in 95 % of samples and its DSR must not.
    rng = np.random.default_rng(11)
    naive = deflated = 0
    for _ in range(60):
        trials = rng.normal(0.0, 0.01, (750, 100))
        ratios = trials.mean(axis=0) / trials.std(axis=0, ddof=1)
        best = trials[:, int(np.argmax(ratios))]
        m = sample_moments(best)
        known = {"sr": float(ratios.max()), "n": m.n, "skew": m.skew, "kurt": m.kurt}
        naive += probabilistic_sharpe(benchmark=0.0, **known).value > 0.95
        deflated += (
            deflated_sharpe(
                trials_variance=float(ratios.var(ddof=1)), n_trials=100, **known
            ).probability.value
            > 0.95
        )
    assert naive >= 55
    assert deflated <= 8
