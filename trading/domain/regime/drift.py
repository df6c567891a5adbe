"""Has the world moved away from the training window: PSI of the features, CUSUM of the one-step log score."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from trading.domain.regime.arrays import FloatArray, finite_array
from trading.domain.regime.compiled import fastest, kernel

PSI_WATCH: Final = 0.1
PSI_ALARM: Final = 0.25
SCORE_FLOOR_QUANTILE: Final = 0.001
_SHARE_FLOOR = 1e-6
_BINS = 10


class Drift(StrEnum):
    """What a population stability index says."""

    STABLE = "stable"
    WATCH = "watch"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class ScoreReference:
    """The training window's one-step log scores c_t, of the standardised features.

    Attributes
    ----------
    mean, deviation : of c_t, nats.  floor : 0.1 % quantile; below it no state explains a bar.
    slack, threshold : k and h of the CUSUM, in standard deviations.
    """

    mean: float
    deviation: float
    floor: float
    slack: float
    threshold: float

    def __post_init__(self) -> None:
        numbers = (self.mean, self.deviation, self.floor, self.slack, self.threshold)
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"expected finite numbers, was {numbers}")
        if self.deviation <= 0 or self.slack < 0 or self.threshold <= 0:
            raise ValueError("expected a positive deviation and threshold and a slack of zero or more")

    def standardised(self, log_score: float) -> float:
        """Return z_t = (mean - c_t) / deviation: positive is worse than in training."""
        return (self.mean - log_score) / self.deviation


def psi_bins(x: FloatArray, bins: int = _BINS) -> FloatArray:
    """Return (bins - 1,) inner edges that cut training values into equally full bins."""
    return np.asarray(np.quantile(x, np.arange(1, bins) / bins))


def bin_counts(x: FloatArray, edges: FloatArray) -> FloatArray:
    """Return (bins,) how many values fall between the edges."""
    return np.bincount(np.searchsorted(edges, x, side="right"), minlength=len(edges) + 1).astype(np.float64)


def population_stability(expected: FloatArray, actual: FloatArray) -> float:
    """Return sum (a_i - e_i) ln(a_i / e_i) of two histograms, shares floored at 1e-6.

    Raises
    ------
    ValueError : histograms of different lengths, negative counts, or an empty one.
    """
    e, a = finite_array("expected", expected, (None,)), finite_array("actual", actual, (len(expected),))
    if (e < 0).any() or (a < 0).any() or e.sum() <= 0 or a.sum() <= 0:
        raise ValueError("expected two histograms with counts of zero or more, not all zero")
    e, a = np.maximum(e / e.sum(), _SHARE_FLOOR), np.maximum(a / a.sum(), _SHARE_FLOOR)
    return float(((a - e) * np.log(a / e)).sum())


def psi_verdict(value: float) -> Drift:
    """Under 0.1 stable, up to 0.25 watch, over it alarm; a value that is no number is an alarm."""
    if value < PSI_WATCH:
        return Drift.STABLE
    return Drift.WATCH if value <= PSI_ALARM else Drift.ALARM


def cusum(z: FloatArray, slack: float, threshold: float) -> tuple[FloatArray, int | None]:
    """Return the path S_t = max(0, S_t-1 + z_t - k) and the first t with S_t > h, or None.

    Source: Page (1954), Biometrika 41, 100-115.
    """
    path = np.empty(len(z))
    level, alarm = 0.0, None
    for t in range(len(z)):
        level = cusum_step(level, float(z[t]), slack)
        path[t] = level
        if alarm is None and level > threshold:
            alarm = t
    return path, alarm


@kernel
def cusum_step(level: float, z: float, slack: float) -> float:
    """Return the next level of the CUSUM."""
    return max(0.0, level + z - slack)


@kernel
def count_alarms(z: FloatArray, slack: float, threshold: float) -> int:
    """Return how often the CUSUM alarms, starting from zero after each alarm."""
    level, alarms = 0.0, 0
    for t in range(z.shape[0]):
        level = max(0.0, level + z[t] - slack)
        if level > threshold:
            alarms += 1
            level = 0.0
    return alarms


def average_run_length(slack: float, threshold: float, shift: float = 0.0, *, cells: int = 400) -> float:
    """Return the mean number of observations until the CUSUM alarms, for iid normal z of sd 1 and mean `shift`.

    Source: Markov chain approximation, Brook & Evans (1972), Biometrika 59, 539-549; `cells` levels.
    """
    width = 2.0 * threshold / (2.0 * cells - 1.0)
    levels = np.arange(cells) * width

    def below(value: FloatArray) -> FloatArray:
        return np.array([0.5 * math.erfc(-v / math.sqrt(2.0)) for v in value.ravel()]).reshape(value.shape)

    # Level 0 collects everything at or below half a cell.
    steps = levels[None, :] - levels[:, None] + slack - shift
    chain = below(steps + width / 2) - below(steps - width / 2)
    chain[:, 0] = below(steps[:, 0] + width / 2)
    return float(np.linalg.solve(np.eye(cells) - chain, np.ones(cells))[0])


def score_reference(
    scores: FloatArray,
    *,
    slack: float = 0.5,
    bars_between_alarms: float = 5000.0,
    block: int = 50,
    seed: int = 0,
) -> ScoreReference:
    """Calibrate the drift alarm on training scores.

    c_t is skewed and autocorrelated, so the normal tables do not hold: the threshold is the one at which a
    circular block bootstrap of the training scores alarms once in `bars_between_alarms` bars on average.

    Raises
    ------
    ValueError : fewer than two blocks of scores, or scores that do not vary.
    """
    values = finite_array("scores", scores, (None,))
    if len(values) < 2 * block:
        raise ValueError(f"expected at least {2 * block} scores, was {len(values)}")
    mean, deviation = float(values.mean()), float(values.std())
    if deviation <= 0:
        raise ValueError("the scores do not vary")
    rng = np.random.default_rng(seed)
    # Forty alarms give the mean time between them a standard error of about 16 %.
    draws = math.ceil(40 * bars_between_alarms / block)
    begins = rng.integers(0, len(values), size=draws)
    rows = (begins[:, None] + np.arange(block)[None, :]) % len(values)
    z = np.ascontiguousarray(((mean - values) / deviation)[rows].ravel())
    wanted = len(z) / bars_between_alarms
    count = fastest(count_alarms)
    low, high = 0.0, 1.0
    while count(z, slack, high) > wanted:
        low, high = high, 2.0 * high
    for _ in range(40):
        middle = 0.5 * (low + high)
        if count(z, slack, middle) > wanted:
            low = middle
        else:
            high = middle
    return ScoreReference(mean, deviation, float(np.quantile(values, SCORE_FLOOR_QUANTILE)), slack, high)
