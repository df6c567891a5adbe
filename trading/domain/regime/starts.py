"""Where EM begins: groups of rows by trailing volatility."""

from __future__ import annotations

import numpy as np

from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.errors import FitRefused
from trading.domain.regime.gaussian import Covariance, GaussianEmission
from trading.domain.regime.model import GaussianHmm

WINDOWS = (5, 10, 20)
"""Trailing windows, in bars, of the first three starts."""
_STAY = 0.95
_FLOOR = 1e-3
_JITTER = 0.2


def trailing_volatility(x: FloatArray, names: tuple[str, ...], window: int) -> FloatArray:
    """Return (T,) what tells quiet rows from wild ones, over the `window` rows up to each.

    Root mean square of the log return where that is a feature; else the mean of `volatility` or `range`;
    else the root mean square of the first feature. The first rows use what there is.
    """
    if "log_return" not in names and ("volatility" in names or "range" in names):
        return _trailing_mean(x[:, names.index("volatility" if "volatility" in names else "range")], window)
    column = x[:, names.index("log_return")] if "log_return" in names else x[:, 0]
    return np.asarray(np.sqrt(np.maximum(_trailing_mean(np.square(column), window), 0.0)))


def volatility_start(
    x: FloatArray, names: tuple[str, ...], states: int, kind: Covariance, window: int
) -> GaussianHmm:
    """Return a model whose states are the quantile groups of trailing volatility, calm first.

    Raises
    ------
    FitRefused : fewer than two rows for each state.
    """
    if x.shape[0] < 2 * states:
        raise FitRefused(f"expected at least {2 * states} rows for {states} states, was {x.shape[0]}")
    # Ranks, not values: ties would leave a group empty.
    ranks = np.argsort(np.argsort(trailing_volatility(x, names, window), kind="stable"), kind="stable")
    group = ranks * states // x.shape[0]
    means = np.stack([x[group == k].mean(axis=0) for k in range(states)])
    covariances = np.stack([_covariance(x[group == k] - means[k], kind) for k in range(states)])
    if kind == "tied":
        covariances = np.broadcast_to(covariances.mean(axis=0), covariances.shape).copy()
    return GaussianHmm(
        np.full(states, 1.0 / states), _sticky_matrix(states), GaussianEmission(kind, means, covariances)
    )


def starts(
    x: FloatArray, names: tuple[str, ...], states: int, kind: Covariance, *, count: int, seed: int
) -> list[GaussianHmm]:
    """Return `count` starts: the three windows first, then seeded ones with other windows and shifted means."""
    rng = np.random.default_rng(seed)
    found = [volatility_start(x, names, states, kind, window) for window in WINDOWS[:count]]
    while len(found) < count:
        base = volatility_start(x, names, states, kind, int(rng.integers(3, 41)))
        moved = base.emission.means + _JITTER * rng.normal(size=base.emission.means.shape)
        found.append(
            GaussianHmm(base.start, base.transition, GaussianEmission(kind, moved, base.emission.covariances))
        )
    return found


def _sticky_matrix(states: int) -> FloatArray:
    if states == 1:
        return np.ones((1, 1))
    off = (1.0 - _STAY) / (states - 1)
    return np.full((states, states), off) + (_STAY - off) * np.eye(states)


def _covariance(centered: FloatArray, kind: Covariance) -> FloatArray:
    width = centered.shape[1]
    full = centered.T @ centered / centered.shape[0] + _FLOOR * np.eye(width)
    if kind in ("full", "tied"):
        return np.asarray(full)
    diagonal = np.diagonal(full)
    return np.diag(np.full(width, diagonal.mean()) if kind == "spherical" else diagonal)


def _trailing_mean(values: FloatArray, window: int) -> FloatArray:
    sums = np.concatenate(([0.0], np.cumsum(values)))
    ends = np.arange(1, values.shape[0] + 1)
    begins = np.maximum(ends - window, 0)
    return np.asarray((sums[ends] - sums[begins]) / (ends - begins))
