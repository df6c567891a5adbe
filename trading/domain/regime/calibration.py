"""Calibrated opinions before they are pooled: Platt scaling, isotonic steps, and the weights of the pool.

Fit on walk-forward folds only: a calibration that saw the outcomes it is applied to is look-ahead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trading.domain.regime.arrays import FloatArray, finite_array
from trading.domain.regime.errors import FitRefused

CLIP_LOW, CLIP_HIGH = 0.01, 0.99
_ROUNDS = 200
_FEWEST = 20


@dataclass(frozen=True, slots=True)
class Platt:
    """p = 1 / (1 + exp(-(slope * score + offset))).

    Source: Platt (1999), Advances in Large Margin Classifiers, 61-74.
    """

    slope: float
    offset: float

    def apply(self, scores: FloatArray) -> FloatArray:
        """Return (T,) probabilities of (T,) scores, clipped to 0.01..0.99."""
        return np.clip(_sigmoid(self.slope * scores + self.offset), CLIP_LOW, CLIP_HIGH)


@dataclass(frozen=True, slots=True, eq=False)
class Isotonic:
    """A rising step function: `values[i]` from `edges[i]` on; `values[0]` below the first edge too."""

    edges: FloatArray
    values: FloatArray

    def apply(self, scores: FloatArray) -> FloatArray:
        """Return (T,) probabilities of (T,) scores, clipped to 0.01..0.99."""
        at = np.maximum(np.searchsorted(self.edges, scores, side="right") - 1, 0)
        return np.clip(self.values[at], CLIP_LOW, CLIP_HIGH)


def fit_platt(scores: FloatArray, outcomes: FloatArray) -> Platt:
    """Fit slope and offset by maximum likelihood on Platt's smoothed targets.

    Parameters
    ----------
    scores : (T,) any real opinion, larger for more likely.  outcomes : (T,) 0 or 1.

    Raises
    ------
    FitRefused : fewer than 20 rows, an outcome that never or always happens, or scores that do not vary.
    """
    x, y = _checked(scores, outcomes)
    if float(x.std()) == 0.0:
        raise FitRefused("the scores do not vary; there is nothing to calibrate")
    ones = float(y.sum())
    # Platt's prior: targets just inside 0 and 1 keep a separable sample from an infinite slope.
    target = np.where(y == 1, (ones + 1) / (ones + 2), 1 / (len(y) - ones + 2))
    center, spread = float(x.mean()), float(x.std())
    design = np.column_stack([(x - center) / spread, np.ones(len(x))])
    slope, offset = _newton(design, target)
    return Platt(slope / spread, offset - slope * center / spread)


def fit_isotonic(scores: FloatArray, outcomes: FloatArray) -> Isotonic:
    """Fit the rising step function nearest to the outcomes, by pooling adjacent violators.

    Raises
    ------
    FitRefused : fewer than 20 rows, or an outcome that never or always happens.

    Source: Ayer et al. (1955), Ann. Math. Stat. 26, 641-647.
    """
    x, y = _checked(scores, outcomes)
    edges, inverse = np.unique(x, return_inverse=True)
    weight = np.bincount(inverse).astype(np.float64)
    mean = np.bincount(inverse, weights=y) / weight
    starts: list[int] = []
    blocks: list[tuple[float, float]] = []  # mean, weight
    for i in range(len(edges)):
        starts.append(i)
        blocks.append((float(mean[i]), float(weight[i])))
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            (low, low_weight), (high, high_weight) = blocks[-2], blocks.pop()
            starts.pop()
            together = low_weight + high_weight
            blocks[-1] = ((low * low_weight + high * high_weight) / together, together)
    return Isotonic(edges[starts], np.array([value for value, _ in blocks]))


def fit_pool_weights(
    probabilities: FloatArray, outcomes: FloatArray, *, shrinkage: float = 0.1
) -> tuple[FloatArray, float]:
    """Return weights (M,) of zero or more and the bias of a log-odds pool that maximise the mean log score.

    Parameters
    ----------
    probabilities : (T, M) calibrated opinions of M members.  outcomes : (T,) 0 or 1.
    shrinkage : pull of the squared distance from equal weights 1/M; 0 for none.

    Raises
    ------
    FitRefused : as `fit_isotonic`.
    """
    opinions = np.clip(finite_array("probabilities", probabilities, (None, None)), CLIP_LOW, CLIP_HIGH)
    _, y = _checked(opinions[:, 0], outcomes)
    logits = np.log(opinions / (1.0 - opinions))
    members = logits.shape[1]
    design = np.column_stack([logits, np.ones(len(y))])
    equal = np.append(np.full(members, 1.0 / members), 0.0)
    pull = np.append(np.full(members, 2.0 * shrinkage), 0.0)
    # The step of projected gradient ascent that a bound on the curvature allows.
    step = 1.0 / (0.25 * float(np.linalg.eigvalsh(design.T @ design / len(y))[-1]) + 2.0 * shrinkage)
    found, ahead, momentum = equal.copy(), equal.copy(), 1.0
    for _ in range(50 * _ROUNDS):
        residual = y - _sigmoid(design @ ahead)
        moved = ahead + step * (design.T @ residual / len(y) - pull * (ahead - equal))
        moved[:members] = np.maximum(moved[:members], 0.0)
        grown = 0.5 * (1.0 + float(np.sqrt(1.0 + 4.0 * momentum * momentum)))
        ahead = moved + (momentum - 1.0) / grown * (moved - found)
        if float(np.abs(moved - found).max()) < 1e-12:
            return moved[:members], float(moved[members])
        found, momentum = moved, grown
    return found[:members], float(found[members])


def _checked(scores: FloatArray, outcomes: FloatArray) -> tuple[FloatArray, FloatArray]:
    x, y = finite_array("scores", scores, (None,)), finite_array("outcomes", outcomes, (len(scores),))
    if len(x) < _FEWEST:
        raise FitRefused(f"{len(x)} rows are too few to calibrate; at least {_FEWEST} are needed")
    if not np.isin(y, (0.0, 1.0)).all():
        raise FitRefused("expected outcomes of 0 and 1")
    if y.min() == y.max():
        raise FitRefused("the outcome never changes; there is nothing to calibrate")
    return x, y


def _sigmoid(z: FloatArray) -> FloatArray:
    grown = np.exp(-np.abs(z))
    return np.asarray(np.where(z >= 0, 1.0, grown) / (1.0 + grown))


def _newton(design: FloatArray, target: FloatArray) -> tuple[float, float]:
    # Cross-entropy with soft targets is convex; halving keeps Newton's step from overshooting.
    def loss(w: FloatArray) -> float:
        z = design @ w
        return float((np.logaddexp(0.0, z) - target * z).sum())

    weights = np.zeros(2)
    for _ in range(_ROUNDS):
        p = _sigmoid(design @ weights)
        gradient = design.T @ (p - target)
        curvature = (design * (p * (1.0 - p))[:, None]).T @ design + 1e-12 * np.eye(2)
        move = np.linalg.solve(curvature, gradient)
        size = 1.0
        while loss(weights - size * move) > loss(weights) and size > 1e-10:
            size *= 0.5
        weights = weights - size * move
        if float(np.abs(gradient).max()) < 1e-10 * len(target):
            break
    return float(weights[0]), float(weights[1])
