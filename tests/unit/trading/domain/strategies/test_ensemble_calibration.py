"""The pool's calibration finds planted slopes and never looks ahead."""

from __future__ import annotations

import numpy as np
import pytest

from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.errors import FitRefused
from trading.domain.strategies.ensemble_calibration import calibrate_pool


def planted(rows: int, slopes: tuple[float, float], seed: int) -> tuple[FloatArray, FloatArray]:
    """Scores of two independent members, and outcomes drawn from the sum of their log-odds."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(rows, 2))
    p = 1.0 / (1.0 + np.exp(-scores @ np.array(slopes)))
    return scores, (rng.random(rows) < p).astype(float)


def test_each_members_slope_is_found_again() -> None:
    scores, outcomes = planted(40_000, (0.8, 0.0), seed=1)
    found = calibrate_pool(scores, outcomes)
    # The standard error of a logistic slope is about 2 / sqrt(rows) = 0.01.
    assert found.ma_slope == pytest.approx(0.8, abs=0.05)
    assert found.hmm_slope == pytest.approx(0.0, abs=0.05)
    assert found.ma_offset == pytest.approx(0.0, abs=0.05)


def test_without_shrinkage_two_independent_members_are_added_up() -> None:
    # Independent evidence adds: both weights 1, where a mean of opinions would take a half each.
    scores, outcomes = planted(40_000, (0.5, 0.5), seed=2)
    found = calibrate_pool(scores, outcomes, shrinkage=0.0)
    assert found.ma_weight == pytest.approx(1.0, abs=0.1)
    assert found.hmm_weight == pytest.approx(1.0, abs=0.1)


def test_weights_are_pulled_to_equal_ones_and_never_negative() -> None:
    scores, outcomes = planted(4_000, (0.5, -0.5), seed=3)
    scores[:, 1] *= -1.0
    free, pulled = (calibrate_pool(scores, outcomes, shrinkage=s) for s in (0.0, 100.0))
    assert min(free.ma_weight, free.hmm_weight) >= 0.0
    assert (pulled.ma_weight, pulled.hmm_weight) == (pytest.approx(0.5, abs=0.01),) * 2


def test_the_values_are_parameters_of_the_ensemble() -> None:
    from trading.domain.strategies import parse_params, registry

    values = calibrate_pool(*planted(1_000, (0.3, 0.3), seed=4)).values()
    params = parse_params(registry()["ma_hmm_ensemble"].Params, values)
    assert params.ma_slope == values["ma_slope"]


def test_too_little_history_is_refused() -> None:
    with pytest.raises(FitRefused):
        calibrate_pool(*planted(60, (0.3, 0.3), seed=5))
    with pytest.raises(ValueError, match="expected folds"):
        calibrate_pool(*planted(100, (0.3, 0.3), seed=5), folds=0)
