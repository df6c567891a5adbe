"""Kernels a strategy calls once per closed bar: scaling, densities, and one step of the forward filter.

All take and return float64 and work in place on the state, so that they can be called from interpreted and
from compiled steps alike. The layouts of the packed model and state are in `packed.py`.
"""

from __future__ import annotations

import math

from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.compiled import kernel

HEADER = 3
"""Packed model: states, features, clip; then the arrays in the order of `packed.py`."""
STATE_HEADER = 1
"""Packed state: rows seen; then the log posterior (K) and work space."""


@kernel
def scale_row(center: FloatArray, scale: FloatArray, clip: float, x: FloatArray, out: FloatArray) -> None:
    """Standardise one row of (D,) features into `out` and clip it at +-`clip`."""
    for i in range(x.shape[0]):
        z = (x[i] - center[i]) / scale[i]
        if z > clip:
            z = clip
        elif z < -clip:
            z = -clip
        out[i] = z


@kernel
def gaussian_log_densities(
    means: FloatArray, whiten: FloatArray, log_norm: FloatArray, x: FloatArray, out: FloatArray
) -> None:
    """Write log N(x; mu_k, Sigma_k) of every state into `out`.

    Parameters
    ----------
    means : (K * D,).  whiten : (K * D * D,), the lower inverse Cholesky factor of each covariance, by rows.
    log_norm : (K,), -D/2 ln(2 pi) + ln det(whiten).  x : (D,).  out : (K,), natural log.
    """
    width = x.shape[0]
    for k in range(out.shape[0]):
        square = 0.0
        for i in range(width):
            inner = 0.0
            row = (k * width + i) * width
            for j in range(i + 1):
                inner += whiten[row + j] * (x[j] - means[k * width + j])
            square += inner * inner
        out[k] = log_norm[k] - 0.5 * square


@kernel
def log_sum(values: FloatArray) -> float:
    """Return ln(sum(exp(values))); -inf when every value is."""
    top = -math.inf
    for i in range(values.shape[0]):
        if values[i] > top:
            top = values[i]
    if top == -math.inf or top == math.inf:
        return top
    total = 0.0
    for i in range(values.shape[0]):
        total += math.exp(values[i] - top)
    return top + math.log(total)


@kernel
def normalise(weights: FloatArray, out: FloatArray) -> float:
    """Write ln(exp(weights) / sum(exp(weights))) into `out`, which may be `weights`; return the log of the sum.

    When that is not finite, nothing was written.
    """
    top = -math.inf
    for k in range(weights.shape[0]):
        if not weights[k] < math.inf:
            return math.nan
        if weights[k] > top:
            top = weights[k]
    if top == -math.inf:
        return top
    total = 0.0
    for k in range(weights.shape[0]):
        total += math.exp(weights[k] - top)
    log_total = math.log(total)
    # Not weights - (top + log_total): far from every state that sum is large, and rounding it would cost
    # the probabilities their last digits.
    for k in range(weights.shape[0]):
        out[k] = (weights[k] - top) - log_total
    return top + log_total


@kernel
def forward_first(
    log_start: FloatArray, log_density: FloatArray, log_posterior: FloatArray, scratch: FloatArray
) -> float:
    """Take the first observation; write the filtered log probabilities, return the log score c_1.

    A score that is not finite means that `log_posterior` was not written. `scratch` (K,) may be `log_start`.
    """
    for k in range(log_start.shape[0]):
        scratch[k] = log_start[k] + log_density[k]
    return normalise(scratch, log_posterior)


@kernel
def log_predict(log_transition: FloatArray, log_posterior: FloatArray, out: FloatArray) -> None:
    """Write ln P(s_t+1 = k | x_1..t) into `out`; `log_transition` is (K * K,) by rows."""
    states = log_posterior.shape[0]
    for k in range(states):
        top = -math.inf
        for j in range(states):
            v = log_posterior[j] + log_transition[j * states + k]
            if v > top:
                top = v
        if top == -math.inf:
            out[k] = top
        else:
            total = 0.0
            for j in range(states):
                total += math.exp(log_posterior[j] + log_transition[j * states + k] - top)
            out[k] = top + math.log(total)


