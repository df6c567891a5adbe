"""Figures no breaker measures: how unsure a regime filter is, how much symbols move together, how far a peg is off."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

import numpy as np
from numpy.typing import ArrayLike


def entropy_bits(probabilities: Iterable[float]) -> float:
    """Shannon entropy of regime probabilities in bits: 0 when certain, log2 K when all K are as likely.

    Raises
    ------
    ValueError : negative, not finite, or a sum away from 1 by more than 1e-6.
    """
    values = [float(p) for p in probabilities]
    if not values or any(not math.isfinite(p) or p < 0 for p in values) or abs(sum(values) - 1) > 1e-6:
        raise ValueError("expected probabilities that sum to 1")
    return -sum(p * math.log2(p) for p in values if p > 0) + 0.0


def mean_correlation(prices: ArrayLike) -> float:
    """Mean Pearson correlation of log returns over all pairs; columns that do not move are left out.

    Parameters
    ----------
    prices : (T, N), oldest first, positive; T of 3 or more.

    Raises
    ------
    ValueError : another shape, a price that is not positive, or fewer than two columns that move.
    """
    table = np.asarray(prices, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] < 3 or not np.isfinite(table).all() or (table <= 0).any():
        raise ValueError("expected three rows or more of positive prices")
    returns = np.diff(np.log(table), axis=0)
    moving = returns[:, returns.std(axis=0) > 1e-12]
    if moving.shape[1] < 2:
        raise ValueError("expected two columns or more that move")
    matrix = np.corrcoef(moving, rowvar=False)
    return float(matrix[np.triu_indices(len(matrix), 1)].mean())


def in_common(columns: Mapping[str, Mapping[datetime, float]]) -> tuple[list[str], list[datetime]]:
    """Choose the columns to compare, and the times all of them have, oldest first.

    Of the columns whose times most others share as many as give the most values: neither one that has just begun nor
    one that has stopped empties what the rest have in common. Nothing where no two share a time.
    """
    shared = Counter(at for column in columns.values() for at in column)
    order = sorted(columns, key=lambda name: (-sum(shared[at] for at in columns[name]), name))
    best: tuple[list[str], list[datetime]] = ([], [])
    times = set(columns[order[0]]) if order else set()
    for count, name in enumerate(order, start=1):
        times &= set(columns[name])
        if count > 1 and times and count * len(times) >= len(best[0]) * len(best[1]):
            best = (sorted(order[:count]), sorted(times))
    return best


def peg_deviation(prices: Iterable[float]) -> float:
    """How far a pair of stable coins was off 1 through all of the prices, per cent: the smallest deviation of them.

    One price back at the peg ends it, so a single bad print is no depeg.

    Raises
    ------
    ValueError : no price, or one that is not positive.
    """
    values = [float(price) for price in prices]
    if not values or any(not price > 0 for price in values):
        raise ValueError("expected positive prices")
    return min(abs(price - 1.0) for price in values) * 100.0
