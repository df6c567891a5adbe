from __future__ import annotations

import math

import numpy as np
import pytest

from trading.domain.regime.compiled import compiled
from trading.domain.regime.posterior import (
    EXPIRED,
    LOW_CONFIDENCE,
    OPEN,
    STALE,
    UNEXPLAINED,
    confidence,
    gate,
    kelly_target,
    log_odds_pool,
    policy_target,
    predict,
    shrunk_mean,
    within_band,
)


def test_prediction_over_several_bars_is_the_power_of_the_matrix() -> None:
    transition, filtered = np.array([[0.9, 0.1], [0.3, 0.7]]), np.array([0.2, 0.8])
    ahead, scratch = np.empty(2), np.empty(2)
    predict(filtered, transition.ravel(), 5, ahead, scratch)
    assert ahead == pytest.approx(filtered @ np.linalg.matrix_power(transition, 5), rel=1e-12)


@pytest.mark.parametrize(
    ("mean", "cost", "target"),
    [
        (0.0004, 0.0, 0.5),
        (-0.0004, 0.0, -0.5),
        (0.0004, 0.0001, 0.375),
        (0.0004, 0.0004, 0.0),
        (0.1, 0.0, 0.8),
    ],
)
def test_kelly_is_net_of_cost_and_capped(mean: float, cost: float, target: float) -> None:
    assert kelly_target(mean, 0.0002, 0.25, 0.8, cost) == pytest.approx(target)


@pytest.mark.parametrize(
    ("mean", "variance"), [(math.nan, 1e-4), (1e-3, 0.0), (1e-3, -1.0), (1e-3, math.nan), (math.inf, 1e-4)]
)
def test_numbers_that_mean_nothing_lead_to_no_exposure(mean: float, variance: float) -> None:
    assert kelly_target(mean, variance, 0.25, 1.0, 0.0) == 0.0


def test_disagreement_cancels_and_lowers_confidence() -> None:
    weights = np.array([0.5, 0.5])
    opposed = log_odds_pool(np.array([0.9, 0.1]), weights, 0.0)
    agreed = log_odds_pool(np.array([0.9, 0.9]), weights, 0.0)
    assert opposed == pytest.approx(0.5)
    assert agreed == pytest.approx(0.9)


def test_a_certain_member_cannot_decide_alone() -> None:
    # Clipped to 0.99: logit 4.595 against -4.595 of the other.
    assert log_odds_pool(np.array([1.0, 0.01]), np.array([1.0, 1.0]), 0.0) == pytest.approx(0.5)
    assert log_odds_pool(np.array([0.0]), np.array([1000.0]), 0.0) == 0.0
    assert log_odds_pool(np.array([1.0]), np.array([1000.0]), 0.0) == 1.0


def test_confidence_runs_from_none_to_certainty() -> None:
    assert confidence(np.full(4, 0.25)) == pytest.approx(0.0, abs=1e-15)
    assert confidence(np.array([0.0, 1.0, 0.0])) == 1.0
    assert confidence(np.ones(1)) == 1.0


def test_a_policy_weighs_each_regimes_position() -> None:
    assert policy_target(np.array([0.7, 0.2, 0.1]), np.array([1.0, 0.5, -1.0])) == pytest.approx(0.7)


def test_the_no_trade_band_includes_its_edge() -> None:
    assert within_band(0.55, 0.5, 0.0500001)
    assert not within_band(0.56, 0.5, 0.05)


def test_short_histories_pull_a_mean_to_zero() -> None:
    assert shrunk_mean(0.001, 500.0, 1500.0) == pytest.approx(0.00025)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, OPEN),
        ({"certainty": 0.3}, OPEN),
        ({"certainty": 0.2999}, LOW_CONFIDENCE),
        ({"certainty": math.nan}, LOW_CONFIDENCE),
        ({"log_score": -9.0}, OPEN),
        ({"log_score": -9.1}, UNEXPLAINED),
        ({"log_score": math.nan}, UNEXPLAINED),
        ({"feature_age_bars": 1.1}, STALE),
        ({"feature_age_bars": math.inf}, STALE),
        ({"model_age_bars": 501.0}, EXPIRED),
        ({"model_age_bars": math.nan}, EXPIRED),
    ],
)
def test_each_reason_to_close_the_gate(changes: dict[str, float], reason: int) -> None:
    values = {
        "certainty": 0.8, "certainty_floor": 0.3, "log_score": -2.0, "score_floor": -9.0,
        "feature_age_bars": 0.0, "feature_age_limit": 1.0, "model_age_bars": 100.0, "model_age_limit": 500.0,
    } | changes  # fmt: skip
    assert gate(*values.values()) == reason
    assert compiled(gate)(*values.values()) == reason
