from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from trading.domain.regime.gaussian import (
    Covariance,
    GaussianEmission,
    covariances_from_scatter,
    expand_covariances,
)
from trading.domain.regime.steps import gaussian_log_densities

RNG = np.random.default_rng(1)
ROOTS = RNG.normal(size=(3, 2, 2))
FULL = ROOTS @ ROOTS.transpose(0, 2, 1) + 0.3 * np.eye(2)
EMISSION = GaussianEmission("full", RNG.normal(size=(3, 2)), FULL)


def test_log_densities_agree_with_scipy() -> None:
    x = RNG.normal(size=(50, 2)) * 3
    expected = np.column_stack([multivariate_normal(EMISSION.means[k], FULL[k]).logpdf(x) for k in range(3)])
    assert np.allclose(EMISSION.log_densities(x), expected, rtol=1e-12)
    whiten, log_norm = EMISSION.whitening()
    row = np.empty(3)
    for t in range(50):
        gaussian_log_densities(EMISSION.means.ravel(), whiten.ravel(), log_norm, x[t], row)
        assert np.allclose(row, expected[t], rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "native"),
    [
        ("full", FULL),
        ("diag", np.diagonal(FULL, axis1=1, axis2=2)),
        ("spherical", np.array([0.5, 1.0, 2.0])),
        ("tied", FULL[0]),
    ],
)
def test_every_kind_of_covariance_expands_to_one_matrix_per_state(
    kind: Covariance, native: np.ndarray
) -> None:
    expanded = expand_covariances(kind, native, 3, 2)
    by_hand = {
        "full": lambda k: FULL[k],
        "diag": lambda k: np.diag(np.diag(FULL[k])),
        "spherical": lambda k: [0.5, 1.0, 2.0][k] * np.eye(2),
        "tied": lambda k: FULL[0],
    }[kind]
    assert all(np.array_equal(expanded[k], by_hand(k)) for k in range(3))


def test_covariances_of_a_scatter_follow_their_kind() -> None:
    scatter, weights = 10 * FULL, np.array([10.0, 20.0, 10.0])
    full = covariances_from_scatter("full", scatter, weights, 0.5)
    assert full[1] == pytest.approx((10 * FULL[1] + 0.5 * np.eye(2)) / 20)
    spherical = covariances_from_scatter("spherical", scatter, weights, 0.5)
    assert spherical[0] == pytest.approx(np.eye(2) * (np.trace(10 * FULL[0]) / 2 + 0.5) / 10)
    tied = covariances_from_scatter("tied", scatter, weights, 0.5)
    assert tied[2] == pytest.approx((10 * FULL.sum(axis=0) + 0.5 * np.eye(2)) / 40)


@pytest.mark.parametrize(
    ("covariances", "words"),
    [
        (np.array([[[1.0, 2.0], [2.0, 1.0]]]), "positive definite"),
        (np.array([[[1.0, 0.5], [0.1, 1.0]]]), "symmetric"),
        (np.array([[[1.0, np.nan], [np.nan, 1.0]]]), "finite"),
        (np.ones((2, 2, 2)), "shape"),
    ],
)
def test_matrices_that_are_no_covariances_are_refused(covariances: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GaussianEmission("full", np.zeros((1, 2)), covariances)
