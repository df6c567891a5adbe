"""Block bootstrap: rows, block lengths, and the standard error it is there for."""

import numpy as np
import pytest

from trading.domain.research.bootstrap import (
    bootstrap_interval,
    circular_block_rows,
    mean_over_sd,
    optimal_block,
    stationary_block_rows,
)


def autoregression(rho, n, seed):
    noise = np.random.default_rng(seed).normal(size=n + 200)
    x = np.zeros(n + 200)
    for t in range(1, len(x)):
        x[t] = rho * x[t - 1] + noise[t]
    return x[200:]


def test_circular_blocks_have_their_length_and_wrap_around():
    rows = circular_block_rows(10, 4, np.random.default_rng(1))
    assert len(rows) == 10
    for start in (0, 4, 8):
        block = rows[start : start + 4]
        assert ((np.diff(block) == 1) | (np.diff(block) == -9)).all()


def test_stationary_blocks_have_the_mean_length_and_use_all_rows_equally():
    rng = np.random.default_rng(2)
    rows = stationary_block_rows(200_000, 25.0, rng)
    breaks = np.count_nonzero(np.diff(rows) % 200_000 != 1)
    assert 200_000 / (breaks + 1) == pytest.approx(25.0, rel=0.05)
    counts = np.bincount(stationary_block_rows(50, 5.0, rng), minlength=50)
    for _ in range(4000):
        counts += np.bincount(stationary_block_rows(50, 5.0, rng), minlength=50)
    assert counts / counts.mean() == pytest.approx(np.ones(50), abs=0.1)


def test_a_block_of_one_is_the_ordinary_bootstrap():
    rows = stationary_block_rows(100_000, 1.0, np.random.default_rng(3))
    assert np.mean(np.diff(rows) == 1) < 0.001


@pytest.mark.parametrize(("kind", "constant"), [("stationary", 2.0), ("circular", 4.0 / 3.0)])
def test_the_chosen_block_of_an_autoregression_is_near_the_closed_form(kind, constant):
    # AR(1): G / g(0) = 2 rho / (1 - rho^2), so b = (2 (2 rho / (1 - rho^2))^2 / constant)^(1/3) n^(1/3)
    rho, n = 0.6, 4000
    ratio = 2 * rho / (1 - rho**2)
    expected = (2 * ratio**2 / constant) ** (1 / 3) * n ** (1 / 3)
    found = np.median([optimal_block(autoregression(rho, n, seed), kind) for seed in range(15)])
    assert found == pytest.approx(expected, rel=0.25)


def test_independent_returns_want_short_blocks():
    found = [optimal_block(np.random.default_rng(s).normal(size=2000)) for s in range(20)]
    assert np.median(found) < 8
    assert optimal_block(np.ones(50)) == 1.0
    assert optimal_block([1.0, 2.0]) == 1.0


@pytest.mark.parametrize("kind", ["stationary", "circular"])
def test_blocks_see_the_uncertainty_that_autocorrelation_adds(kind):
    # The mean of an AR(1) with rho 0.6 has sd 1 / (1 - rho) / sqrt(n) = 0.0559; the iid formula says half of it.
    n = 2000
    x = autoregression(0.6, n, 5)
    wide = bootstrap_interval(x, lambda v: float(v.mean()), np.random.default_rng(6), kind=kind, samples=800)
    narrow = bootstrap_interval(
        x, lambda v: float(v.mean()), np.random.default_rng(6), kind=kind, block=1, samples=800
    )
    width = 2 * 1.96 / 0.4 / n**0.5
    assert wide.high - wide.low == pytest.approx(width, rel=0.25)
    assert narrow.high - narrow.low == pytest.approx(width / 2, rel=0.15)


def test_the_same_seed_gives_the_same_interval():
    x = np.random.default_rng(7).normal(0.05, 1, 300)
    first, second = (
        bootstrap_interval(x, mean_over_sd, np.random.default_rng(8), samples=200) for _ in range(2)
    )
    assert first == second
    assert first.low < first.estimate < first.high
    assert first.estimate == pytest.approx(x.mean() / x.std(ddof=1))


def test_too_little_is_refused():
    with pytest.raises(ValueError, match="expected 2 values"):
        bootstrap_interval([1.0], mean_over_sd, np.random.default_rng(0))
    with pytest.raises(ValueError, match="not finite"):
        bootstrap_interval([1.0, 2.0], lambda _: float("nan"), np.random.default_rng(0))
    with pytest.raises(ValueError, match="block of 1 to 3"):
        circular_block_rows(3, 4, np.random.default_rng(0))
