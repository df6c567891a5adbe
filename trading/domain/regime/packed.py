"""One float64 vector per model and one per filter state: what compiled strategies carry."""

from __future__ import annotations

import numpy as np

from trading.domain.regime import steps
from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.model import GaussianHmm
from trading.domain.regime.scaler import Scaler


def log_probabilities(values: FloatArray) -> FloatArray:
    """Return natural logs, -inf where a probability is 0."""
    return np.log(values, out=np.full(values.shape, -np.inf), where=values > 0)


def pack_model(hmm: GaussianHmm, scaler: Scaler | None = None) -> FloatArray:
    """Return K, D, clip, center (D), scale (D), log start (K), log transition (K K), means (K D),
    whitening (K D D) and log normalisers (K) in one vector.

    Without a scaler features pass unchanged.
    """
    whiten, log_norm = hmm.emission.whitening()
    width = hmm.emission.features
    return np.concatenate(
        [
            [hmm.states, width, np.inf if scaler is None else scaler.clip],
            np.zeros(width) if scaler is None else scaler.center,
            np.ones(width) if scaler is None else scaler.scale,
            log_probabilities(hmm.start),
            log_probabilities(hmm.transition).ravel(),
            hmm.emission.means.ravel(),
            whiten.ravel(),
            log_norm,
        ]
    ).astype(np.float64)


def initial_state(hmm: GaussianHmm) -> FloatArray:
    """Return the packed filter state before the first observation."""
    return np.zeros(steps.STATE_HEADER + 3 * hmm.states + hmm.emission.features)


def log_posterior_of(state: FloatArray, states: int) -> FloatArray:
    """Return (K,) ln P(s_t | x_1..t) out of a packed state, as a view."""
    return state[steps.STATE_HEADER : steps.STATE_HEADER + states]
