"""Smoothed probabilities of training rows. They see the future: for judging a fit, never for trading."""

from __future__ import annotations

import numpy as np

from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.compiled import fastest, kernel
from trading.domain.regime.em import Fit
from trading.domain.regime.filter import filter_series
from trading.domain.regime.model import GaussianHmm


@kernel
def smooth_rows(filtered: FloatArray, transition: FloatArray, result: FloatArray) -> None:
    """Fill (T, K) P(s_t | x_1..T) from the filtered rows of one stretch.

    Source: Kim (1994), J. Econometrics 60, 1-22, the backward pass that needs no densities.
    """
    rows, states = filtered.shape
    for k in range(states):
        result[rows - 1, k] = filtered[rows - 1, k]
    for back in range(1, rows):
        t = rows - 1 - back
        for i in range(states):
            result[t, i] = 0.0
        for j in range(states):
            predicted = 0.0
            for i in range(states):
                predicted += filtered[t, i] * transition[i, j]
            if predicted > 0.0:
                ratio = result[t + 1, j] / predicted
                for i in range(states):
                    result[t, i] += filtered[t, i] * transition[i, j] * ratio


def smoothed(x: FloatArray, hmm: GaussianHmm, lengths: tuple[int, ...] | None = None) -> FloatArray:
    """Return (T, K) P(s_t | x_1..T), stretch by stretch."""
    spans = lengths or (x.shape[0],)
    filtered, _ = filter_series(hmm, x, spans, machine_code=True)
    result = np.empty(filtered.shape)
    at = 0
    for length in spans:
        fastest(smooth_rows)(filtered[at : at + length], hmm.transition, result[at : at + length])
        at += length
    return result


def icl(x: FloatArray, fit: Fit, lengths: tuple[int, ...] | None = None) -> float:
    """Return BIC + 2 sum of the entropies of the smoothed posterior (Biernacki, Celeux & Govaert 2000).

    Reported, never selected by: it rewards separated clusters and merges overlapping volatility regimes.
    """
    posterior = smoothed(x, fit.hmm, lengths)
    logs = np.log(posterior, out=np.zeros(posterior.shape), where=posterior > 0)
    return fit.bic() - 2.0 * float((posterior * logs).sum())
