"""The expectation step of Baum-Welch as machine code, made to measure for a number of states and features."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from trading.domain.regime.arrays import FloatArray

# A density outside these, of a row or of a block of rows, is taken in log space, where nothing is lost.
_TINY, _HUGE = 1e-150, 1e150
# Densities are multiplied up and the logarithm taken when the product leaves these bounds, which leave room
# for one more factor.
_SMALL, _LARGE = 1e-100, 1e100
# Rows between normalisations. Dividing at every row would make each row wait for the division of the one
# before; densities of eight rows fit a float with room to spare.
_BLOCK = 8


@cache
def expectation_kernel(states: int, width: int, robust: bool) -> Callable[..., float]:
    """Return the E-step over one unbroken stretch for K = `states` and D = `width`.

    All three are constants of the compiled code, so that its inner loops are unrolled (worth 40 %) and the
    plain one does not carry the rare branch. Eight rows with a joint density beyond 1e-150 to 1e150 make the
    plain one give up with NaN; the robust one takes such rows in log space.

    The arguments of the result, all float64: x (T, D), start (K,), transition (K, K), means (K, D),
    whiten (K, D, D), log_norm (K,); work space alpha (T, K) and weight (T, K), filled; and the sums, added to:
    visits (K,), observed (K, D), products (K, D, D) lower triangle, pairs (K, K) before multiplication with the
    transition, first (K,). It returns the log likelihood of the stretch, or NaN, and then the sums are not
    touched: such a row for the plain one, a row that no state explains for the robust one.

    Scaled forward-backward: alpha is the filtered law up to a factor, weight the row's densities times what
    alpha was scaled by. With the same factors on the way back, alpha beta is the smoothed law.
    Source: Rabiner (1989), Proc. IEEE 77(2), 257-286, section V.A.
    """

    def expectation(
        x: FloatArray,
        start: FloatArray,
        transition: FloatArray,
        means: FloatArray,
        whiten: FloatArray,
        log_norm: FloatArray,
        alpha: FloatArray,
        weight: FloatArray,
        visits: FloatArray,
        observed: FloatArray,
        products: FloatArray,
        pairs: FloatArray,
        first: FloatArray,
    ) -> float:
        rows = x.shape[0]
        block = 1 if robust else _BLOCK
        predicted, density = (
            np.empty(states),
            np.empty(states),
        )  # of the newest row; only the robust one looks
        log_likelihood, product = 0.0, 1.0
        for t in range(rows):
            norm = 0.0
            for k in range(states):
                square = 0.0
                for i in range(width):
                    inner = 0.0
                    for j in range(i + 1):
                        inner += whiten[k, i, j] * (x[t, j] - means[k, j])
                    square += inner * inner
                log_density = log_norm[k] - 0.5 * square
                ahead = start[k]
                if t > 0:
                    ahead = 0.0
                    for j in range(states):
                        ahead += alpha[t - 1, j] * transition[j, k]
                if robust:
                    density[k], predicted[k] = log_density, ahead
                likelihood = math.exp(log_density)
                weight[t, k] = likelihood
                alpha[t, k] = likelihood * ahead
                norm += likelihood * ahead
            if (t + 1) % block != 0 and t + 1 < rows:
                continue
            if not robust and not _TINY <= norm <= _HUGE:
                return math.nan
            if not robust or _TINY <= norm <= _HUGE:
                scale = 1.0 / norm
                for k in range(states):
                    alpha[t, k] *= scale
                    weight[t, k] *= scale
                product *= norm
                if product < _SMALL or product > _LARGE:
                    log_likelihood += math.log(product)
                    product = 1.0
            else:
                top = -math.inf
                for k in range(states):
                    if predicted[k] > 0.0:
                        value = math.log(predicted[k]) + density[k]
                        if value > top:
                            top = value
                if not -math.inf < top < math.inf:
                    return math.nan
                norm = 0.0
                for k in range(states):
                    alpha[t, k] = 0.0
                    if predicted[k] > 0.0:
                        alpha[t, k] = math.exp(math.log(predicted[k]) + density[k] - top)
                    norm += alpha[t, k]
                for k in range(states):
                    alpha[t, k] /= norm
                    weight[t, k] = 0.0
                    if predicted[k] > 0.0:
                        weight[t, k] = alpha[t, k] / predicted[k]
                log_likelihood += top + math.log(norm)
        log_likelihood += math.log(product)

        beta, carried = np.ones(states), np.empty(states)
        for back in range(rows):
            t = rows - 1 - back
            for k in range(states):
                share = alpha[t, k] * beta[k]
                visits[k] += share
                for i in range(width):
                    weighted = share * x[t, i]
                    observed[k, i] += weighted
                    for j in range(i + 1):
                        products[k, i, j] += weighted * x[t, j]
                if t == 0:
                    first[k] += share
            if t > 0:
                for k in range(states):
                    carried[k] = weight[t, k] * beta[k]
                for i in range(states):
                    total = 0.0
                    here = alpha[t - 1, i]
                    for j in range(states):
                        total += transition[i, j] * carried[j]
                        pairs[i, j] += here * carried[j]
                    beta[i] = total
        return log_likelihood

    return expectation
