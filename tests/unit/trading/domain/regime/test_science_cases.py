"""The published and independently computed cases of the science document, by their ids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.trading.domain.regime.simulated import DATA, case
from trading.domain.regime.drift import cusum, population_stability
from trading.domain.regime.filter import filter_log_densities, filter_series
from trading.domain.regime.gaussian import GaussianEmission, expand_covariances, gaussian_free_parameters
from trading.domain.regime.model import GaussianHmm, stationary_law
from trading.domain.regime.posterior import confidence, kelly_target, log_odds_pool, mixture_moments, predict
from trading.domain.regime.two_clock import TwoClockChain, soft_switching_series, two_clock_series


def close(actual: Any, number: str, *keys: str) -> None:
    expected: Any = case(number)["expected"]
    for key in keys:
        expected = expected[key]
    wanted = np.asarray(expected, dtype=float)
    error = np.abs(np.asarray(actual, dtype=float) - wanted) / np.maximum(1.0, np.abs(wanted))
    assert error.max() <= case(number)["tol"]


def test_h01_the_umbrella_world_is_filtered_not_smoothed() -> None:
    arguments = {name: np.array(value) for name, value in case("H01")["args"].items()}
    filtered, scores = filter_log_densities(
        arguments["startprob"], arguments["transmat"], arguments["loglik"]
    )
    close(scores.sum(), "H01", "loglik")
    close(filtered, "H01", "filtered")


def test_h02_hamiltons_gnp_model_gives_the_published_likelihood_and_filtered_series() -> None:
    table = np.genfromtxt(DATA / "science_data/hamilton_gnp.csv", delimiter=",", skip_header=1)
    growth, published = table[:, 0], table[:, 1]
    stay, back, deviation = 0.754673, 0.095915, np.exp(-0.262658)
    means, weights = np.array([-0.358811, 1.163516]), [0.013486, -0.057521, -0.246983, -0.212923]
    two = np.array([[stay, 1 - stay], [back, 1 - back]])
    # A state is (s_t, s_t-1, ..., s_t-4), the newest in the highest bit.
    paths = np.array([[(k >> (4 - lag)) & 1 for lag in range(5)] for k in range(32)])
    transition = np.zeros((32, 32))
    for i in range(32):
        for newest in (0, 1):
            transition[i, (newest << 4) | (i >> 1)] = two[paths[i, 0], newest]
    density = np.empty((len(growth) - 4, 32))
    for t in range(4, len(growth)):
        residual = growth[t] - means[paths[:, 0]]
        for lag, weight in enumerate(weights, start=1):
            residual = residual - weight * (growth[t - lag] - means[paths[:, lag]])
        density[t - 4] = -0.5 * np.log(2 * np.pi) - np.log(deviation) - 0.5 * (residual / deviation) ** 2

    filtered, scores = filter_log_densities(stationary_law(transition), transition, density)

    # The published value is to five decimals; the parameters themselves are rounded to six.
    assert scores.sum() == pytest.approx(-181.26339, abs=1e-5)
    expansion = filtered[:, paths[:, 0] == 1].sum(axis=1)
    assert np.abs(expansion - published[4:]).max() <= 6.5e-6
    assert 1 / (1 - stay) == pytest.approx(4.076, abs=5e-4)


def test_h03_the_federal_funds_model_agrees_to_its_file() -> None:
    arguments = {name: np.array(value) for name, value in case("H03")["args"].items()}
    covariances = expand_covariances("diag", arguments["variances"], 2, 1)
    hmm = GaussianHmm(
        arguments["startprob"],
        arguments["transmat"],
        GaussianEmission("diag", arguments["means"], covariances),
    )
    filtered, scores = filter_series(hmm, arguments["X"])
    close(scores.sum(), "H03", "loglik")
    close(filtered[case("H03")["rows"]["filtered"]], "H03", "filtered")
    # The file has eight decimals.
    published = np.genfromtxt(DATA / "science_data/fedfunds.csv", delimiter=",", skip_header=1)
    assert np.abs(filtered[:, 1] - published[:, 1]).max() <= 2e-6


@pytest.fixture
def two_clock() -> tuple[TwoClockChain, np.ndarray, np.ndarray, np.ndarray]:
    arguments = {name: np.array(value) for name, value in case("H08")["args"].items()}
    names = ("slow_start", "slow_trans", "fast_start", "fast_trans")
    chain = TwoClockChain(*(arguments[name] for name in names))
    closes = np.array([0.0, 0.0, 1.0, 0.0, 0.0, 1.0])
    return chain, arguments["fast_loglik"], arguments["slow_loglik"], closes


def test_h08_the_joint_filter_agrees_with_the_enumeration_of_all_paths(two_clock: Any) -> None:
    series = two_clock_series(*two_clock)
    close(series.log_likelihood, "H08", "loglik")
    close(series.macro, "H08", "macro")
    close(series.micro, "H08", "micro")


def test_h09_soft_switching_mixes_the_matrices_by_the_slow_forecast(two_clock: Any) -> None:
    micro, macro_next = soft_switching_series(*two_clock)
    close(micro, "H09", "micro")
    close(macro_next, "H09", "macro_next")


def test_h11_moments_of_the_predicted_mixture() -> None:
    arguments = {name: np.array(value) for name, value in case("H11")["args"].items()}
    ahead, scratch = np.empty(3), np.empty(3)
    predict(arguments["filtered"], arguments["transmat"].ravel(), int(arguments["steps"]), ahead, scratch)
    mean, variance = mixture_moments(ahead, arguments["means"], arguments["variances"])
    close(ahead, "H11", "state")
    # Absolute tolerances of 1e-6 would pass anything of this size, so these are compared relatively.
    assert mean == pytest.approx(0.0001528, rel=1e-9)
    assert variance == pytest.approx(0.0001370122, rel=1e-6)


def test_h13_the_kelly_target_is_capped() -> None:
    arguments = case("H13")["args"]
    target = kelly_target(arguments["mean"], arguments["var"], arguments["fraction"], arguments["cap"], 0.0)
    close(target, "H13")


def test_h15_opinions_are_pooled_by_log_odds() -> None:
    arguments = {name: np.array(value) for name, value in case("H15")["args"].items()}
    close(log_odds_pool(arguments["probs"], arguments["weights"], 0.0), "H15")


def test_h17_confidence_is_one_less_relative_entropy() -> None:
    close(confidence(np.array(case("H17")["args"]["posterior"])), "H17")


@pytest.mark.parametrize("number", ["H19", "H20"])
def test_stability_index(number: str) -> None:
    arguments = {name: np.array(value, dtype=float) for name, value in case(number)["args"].items()}
    close(population_stability(arguments["expected"], arguments["actual"]), number)


@pytest.mark.parametrize("number", ["H21", "H22"])
def test_cusum_path_and_alarm(number: str) -> None:
    arguments = case(number)["args"]
    path, alarm = cusum(np.array(arguments["z"], dtype=float), arguments["k"], arguments["h"])
    close(path, number, "path")
    assert alarm == case(number)["expected"]["alarm"]


@pytest.mark.parametrize("number", ["H23", "H24", "H25"])
def test_free_parameters_are_counted_as_hmmlearn_counts_them(number: str) -> None:
    arguments = case(number)["args"]
    assert (
        gaussian_free_parameters(arguments["k"], arguments["d"], arguments["cov"]) == case(number)["expected"]
    )
