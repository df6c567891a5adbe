"""Probability of backtest overfitting by combinatorially symmetric cross-validation (CSCV)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np
from numpy.typing import ArrayLike

from trading.domain.statistics.figures import FloatArray


@dataclass(frozen=True, slots=True)
class Overfitting:
    """Attributes
    ----------
    probability : share of halves whose in-sample best ends at or below the median out of sample.
    logits : (C,), ln(w / (1 - w)) of the relative out-of-sample rank w of each in-sample best.
    degradation : slope of out-of-sample on in-sample performance of the chosen; negative: the better it
        looked, the worse it did.
    loss_probability : share of halves whose chosen configuration loses out of sample.
    """

    probability: float
    logits: FloatArray
    degradation: float
    loss_probability: float

    @property
    def combinations(self) -> int:
        """How many halves were tried."""
        return len(self.logits)


Measure = Callable[[FloatArray, FloatArray, int], FloatArray]
"""(sum of the rows, sum of their squares, number of rows) -> performance, each (N,)."""


def sharpe_of_sums(total: FloatArray, squares: FloatArray, n: int) -> FloatArray:
    """Return mean / sd (n - 1) per column; 0.0 for columns that do not vary."""
    mean = total / n
    variance = np.maximum(squares - n * mean * mean, 0.0) / (n - 1)
    # Below this the difference of the two sums is rounding: the column is constant.
    varies = variance > 1e-12 * (squares / n)
    return np.where(varies, mean / np.sqrt(np.where(varies, variance, 1.0)), 0.0)


def backtest_overfitting(
    returns: ArrayLike, blocks: int, *, measure: Measure = sharpe_of_sums, batch: int = 256
) -> Overfitting:
    """Return the probability that choosing the best of N configurations in sample picks one below the median.

    The T rows are cut into `blocks` contiguous blocks of equal length (the remainder is dropped at the end).
    For each choice of half of them the column with the best measure is found (ties: the first), and ranked among all
    columns on the other half, 1 the worst (ties: the number of columns strictly below, plus one). With
    w = rank / (N + 1) the logit is ln(w / (1 - w)); PBO is the share of logits at or below zero.

    Parameters
    ----------
    returns : (T, N), per-period returns of all configurations tried, the bad ones included.
    blocks : even; C(16, 8) is 12,870 halves.  measure : performance from sums.

    Raises
    ------
    ValueError : not two-dimensional or finite, fewer than two columns, an odd or impossible block count.

    Source: Bailey, Borwein, Lopez de Prado & Zhu (2017), J. Comp. Finance 20(4), 39-69.
    """
    matrix = np.asarray(returns, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] < 2:
        raise ValueError(f"expected rows and two columns or more, was shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError("expected finite returns")
    if blocks < 2 or blocks % 2:
        raise ValueError(f"expected an even number of blocks, was {blocks}")
    length = matrix.shape[0] // blocks
    if length < 2:
        raise ValueError(f"expected at least {2 * blocks} rows for {blocks} blocks, were {matrix.shape[0]}")
    cut = matrix[: length * blocks].reshape(blocks, length, -1)
    sums, squares = cut.sum(axis=1), (cut**2).sum(axis=1)
    half = blocks // 2
    columns = matrix.shape[1]
    rows = length * half
    every = combinations(range(blocks), half)
    logits, inside_best, outside_best = [], [], []
    # Sums per block make each half one small matrix product, whatever T is.
    while chosen := list(islice(every, batch)):
        select = np.zeros((len(chosen), blocks))
        for row, members in enumerate(chosen):
            select[row, list(members)] = 1.0
        inside = measure(select @ sums, select @ squares, rows)
        outside = measure((1.0 - select) @ sums, (1.0 - select) @ squares, rows)
        best = np.argmax(inside, axis=1)
        at = np.arange(len(chosen))
        out = outside[at, best]
        rank = (outside < out[:, None]).sum(axis=1) + 1
        w = rank / (columns + 1)
        logits.append(np.log(w / (1.0 - w)))
        inside_best.append(inside[at, best])
        outside_best.append(out)
    logit = np.concatenate(logits)
    x, y = np.concatenate(inside_best), np.concatenate(outside_best)
    spread = float(((x - x.mean()) ** 2).sum())
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / spread) if spread > 0 else 0.0
    return Overfitting(float(np.mean(logit <= 0.0)), logit, slope, float(np.mean(y < 0.0)))


def most_blocks(rows: int, wanted: int = 16, shortest: int = 10) -> int:
    """Return the largest even number of blocks up to `wanted` that leaves `shortest` rows each, at least 2."""
    return max(2, min(wanted, 2 * math.floor(rows / shortest / 2)))
