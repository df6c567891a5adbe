"""Kernels of the two-clock filter: a macro chain that moves when a slow bar closes, a micro chain that moves
every fast bar with a transition matrix chosen by the macro state."""

from __future__ import annotations

import math

import numpy as np

from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.compiled import kernel
from trading.domain.regime.steps import log_sum, normalise

FIRST, WITHIN, CLOSED = 0, 1, 2
"""Phases: before the first fast bar; inside a slow bar; a slow bar closed with the last fast bar."""


@kernel
def joint_predict(
    macros: int,
    micros: int,
    phase: int,
    log_macro_start: FloatArray,
    log_macro_transition: FloatArray,
    log_micro_start: FloatArray,
    log_micro_transition: FloatArray,
    log_joint: FloatArray,
    scratch: FloatArray,
    terms: FloatArray,
) -> None:
    """Replace the joint law by its one-step prediction, before the next fast bar is looked at.

    Parameters
    ----------
    log_macro_transition : (K * K,) ln S by rows.  log_micro_transition : (K * M * M,) ln A^(k) by rows.
    log_joint : (K * M,), changed in place.  scratch : (K * M,).  terms : (max(K, M),).
    """
    if phase == FIRST:
        for k in range(macros):
            for m in range(micros):
                log_joint[k * micros + m] = log_macro_start[k] + log_micro_start[m]
        return
    if phase == CLOSED:
        for k in range(macros):
            for m in range(micros):
                for j in range(macros):
                    terms[j] = log_joint[j * micros + m] + log_macro_transition[j * macros + k]
                scratch[k * micros + m] = log_sum(terms[:macros])
        for i in range(macros * micros):
            log_joint[i] = scratch[i]
    for k in range(macros):
        for m in range(micros):
            for n in range(micros):
                terms[n] = log_joint[k * micros + n] + log_micro_transition[(k * micros + n) * micros + m]
            scratch[k * micros + m] = log_sum(terms[:micros])
    for i in range(macros * micros):
        log_joint[i] = scratch[i]


@kernel
def joint_fast(log_micro_density: FloatArray, log_joint: FloatArray, scratch: FloatArray) -> float:
    """Weigh a predicted joint law (K * M,) by the fast bar's log densities (M,); return the log score.

    When the score is not finite, `log_joint` is unchanged.
    """
    micros = log_micro_density.shape[0]
    for i in range(log_joint.shape[0]):
        scratch[i] = log_joint[i] + log_micro_density[i % micros]
    return normalise(scratch, log_joint)


@kernel
def joint_slow(
    log_macro_density: FloatArray, power: float, log_joint: FloatArray, scratch: FloatArray
) -> float:
    """Weigh the joint law (K * M,) by the closed slow bar's log densities (K,) times `power`; return the log score.

    When the score is not finite, `log_joint` is unchanged.
    """
    micros = log_joint.shape[0] // log_macro_density.shape[0]
    for i in range(log_joint.shape[0]):
        scratch[i] = log_joint[i] + power * log_macro_density[i // micros]
    return normalise(scratch, log_joint)


@kernel
def joint_marginals(
    macros: int, micros: int, log_joint: FloatArray, macro: FloatArray, micro: FloatArray
) -> None:
    """Write the macro (K,) and micro (M,) probabilities of a joint law: its row and column sums."""
    for k in range(macros):
        macro[k] = 0.0
    for m in range(micros):
        micro[m] = 0.0
    for k in range(macros):
        for m in range(micros):
            p = math.exp(log_joint[k * micros + m])
            macro[k] += p
            micro[m] += p


@kernel
def joint_rows(
    macros: int,
    micros: int,
    power: float,
    log_macro_start: FloatArray,
    log_macro_transition: FloatArray,
    log_micro_start: FloatArray,
    log_micro_transition: FloatArray,
    fast_log_density: FloatArray,
    slow_log_density: FloatArray,
    closes: FloatArray,
    macro: FloatArray,
    micro: FloatArray,
    fast_scores: FloatArray,
    slow_scores: FloatArray,
) -> int:
    """Filter (T, M) fast and (J, K) slow log densities; fill (T, K), (T, M) and the log scores (T,) and (J,).

    Returns
    -------
    How many fast bars were taken: T, or the index of the one that no state explains.
    """
    log_joint, scratch = np.zeros(macros * micros), np.zeros(macros * micros)
    terms = np.zeros(max(macros, micros))
    phase, closed = FIRST, 0
    for t in range(fast_log_density.shape[0]):
        joint_predict(
            macros, micros, phase, log_macro_start, log_macro_transition, log_micro_start,
            log_micro_transition, log_joint, scratch, terms,
        )  # fmt: skip
        phase = WITHIN
        score = joint_fast(fast_log_density[t], log_joint, scratch)
        if not -math.inf < score < math.inf:
            return t
        fast_scores[t] = score
        if closes[t] != 0.0:
            score = joint_slow(slow_log_density[closed], power, log_joint, scratch)
            if not -math.inf < score < math.inf:
                return t
            slow_scores[closed] = score
            phase = CLOSED
            closed += 1
        joint_marginals(macros, micros, log_joint, macro[t], micro[t])
    return int(fast_log_density.shape[0])
