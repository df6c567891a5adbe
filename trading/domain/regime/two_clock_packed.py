"""The two-clock filter over flat float64 vectors: what compiled strategies carry from bar to bar."""

from __future__ import annotations

import math

import numpy as np

from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.compiled import kernel
from trading.domain.regime.packed import log_probabilities
from trading.domain.regime.scaler import Scaler
from trading.domain.regime.steps import gaussian_log_densities, scale_row
from trading.domain.regime.two_clock import TwoClockHmm
from trading.domain.regime.two_clock_steps import CLOSED, FIRST, WITHIN, joint_fast, joint_predict, joint_slow

HEADER = 7
"""Packed model: K, M, fast width, slow width, power, fast clip, slow clip; then the arrays as in `pack_two_clock`."""
STATE_HEADER = 1
"""Packed state: phase; then the joint law (K * M) and work space."""


def pack_two_clock(hmm: TwoClockHmm, fast: Scaler, slow: Scaler) -> FloatArray:
    """Return header, centers and scales (fast, slow), log p0 (K), log S (K K), log f0 (M), log A (K M M), and
    means, whitening and log normalisers of the fast and of the slow emission in one vector."""
    chain = hmm.chain
    parts = [
        np.array(
            [
                chain.macros, chain.micros, hmm.fast.features, hmm.slow.features,
                hmm.power, fast.clip, slow.clip,
            ]
        ),
        fast.center, fast.scale, slow.center, slow.scale,
        log_probabilities(chain.macro_start), log_probabilities(chain.macro_transition).ravel(),
        log_probabilities(chain.micro_start), log_probabilities(chain.micro_transition).ravel(),
    ]  # fmt: skip
    for emission in (hmm.fast, hmm.slow):
        whiten, log_norm = emission.whitening()
        parts += [emission.means.ravel(), whiten.ravel(), log_norm]
    return np.concatenate(parts).astype(np.float64)


def initial_two_clock_state(hmm: TwoClockHmm) -> FloatArray:
    """Return the packed state before the first fast bar."""
    k, m = hmm.chain.macros, hmm.chain.micros
    work = k * m + max(k, m) + m + k + hmm.fast.features + hmm.slow.features
    return np.zeros(STATE_HEADER + k * m + work)


@kernel
def two_clock_step(
    model: FloatArray,
    state: FloatArray,
    fast: FloatArray,
    fast_seen: bool,
    slow: FloatArray,
    slow_closed: bool,
    slow_seen: bool,
) -> float:
    """Advance the joint law by one fast bar, and by the slow bar that closes with it.

    Parameters
    ----------
    model, state : from `pack_two_clock` and `initial_two_clock_state`; the state changes in place.
    fast (D_fast,), slow (D_slow,) : raw features; not looked at where `fast_seen` or `slow_seen` is False.
    slow_closed : a slow bar closes with this fast bar.

    Returns
    -------
    The log score of what was seen, 0 when nothing was; NaN when no pair of states explains it, and then the
    law is the predicted one of before. Before the first fast row is seen nothing moves.
    """
    macros, micros = int(model[0]), int(model[1])
    fast_width, slow_width, pairs = int(model[2]), int(model[3]), int(model[0]) * int(model[1])
    at = HEADER
    fast_center, fast_scale = model[at : at + fast_width], model[at + fast_width : at + 2 * fast_width]
    at += 2 * fast_width
    slow_center, slow_scale = model[at : at + slow_width], model[at + slow_width : at + 2 * slow_width]
    at += 2 * slow_width
    macro_start = model[at : at + macros]
    at += macros
    macro_transition = model[at : at + macros * macros]
    at += macros * macros
    micro_start = model[at : at + micros]
    at += micros
    micro_transition = model[at : at + macros * micros * micros]
    at += macros * micros * micros
    fast_means = model[at : at + micros * fast_width]
    at += micros * fast_width
    fast_whiten = model[at : at + micros * fast_width * fast_width]
    at += micros * fast_width * fast_width
    fast_norm = model[at : at + micros]
    at += micros
    slow_means = model[at : at + macros * slow_width]
    at += macros * slow_width
    slow_whiten = model[at : at + macros * slow_width * slow_width]
    at += macros * slow_width * slow_width
    slow_norm = model[at : at + macros]

    if state[0] == FIRST and not fast_seen:
        return 0.0
    at = STATE_HEADER
    law = state[at : at + pairs]
    at += pairs
    scratch = state[at : at + pairs]
    at += pairs
    longer = micros
    if macros > micros:
        longer = macros
    terms = state[at : at + longer]
    at += longer
    micro_density = state[at : at + micros]
    at += micros
    macro_density = state[at : at + macros]
    at += macros
    z = state[at : at + fast_width]
    at += fast_width
    slow_z = state[at : at + slow_width]

    joint_predict(
        macros, micros, int(state[0]), macro_start, macro_transition, micro_start, micro_transition, law,
        scratch, terms,
    )  # fmt: skip
    state[0] = WITHIN
    total = 0.0
    if fast_seen:
        scale_row(fast_center, fast_scale, model[5], fast, z)
        gaussian_log_densities(fast_means, fast_whiten, fast_norm, z, micro_density)
        score = joint_fast(micro_density, law, scratch)
        if not -math.inf < score < math.inf:
            return math.nan
        total += score
    if slow_closed:
        state[0] = CLOSED
        if slow_seen:
            scale_row(slow_center, slow_scale, model[6], slow, slow_z)
            gaussian_log_densities(slow_means, slow_whiten, slow_norm, slow_z, macro_density)
            score = joint_slow(macro_density, model[4], law, scratch)
            if not -math.inf < score < math.inf:
                return math.nan
            total += score
    return total
