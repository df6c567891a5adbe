"""The expectation step of the two-clock model."""

from __future__ import annotations

import math

import numpy as np

from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.compiled import kernel

# Beyond this a row's densities cannot be told from impossible, and the scaled recursion would divide by zero.
_TINY = 1e-280


@kernel
def two_clock_expectation(
    macro_start: FloatArray,
    macro_transition: FloatArray,
    micro_start: FloatArray,
    micro_transition: FloatArray,
    fast_density: FloatArray,
    slow_density: FloatArray,
    closed: FloatArray,
    alpha: FloatArray,
    scale: FloatArray,
    micro_weight: FloatArray,
    macro_weight: FloatArray,
    macro_pairs: FloatArray,
    micro_pairs: FloatArray,
    first: FloatArray,
) -> float:
    """Run scaled forward-backward over the joint chain.

    Parameters
    ----------
    macro_start (K,), macro_transition (K, K), micro_start (M,), micro_transition (K, M, M) : the chain.
    fast_density : (T, M), each row divided by its largest.  slow_density : (J, K), likewise, power applied.
    closed : (T,) -1, or the index of the slow bar that closes with this fast bar.
    alpha : (T, K, M), filled with the filtered law.  scale : (T,), filled with the normalisers.
    micro_weight : (T, M), filled with P(m_t | all).  macro_weight : (J, K), filled with P(u at close j | all).
    macro_pairs (K, K), micro_pairs (K, M, M) : expected transitions, added to.  first : (K, M), filled.

    Returns
    -------
    Sum of the logs of the normalisers; the caller adds what the rows were divided by. NaN where no joint
    state explains a row.
    """
    rows, micros = fast_density.shape
    macros = macro_start.shape[0]
    moved, ahead, through = np.empty((macros, micros)), np.empty((macros, micros)), np.empty((macros, micros))
    total = 0.0
    for t in range(rows):
        if t > 0:
            for k in range(macros):
                for m in range(micros):
                    moved[k, m] = alpha[t - 1, k, m]
            if closed[t - 1] >= 0.0:
                for k in range(macros):
                    for m in range(micros):
                        value = 0.0
                        for j in range(macros):
                            value += alpha[t - 1, j, m] * macro_transition[j, k]
                        moved[k, m] = value
        norm = 0.0
        for k in range(macros):
            for m in range(micros):
                if t == 0:
                    value = macro_start[k] * micro_start[m]
                else:
                    value = 0.0
                    for n in range(micros):
                        value += moved[k, n] * micro_transition[k, n, m]
                value *= fast_density[t, m]
                if closed[t] >= 0.0:
                    value *= slow_density[int(closed[t]), k]
                alpha[t, k, m] = value
                norm += value
        if not norm > _TINY:
            return math.nan
        for k in range(macros):
            for m in range(micros):
                alpha[t, k, m] /= norm
        scale[t] = norm
        total += math.log(norm)

    beta = np.ones((macros, micros))
    for back in range(rows):
        t = rows - 1 - back
        if back > 0:
            nxt = t + 1
            for k in range(macros):
                for n in range(micros):
                    value = fast_density[nxt, n] * beta[k, n] / scale[nxt]
                    if closed[nxt] >= 0.0:
                        value *= slow_density[int(closed[nxt]), k]
                    ahead[k, n] = value
            for k in range(macros):
                for m in range(micros):
                    value = 0.0
                    for n in range(micros):
                        value += micro_transition[k, m, n] * ahead[k, n]
                    through[k, m] = value
            for k in range(macros):
                for m in range(micros):
                    here = alpha[t, k, m]
                    if closed[t] >= 0.0:
                        here = 0.0
                        for j in range(macros):
                            here += alpha[t, j, m] * macro_transition[j, k]
                            macro_pairs[j, k] += alpha[t, j, m] * macro_transition[j, k] * through[k, m]
                    for n in range(micros):
                        micro_pairs[k, m, n] += here * micro_transition[k, m, n] * ahead[k, n]
            for j in range(macros):
                for m in range(micros):
                    if closed[t] >= 0.0:
                        value = 0.0
                        for k in range(macros):
                            value += macro_transition[j, k] * through[k, m]
                        beta[j, m] = value
                    else:
                        beta[j, m] = through[j, m]
        for m in range(micros):
            micro_weight[t, m] = 0.0
        for k in range(macros):
            share = 0.0
            for m in range(micros):
                value = alpha[t, k, m] * beta[k, m]
                micro_weight[t, m] += value
                share += value
                if t == 0:
                    first[k, m] = value
            if closed[t] >= 0.0:
                macro_weight[int(closed[t]), k] = share
    return total
