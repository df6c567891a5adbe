from __future__ import annotations

import numpy as np
import pytest

from trading.domain.regime.errors import FitRefused
from trading.domain.regime.scaler import Scaler, Scaling

NAMES = ("a", "b")
X = np.random.default_rng(0).normal([3.0, -2.0], [0.5, 20.0], size=(5000, 2))


def test_training_rows_get_mean_zero_and_deviation_one() -> None:
    z = Scaling().fit(X, NAMES).apply(X)
    assert z.mean(axis=0) == pytest.approx([0, 0], abs=1e-12)
    assert z.std(axis=0) == pytest.approx([1, 1], rel=1e-12)


def test_the_robust_scale_is_a_deviation_for_normal_rows_and_ignores_outliers() -> None:
    spoiled = X.copy()
    spoiled[:50] = 1e6
    # The IQR of 5000 normal rows has a relative standard error of about 1.7 %.
    assert Scaling("robust").fit(spoiled, NAMES).scale == pytest.approx([0.5, 20.0], rel=0.07)


def test_rows_beyond_the_clip_are_held_at_it() -> None:
    scaler = Scaler(np.zeros(1), np.ones(1), clip=5.0)
    assert list(scaler.apply(np.array([[-9.0], [4.9], [9.0]])).ravel()) == [-5.0, 4.9, 5.0]


@pytest.mark.parametrize("method", ["standard", "robust"])
def test_a_constant_feature_is_refused_by_name(method: str) -> None:
    rows = np.column_stack([X[:, 0], np.full(len(X), 0.1)])
    with pytest.raises(FitRefused, match="constant on the training window: b"):
        Scaling(method).fit(rows, NAMES)  # type: ignore[arg-type]


def test_rows_that_are_not_finite_are_refused() -> None:
    with pytest.raises(FitRefused, match="NaN or infinity"):
        Scaling().fit(np.array([[1.0], [np.nan]]), ("a",))


@pytest.mark.parametrize("clip", [4.9, 8.1, float("nan")])
def test_a_clip_outside_five_to_eight_is_refused(clip: float) -> None:
    with pytest.raises(ValueError, match="clip"):
        Scaler(np.zeros(1), np.ones(1), clip)
    with pytest.raises(ValueError, match="clip"):
        Scaling(clip=clip)
