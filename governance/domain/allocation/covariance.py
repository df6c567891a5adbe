"""Covariances fit for allocation: recent, well conditioned, and pessimistic about diversification."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from governance.domain.allocation.weights import AllocationError, FloatArray


def ewma_covariance(returns: ArrayLike, half_life: float) -> FloatArray:
    """Return the exponentially weighted covariance (about zero), newest rows heaviest; weights sum to 1.

    Parameters
    ----------
    returns : (T, N), oldest first.  half_life : rows after which a weight has halved.

    Raises
    ------
    AllocationError : shape, not finite, or a half-life that is not positive.
    """
    x = _matrix(returns)
    if not half_life > 0:
        raise AllocationError(f"expected a positive half-life, was {half_life}")
    weight = 0.5 ** (np.arange(len(x))[::-1] / half_life)
    weight /= weight.sum()
    return np.asarray((x * weight[:, None]).T @ x)


def shrunk_covariance(returns: ArrayLike) -> FloatArray:
    """Return the Ledoit-Wolf estimate: the sample covariance (over T) pulled towards mean variance x identity.

    Raises
    ------
    AllocationError : shape, fewer than two rows, not finite, or no variation at all.

    Source: Ledoit & Wolf (2004), J. Multivariate Analysis 88(2), 365-411.
    """
    x = _matrix(returns)
    rows, n = x.shape
    x = x - x.mean(axis=0)
    sample = x.T @ x / rows
    level = float(np.trace(sample)) / n
    if level <= 0:
        raise AllocationError("expected returns that vary")
    distance = float(((sample - level * np.eye(n)) ** 2).sum())
    squares = x**2
    noise = float((squares.T @ squares / rows - sample**2).sum()) / rows
    share = min(1.0, max(0.0, noise / distance)) if distance > 0 else 1.0
    return np.asarray((1.0 - share) * sample + share * level * np.eye(n))


def stressed_covariance(covariance: ArrayLike, floor: float = 0.5) -> FloatArray:
    """Return the covariance with every correlation at least `floor`: in a crash crypto pairs fall together.

    Where the raised correlations no longer belong together, negative eigenvalues are cut and the
    variances restored.

    Raises
    ------
    AllocationError : shape, a variance that is not positive, or a floor outside [0, 1).
    """
    c = _matrix(covariance)
    if c.shape[0] != c.shape[1] or not (np.diag(c) > 0).all() or not 0 <= floor < 1:
        raise AllocationError("expected a square covariance, positive variances and a floor of 0 to 1")
    sd = np.sqrt(np.diag(c))
    correlation = np.maximum(c / np.outer(sd, sd), floor)
    np.fill_diagonal(correlation, 1.0)
    values, vectors = np.linalg.eigh((correlation + correlation.T) / 2)
    if values.min() < 1e-10:
        correlation = (vectors * np.maximum(values, 1e-8)) @ vectors.T
        scale = np.sqrt(np.diag(correlation))
        correlation = correlation / np.outer(scale, scale)
    return np.asarray((correlation + correlation.T) / 2 * np.outer(sd, sd))


def _matrix(values: ArrayLike) -> FloatArray:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 2 or (len(x) < 2 and x.shape != (1, 1)) or x.shape[1] < 1 or not np.isfinite(x).all():
        raise AllocationError(f"expected two finite rows or more, was shape {x.shape}")
    return x
