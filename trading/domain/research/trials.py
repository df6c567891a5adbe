"""Counting trials: what a best result has to be deflated for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trading.domain.statistics.summary import Trials


@dataclass(frozen=True, slots=True)
class TrialCount:
    """The trials of one sweep.

    Attributes
    ----------
    count : configurations run.  effective : independent ones they amount to, 1 to count.
    sharpe_mean, sharpe_variance : over the configurations, of the annual Sharpe ratio.
    """

    count: int
    effective: float
    sharpe_mean: float
    sharpe_variance: float

    def __post_init__(self) -> None:
        if not (self.count >= 1 and 1.0 <= self.effective <= self.count + 1e-9 and self.sharpe_variance >= 0):
            raise ValueError(f"expected 1 <= effective <= count and a variance of zero or more, was {self}")


def effective_trials(returns: ArrayLike) -> float:
    """Return how many independent trials N correlated ones amount to: rho + (1 - rho) N.

    rho is the mean correlation between different columns, at least 0; columns that do not vary count as
    one trial together.
    Source: Bailey & Lopez de Prado (2014), J. Portf. Manag. 40(5), appendix A.3.

    Parameters
    ----------
    returns : (T, N), per-period returns of each trial.

    Raises
    ------
    ValueError : not two-dimensional, not finite, or no trial.
    """
    matrix = np.asarray(returns, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] < 1 or matrix.shape[0] < 2:
        raise ValueError(f"expected two rows and one column or more, was shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError("expected finite returns")
    centred = matrix - matrix.mean(axis=0)
    norms = np.sqrt((centred**2).sum(axis=0))
    varies = norms > 1e-14
    n = int(varies.sum())
    still = 1.0 if n < matrix.shape[1] else 0.0
    if n <= 1:
        return max(1.0, n + still)
    # The mean of all pairwise correlations without the N x N matrix: |sum of unit columns|^2 = N + sum of pairs.
    together = (centred[:, varies] / norms[varies]).sum(axis=1)
    rho = (float(together @ together) - n) / (n * (n - 1))
    rho = min(1.0, max(0.0, rho))
    return rho + (1.0 - rho) * n + still


def pooled_trials(counts: Iterable[TrialCount]) -> Trials:
    """Return all sweeps together: effective trials add up, the variance is that of the pooled ratios.

    Raises
    ------
    ValueError : no sweep.
    """
    items = list(counts)
    if not items:
        raise ValueError("expected at least one sweep")
    total = sum(item.count for item in items)
    mean = sum(item.count * item.sharpe_mean for item in items) / total
    squares = sum(
        (item.count - 1) * item.sharpe_variance + item.count * (item.sharpe_mean - mean) ** 2
        for item in items
    )
    return Trials(sum(item.effective for item in items), squares / (total - 1) if total > 1 else 0.0)
