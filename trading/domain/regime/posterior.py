"""From filtered probabilities to a target: moments, confidence, capped Kelly, fusion by log-odds, gates.

Kernels: they take numbers a model has already checked, and whatever is not finite leads to no exposure.
"""

from __future__ import annotations

import math

from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.compiled import kernel

OPEN, LOW_CONFIDENCE, UNEXPLAINED, STALE, EXPIRED = 0, 1, 2, 3, 4
GATE_REASONS = ("", "LOW_CONFIDENCE", "UNEXPLAINED_OBSERVATION", "STALE_FEATURES", "MODEL_EXPIRED")

_CLIP_LOW, _CLIP_HIGH = 0.01, 0.99


@kernel
def predict(
    filtered: FloatArray, transition: FloatArray, steps: int, out: FloatArray, scratch: FloatArray
) -> None:
    """Write P(s_t+h | x_1..t) into `out`: filtered (K,) times the h-th power of transition, (K K,) by rows."""
    states = filtered.shape[0]
    for k in range(states):
        out[k] = filtered[k]
    for _ in range(steps):
        for k in range(states):
            total = 0.0
            for j in range(states):
                total += out[j] * transition[j * states + k]
            scratch[k] = total
        for k in range(states):
            out[k] = scratch[k]


@kernel
def mixture_moments(
    probabilities: FloatArray, means: FloatArray, variances: FloatArray
) -> tuple[float, float]:
    """Return mean and variance of a mixture: sum p mu, and sum p (var + mu^2) - mean^2.

    `means` and `variances` are of the return per bar in each state, in the return's own units.
    """
    mean = 0.0
    second = 0.0
    for k in range(probabilities.shape[0]):
        mean += probabilities[k] * means[k]
        second += probabilities[k] * (variances[k] + means[k] * means[k])
    return mean, second - mean * mean


@kernel
def kelly_target(mean: float, variance: float, fraction: float, cap: float, cost: float) -> float:
    """Return clip(fraction * net mean / variance, +-cap).

    Parameters
    ----------
    mean, variance : of the return over the next bar.  fraction : of full Kelly, 0.5 at most.
    cap : largest exposure, a fraction of capital.
    cost : expected cost of the change per unit of exposure and bar held; it shrinks the mean towards 0.
    """
    if not (0.0 < variance < math.inf and -math.inf < mean < math.inf and 0.0 <= cost < math.inf):
        return 0.0
    net = 0.0
    if mean > cost:
        net = mean - cost
    elif mean < -cost:
        net = mean + cost
    target = fraction * net / variance
    if target > cap:
        return cap
    if target < -cap:
        return -cap
    return target


@kernel
def policy_target(probabilities: FloatArray, positions: FloatArray) -> float:
    """Return sum p_k position_k: each regime's position, a signed fraction, weighted by its probability."""
    total = 0.0
    for k in range(probabilities.shape[0]):
        total += probabilities[k] * positions[k]
    return total


@kernel
def within_band(target: float, current: float, band: float) -> bool:
    """Say whether a change is too small to trade: |target - current| <= band."""
    return abs(target - current) <= band


@kernel
def confidence(probabilities: FloatArray) -> float:
    """Return 1 - H(p) / ln K: 1 for a certain state, 0 for the uniform distribution; 1 when K is 1."""
    states = probabilities.shape[0]
    if states < 2:
        return 1.0
    entropy = 0.0
    for k in range(states):
        if probabilities[k] > 0.0:
            entropy -= probabilities[k] * math.log(probabilities[k])
    return min(1.0, max(0.0, 1.0 - entropy / math.log(states)))


@kernel
def log_odds_pool(probabilities: FloatArray, weights: FloatArray, bias: float) -> float:
    """Fuse calibrated probabilities of one event: logit p = bias + sum w_i logit p_i.

    Opposite opinions cancel, so that disagreement brings the result back to one half and its confidence
    |2 p - 1| to nothing. Each probability is clipped to 0.01..0.99, or one certain member would decide alone.
    """
    total = bias
    for i in range(probabilities.shape[0]):
        p = min(_CLIP_HIGH, max(_CLIP_LOW, probabilities[i]))
        total += weights[i] * math.log(p / (1.0 - p))
    # Written for the side whose exponential cannot overflow.
    if total >= 0.0:
        return 1.0 / (1.0 + math.exp(-total))
    grown = math.exp(total)
    return grown / (1.0 + grown)


@kernel
def shrunk_mean(mean: float, observations: float, prior_observations: float) -> float:
    """Return mu n / (n + n0): state means need thousands of bars, so short ones are pulled to zero."""
    return mean * observations / (observations + prior_observations)


@kernel
def gate(
    certainty: float,
    certainty_floor: float,
    log_score: float,
    score_floor: float,
    feature_age_bars: float,
    feature_age_limit: float,
    model_age_bars: float,
    model_age_limit: float,
) -> int:
    """Say whether probabilities may carry exposure: OPEN (0) or the first reason against, of `GATE_REASONS`.

    `score_floor` is the 0.1 % quantile of the training log scores: below it no state explains the bar. A
    number that is not finite closes the gate.
    """
    if not model_age_bars <= model_age_limit:
        return EXPIRED
    if not feature_age_bars <= feature_age_limit:
        return STALE
    if not log_score >= score_floor:
        return UNEXPLAINED
    if not certainty >= certainty_floor:
        return LOW_CONFIDENCE
    return OPEN
