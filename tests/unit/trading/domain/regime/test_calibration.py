from __future__ import annotations

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from trading.domain.regime.calibration import fit_isotonic, fit_platt, fit_pool_weights
from trading.domain.regime.errors import FitRefused

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=4000)
OUTCOMES = (RNG.random(4000) < 1 / (1 + np.exp(-(1.7 * SCORES - 0.6)))).astype(float)


def test_platt_scaling_finds_the_planted_curve_and_agrees_with_scikit_learn() -> None:
    found = fit_platt(SCORES, OUTCOMES)
    reference = LogisticRegression(C=np.inf, tol=1e-10).fit(SCORES[:, None], OUTCOMES)
    # Platt's targets differ from 0 and 1 by one part in two thousand here.
    assert found.slope == pytest.approx(float(reference.coef_[0, 0]), rel=5e-3)
    assert found.offset == pytest.approx(float(reference.intercept_[0]), abs=5e-3)
    assert found.slope == pytest.approx(1.7, abs=0.2)


def test_a_separable_sample_keeps_a_finite_slope_and_clipped_probabilities() -> None:
    scores = np.linspace(-1, 1, 100)
    found = fit_platt(scores, (scores > 0).astype(float))
    assert np.isfinite(found.slope)
    assert found.apply(np.array([-1e6, 1e6])) == pytest.approx([0.01, 0.99])


def test_isotonic_steps_agree_with_scikit_learn() -> None:
    rounded = np.round(SCORES, 1)  # with ties
    found = fit_isotonic(rounded, OUTCOMES)
    reference = IsotonicRegression(out_of_bounds="clip").fit(rounded, OUTCOMES)
    assert found.apply(rounded) == pytest.approx(np.clip(reference.predict(rounded), 0.01, 0.99), abs=1e-9)
    assert (np.diff(found.values) > 0).all()
    assert found.apply(np.array([-99.0]))[0] == max(found.values[0], 0.01)


def logit(p: np.ndarray) -> np.ndarray:
    return np.log(p / (1 - p))


def test_pool_weights_without_shrinkage_are_the_logistic_regression_of_the_log_odds() -> None:
    first, second = (1 / (1 + np.exp(-RNG.normal(size=4000))) for _ in range(2))
    truth = 1 / (1 + np.exp(-(0.8 * logit(first) + 0.3 * logit(second) + 0.2)))
    outcomes = (RNG.random(4000) < truth).astype(float)
    opinions = np.clip(np.column_stack([first, second]), 0.01, 0.99)
    weights, bias = fit_pool_weights(opinions, outcomes, shrinkage=0.0)
    reference = LogisticRegression(C=np.inf, tol=1e-10).fit(logit(opinions), outcomes)
    assert weights == pytest.approx(reference.coef_[0], abs=1e-4)
    assert bias == pytest.approx(float(reference.intercept_[0]), abs=1e-4)


def test_a_member_that_is_wrong_gets_no_weight_and_shrinkage_leads_to_equal_ones() -> None:
    latent, noise = 2 * RNG.normal(size=4000), RNG.normal(size=(4000, 2))
    outcomes = (RNG.random(4000) < 1 / (1 + np.exp(-latent))).astype(float)
    # The second member sees the same market upside down.
    opinions = 1 / (1 + np.exp(-np.column_stack([latent, -latent]) - noise))
    weights, _ = fit_pool_weights(opinions, outcomes, shrinkage=0.0)
    assert weights[1] == 0.0
    assert weights[0] > 0.5
    equal, _ = fit_pool_weights(opinions, outcomes, shrinkage=1e6)
    assert equal == pytest.approx([0.5, 0.5], abs=1e-4)


@pytest.mark.parametrize(
    ("scores", "outcomes", "words"),
    [
        (np.zeros(19), np.zeros(19), "too few"),
        (np.arange(30.0), np.ones(30), "never changes"),
        (np.arange(30.0), np.arange(30.0), "0 and 1"),
    ],
)
def test_samples_that_calibrate_nothing_are_refused(
    scores: np.ndarray, outcomes: np.ndarray, words: str
) -> None:
    for fit in (fit_platt, fit_isotonic):
        with pytest.raises(FitRefused, match=words):
            fit(scores, outcomes)


def test_scores_that_do_not_vary_are_refused() -> None:
    with pytest.raises(FitRefused, match="do not vary"):
        fit_platt(np.ones(40), np.tile([0.0, 1.0], 20))
