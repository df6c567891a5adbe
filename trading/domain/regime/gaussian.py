"""Gaussian emissions: one covariance per state, or tied; densities by whitening."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

from trading.domain.regime.arrays import FloatArray, finite_array

Covariance = Literal["full", "diag", "spherical", "tied"]
COVARIANCES: Final[tuple[str, ...]] = get_args(Covariance)


@dataclass(frozen=True, slots=True, eq=False)
class GaussianEmission:
    """b_k(x) = N(x; mu_k, Sigma_k) in standardised features.

    Attributes
    ----------
    kind : what was fitted; `diag` and `spherical` have zeros off the diagonal, `tied` K equal matrices.
    means : (K, D).  covariances : (K, D, D), symmetric positive definite whatever the kind.
    """

    kind: Covariance
    means: FloatArray
    covariances: FloatArray

    def __post_init__(self) -> None:
        if self.kind not in COVARIANCES:
            raise ValueError(f"kind: expected one of {', '.join(COVARIANCES)}, was {self.kind!r}")
        means = finite_array("means", self.means, (None, None))
        states, width = means.shape
        if not states or not width:
            raise ValueError(f"means: expected at least one state and one feature, was {means.shape}")
        covariances = finite_array("covariances", self.covariances, (states, width, width))
        if not np.allclose(covariances, covariances.transpose(0, 2, 1), rtol=1e-12, atol=1e-300):
            raise ValueError("covariances: expected symmetric matrices")
        try:
            np.linalg.cholesky(covariances)
        except np.linalg.LinAlgError:
            raise ValueError("covariances: expected positive definite matrices") from None
        object.__setattr__(self, "means", means)
        object.__setattr__(self, "covariances", covariances)

    @property
    def states(self) -> int:
        return int(self.means.shape[0])

    @property
    def features(self) -> int:
        return int(self.means.shape[1])

    def free_parameters(self) -> int:
        """Return the number of free parameters of means and covariances."""
        return self.states * self.features + _covariance_parameters(self.kind, self.states, self.features)

    def whitening(self) -> tuple[FloatArray, FloatArray]:
        """Return (K, D, D) lower inverse Cholesky factors and (K,) log normalisers.

        log N(x; mu_k, Sigma_k) = log_norm[k] - 0.5 * |whiten[k] (x - mu_k)|^2.
        """
        lower = np.linalg.cholesky(self.covariances)
        identity = np.broadcast_to(np.eye(self.features), lower.shape)
        whiten = np.tril(np.linalg.solve(lower, identity))
        diagonal = np.diagonal(lower, axis1=1, axis2=2)
        log_norm = -0.5 * self.features * math.log(2.0 * math.pi) - np.log(diagonal).sum(axis=1)
        return np.ascontiguousarray(whiten), np.ascontiguousarray(log_norm)

    def log_densities(self, x: FloatArray) -> FloatArray:
        """Return (T, K) natural-log densities of (T, D) rows."""
        whiten, log_norm = self.whitening()
        difference = x[:, None, :] - self.means[None, :, :]
        white = np.einsum("kij,tkj->tki", whiten, difference)
        return np.asarray(log_norm - 0.5 * np.square(white).sum(axis=2))

    def permuted(self, order: tuple[int, ...]) -> GaussianEmission:
        """Return the emission with state `order[i]` in place i."""
        picked = list(order)
        return GaussianEmission(self.kind, self.means[picked], self.covariances[picked])


def gaussian_free_parameters(states: int, features: int, kind: Covariance) -> int:
    """Return the free parameters of a K-state Gaussian HMM with D features, as hmmlearn counts them.

    (K-1) start + K(K-1) transition + K D means + covariance: full K D(D+1)/2, diag K D, spherical K,
    tied D(D+1)/2.
    """
    chain = (states - 1) + states * (states - 1)
    return chain + states * features + _covariance_parameters(kind, states, features)


def expand_covariances(kind: Covariance, values: FloatArray, states: int, features: int) -> FloatArray:
    """Return (K, D, D) matrices from what the kind is stored as.

    Parameters
    ----------
    values : full (K, D, D), diag (K, D), spherical (K,), tied (D, D).

    Raises
    ------
    ValueError : another shape, or numbers that are not finite.
    """
    shapes: dict[Covariance, tuple[int | None, ...]] = {
        "full": (states, features, features),
        "diag": (states, features),
        "spherical": (states,),
        "tied": (features, features),
    }
    array = finite_array("covariances", values, shapes[kind])
    if kind == "full":
        return array
    if kind == "tied":
        return np.ascontiguousarray(np.broadcast_to(array, (states, features, features)))
    diagonal = array if kind == "diag" else np.repeat(array[:, None], features, axis=1)
    return np.ascontiguousarray(diagonal[:, :, None] * np.eye(features))


def covariances_from_scatter(
    kind: Covariance, scatter: FloatArray, weights: FloatArray, psi: float
) -> FloatArray:
    """Return the (K, D, D) covariances of a maximisation step.

    Parameters
    ----------
    scatter : (K, D, D) weighted sums of (x - mu)(x - mu)'.  weights : (K,) sums of the weights.
    psi : added to the diagonal of each scatter matrix (to the pooled one when tied).

    Returns
    -------
    (scatter + psi I) / weight; its diagonal for diag, the mean of that for spherical, the pooled matrix for tied.
    """
    states, width = scatter.shape[:2]
    identity = np.eye(width)
    if kind == "tied":
        pooled = (scatter.sum(axis=0) + psi * identity) / weights.sum()
        covariances = np.broadcast_to(pooled, scatter.shape)
    else:
        covariances = (scatter + psi * identity) / weights[:, None, None]
        if kind != "full":
            diagonal = np.diagonal(covariances, axis1=1, axis2=2)
            if kind == "spherical":
                diagonal = np.repeat(diagonal.mean(axis=1), width).reshape(states, width)
            covariances = diagonal[:, :, None] * identity
    # Rounding leaves the two triangles apart in the last bit.
    return np.ascontiguousarray(0.5 * (covariances + covariances.transpose(0, 2, 1)))


def trace_of_inverses(emission: GaussianEmission) -> float:
    """Return sum tr(Sigma_k^-1), the tied matrix counted once: what the covariance prior weighs."""
    traces = np.trace(np.linalg.inv(emission.covariances), axis1=1, axis2=2)
    return float(traces[0]) if emission.kind == "tied" else float(traces.sum())


def _covariance_parameters(kind: Covariance, states: int, features: int) -> int:
    pair = features * (features + 1) // 2
    return {"full": states * pair, "diag": states * features, "spherical": states, "tied": pair}[kind]
