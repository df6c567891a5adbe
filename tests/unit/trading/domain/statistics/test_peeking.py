"""Looking after every observation: what it may cost, and that all prefixes at once say what each says alone."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from trading.domain.statistics.peeking import bounds, first_crossing, peek, standard_sums
from trading.domain.statistics.sequential import (
    MixtureState,
    mixture_log_e,
    mixture_observe,
    mixture_rho,
)

ALPHA, N_OPT, RUNS, LENGTH = 0.05, 300.0, 2000, 1000
ALLOWED = ALPHA + 3.0 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)


def ar1(rng: np.random.Generator, rho: float, runs: int = RUNS, length: int = LENGTH) -> np.ndarray:
    noise = rng.normal(size=(runs, length))
    path = np.empty_like(noise)
    path[:, 0] = noise[:, 0]
    for t in range(1, length):
        path[:, t] = rho * path[:, t - 1] + math.sqrt(1 - rho * rho) * noise[:, t]
    return path


@pytest.mark.parametrize("noise", ["normal", "t4", "ma1", 0.2, 0.4, 0.6])
def test_two_thousand_canaries_without_a_difference_are_promoted_no_oftener_than_alpha(
    noise: str | float,
) -> None:
    """No slack for chance is given: at most 0.05 of them, whatever the correlation of neighbouring intervals."""
    rng = np.random.default_rng(7)
    if isinstance(noise, float):
        paths = ar1(rng, noise)
    elif noise == "ma1":
        shocks = rng.normal(size=(RUNS, LENGTH + 1))
        paths = shocks[:, 1:] + 0.8 * shocks[:, :-1]
    else:
        paths = rng.standard_t(4, size=(RUNS, LENGTH)) if noise == "t4" else rng.normal(size=(RUNS, LENGTH))
    promoted = float((first_crossing(paths, alpha=ALPHA, n_opt=N_OPT) > 0).mean())
    assert 0.001 < promoted <= ALPHA  # the test does decide


def test_ignoring_autocorrelation_would_promote_too_often() -> None:
    paths = ar1(np.random.default_rng(8), 0.4)
    ignored = float((first_crossing(paths, alpha=ALPHA, n_opt=N_OPT, lags=0) > 0).mean())
    assert ignored > ALLOWED


def test_correlated_intervals_do_not_hide_a_real_difference() -> None:
    # 0.4 of correlation makes a sum's variance 2.33 times as large: 0.3 deviations are then worth 0.2, and the
    # published median of 151 differences at 0.2 is what an oracle of that variance would need. Not knowing it may
    # cost as much again.
    paths = 0.3 + ar1(np.random.default_rng(10), 0.4)
    found = first_crossing(paths, alpha=ALPHA, n_opt=100.0)
    assert (found > 0).mean() > 0.95
    assert np.median(found[found > 0]) < 2 * 151


def test_a_real_difference_of_a_fifth_of_a_deviation_is_found_about_as_soon_as_published() -> None:
    # science.md: effect 0.20 sd, median 151 observations.
    paths = 0.2 + np.random.default_rng(9).normal(size=(RUNS, LENGTH))
    found = first_crossing(paths, alpha=ALPHA, n_opt=100.0, lags=0)
    assert (found > 0).mean() > 0.99
    assert np.median(found[found > 0]) == pytest.approx(151, rel=0.15)


def test_all_prefixes_at_once_are_each_prefix_alone() -> None:
    x = ar1(np.random.default_rng(3), 0.5, runs=1, length=120)[0] + 40.0
    sums, factors = standard_sums(x, lags=4)
    assert np.isnan(sums[:29]).all()
    for n in (30, 31, 77, 120):
        part = x[:n]
        y = part - part.mean()
        rho = [float(y[j:] @ y[:-j]) / float(y @ y) for j in range(1, 5)]
        unbiased = rho[0] + (1 + 3 * rho[0]) / n
        upper = unbiased + 1.5 * math.sqrt((1 - unbiased**2) / n)
        factor = max(max(1.0, 1.0 + 2.0 * sum(rho)) + 2.0 * math.sqrt(4 / n), (1 + upper) / (1 - upper))
        assert factors[n - 1] == pytest.approx(factor, rel=1e-9)
        assert sums[n - 1] == pytest.approx(part.sum() / math.sqrt(part.var(ddof=1) * factor), rel=1e-9)


def test_one_path_says_what_the_running_test_says() -> None:
    x = 0.3 + np.random.default_rng(5).normal(size=90)
    state = MixtureState()
    for value in x.tolist():
        state = mixture_observe(state, value, alpha=ALPHA, n_opt=50.0)
    seen = peek(x, alpha=ALPHA, n_opt=50.0, lags=0)
    assert (seen.n, seen.factor) == (90, 1.0)
    assert seen.best == pytest.approx(state.best_log_e, rel=1e-9)
    crossed = int(first_crossing(x, alpha=ALPHA, n_opt=50.0, lags=0))
    assert seen.decides(ALPHA) == (crossed > 0)
    assert seen.low is not None
    assert seen.high is not None
    assert seen.low < seen.mean < seen.high


def test_the_bound_is_where_the_evidence_is_one_over_alpha() -> None:
    found = bounds(200, alpha=ALPHA, n_opt=100.0)
    rho = mixture_rho(100.0, ALPHA, one_sided=True)
    for n in (1, 30, 200):
        at = mixture_log_e(float(found[n - 1]), float(n), rho, one_sided=True)
        assert at == pytest.approx(math.log(1 / ALPHA), abs=1e-9)


def test_the_published_mixture_parameter_and_evidence() -> None:
    cases = json.loads((Path(__file__).parents[4] / "data/science_cases.json").read_text())
    by_id = {one["id"]: one for one in cases}
    assert {"S01", "S02", "S03"} <= set(by_id)
    # S01, S02: reference code of Howard, Ramdas, McAuliffe & Sekhon (2021).
    assert mixture_rho(100.0, 0.05) == pytest.approx(12.60056, rel=1e-6)
    assert mixture_log_e(10.0, 100.0, mixture_rho(100.0, 0.05)) == pytest.approx(-0.6510052, rel=1e-6)


def test_differences_that_do_not_vary_are_no_evidence() -> None:
    assert peek(np.zeros(50), alpha=ALPHA, n_opt=50.0).log_e is None
    assert peek(np.full(50, 0.001), alpha=ALPHA, n_opt=50.0).best == 0.0
    assert peek(np.empty(0), alpha=ALPHA, n_opt=50.0).n == 0
    with pytest.raises(ValueError, match="finite"):
        peek([float("nan")], alpha=ALPHA, n_opt=50.0)