@kernel
def forward_step(
    log_transition: FloatArray, log_density: FloatArray, log_posterior: FloatArray, scratch: FloatArray
) -> float:
    """Advance the filtered log probabilities by one closed bar, in place; return the log score c_t.

    Parameters
    ----------
    log_transition : (K * K,), row i is ln P(s_t | s_t-1 = i).  log_density : (K,), ln p(x_t | s_t = k).
    log_posterior : (K,), ln P(s_t-1 | x_1..t-1); afterwards ln P(s_t | x_1..t).  scratch : (K,).

    Returns
    -------
    c_t = ln p(x_t | x_1..t-1); when it is not finite, `log_posterior` is unchanged.

    Source: forward recursion in log space, Rabiner (1989), Proc. IEEE 77(2), 257-286.
    """
    log_predict(log_transition, log_posterior, scratch)
    return forward_first(scratch, log_density, log_posterior, scratch)


@kernel
def filter_step(model: FloatArray, state: FloatArray, x: FloatArray) -> float:
    """Scale one row of raw features and advance the packed filter state by it; return the log score c_t.

    Parameters
    ----------
    model : packed by `pack_model`.  state : packed, from `initial_state`; changed in place.
    x : (D,) raw features of the bar that just closed.

    Returns
    -------
    c_t; when it is not finite the state is unchanged.
    """
    states, width = int(model[0]), int(model[1])
    at = HEADER
    center = model[at : at + width]
    at += width
    scale = model[at : at + width]
    at += width
    log_start = model[at : at + states]
    at += states
    log_transition = model[at : at + states * states]
    at += states * states
    means = model[at : at + states * width]
    at += states * width
    whiten = model[at : at + states * width * width]
    at += states * width * width
    log_norm = model[at : at + states]
    log_posterior = state[STATE_HEADER : STATE_HEADER + states]
    density = state[STATE_HEADER + states : STATE_HEADER + 2 * states]
    scratch = state[STATE_HEADER + 2 * states : STATE_HEADER + 3 * states]
    z = state[STATE_HEADER + 3 * states : STATE_HEADER + 3 * states + width]
    scale_row(center, scale, model[2], x, z)
    gaussian_log_densities(means, whiten, log_norm, z, density)
    if state[0] == 0.0:
        score = forward_first(log_start, density, log_posterior, scratch)
    else:
        score = forward_step(log_transition, density, log_posterior, scratch)
    if -math.inf < score < math.inf:
        state[0] += 1.0
    return score


@kernel
def filter_skip(model: FloatArray, state: FloatArray) -> None:
    """Let one bar pass without an observation: the posterior becomes its own one-step prediction.

    Before the first observation nothing changes: the start distribution is that of the first bar seen.
    """
    if state[0] == 0.0:
        return
    states, width = int(model[0]), int(model[1])
    at = HEADER + 2 * width + states
    log_posterior = state[STATE_HEADER : STATE_HEADER + states]
    scratch = state[STATE_HEADER + 2 * states : STATE_HEADER + 3 * states]
    log_predict(model[at : at + states * states], log_posterior, scratch)
    for k in range(states):
        log_posterior[k] = scratch[k]


@kernel
def filter_rows(
    model: FloatArray, state: FloatArray, x: FloatArray, posterior: FloatArray, scores: FloatArray
) -> int:
    """Run `filter_step` over (T, D) rows; fill (T, K) filtered probabilities and (T,) log scores.

    Returns
    -------
    How many rows were taken: T, or the index of the row that no state explains.
    """
    states = int(model[0])
    for t in range(x.shape[0]):
        score = filter_step(model, state, x[t])
        if not -math.inf < score < math.inf:
            return t
        scores[t] = score
        for k in range(states):
            posterior[t, k] = math.exp(state[STATE_HEADER + k])
    return int(x.shape[0])
