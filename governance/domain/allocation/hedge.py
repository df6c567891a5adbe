"""Hedge: weights that follow what has lost least, with a bound on regret and no model of returns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from governance.domain.allocation.weights import AllocationError, FloatArray


@dataclass(frozen=True, slots=True)
class HedgeState:
    """Attributes
    ----------
    weights : in force for the next period, summing to 1.  loss : suffered so far by the mixture.
    """

    weights: tuple[float, ...]
    loss: float = 0.0


def hedge_start(n: int) -> HedgeState:
    """Return equal weights.

    Raises
    ------
    AllocationError : no strategy.
    """
    if n < 1:
        raise AllocationError(f"expected at least one strategy, was {n}")
    return HedgeState((1.0 / n,) * n)


def hedge_rate(periods: int, n: int) -> float:
    """Return eta = sqrt(8 ln N / T), for which the regret is at most sqrt(T ln N / 2).

    Raises
    ------
    AllocationError : no period or strategy.
    """
    if periods < 1 or n < 1:
        raise AllocationError(f"expected periods and strategies, were {periods} and {n}")
    return math.sqrt(8.0 * math.log(n) / periods)


def hedge_observe(state: HedgeState, losses: ArrayLike, *, eta: float, share: float = 0.0) -> HedgeState:
    """Suffer one period's losses with the weights in force, then reweight by exp(-eta x loss).

    Parameters
    ----------
    losses : (N,), scaled to 0 (best) to 1 (worst).  eta : learning rate.
    share : part mixed back to equal weights (fixed share), so that a strategy can return when the
        regime does.

    Raises
    ------
    AllocationError : lengths differ, losses outside 0 to 1, eta not positive, share outside [0, 1].

    Source: Freund & Schapire (1997), J. Comput. Syst. Sci. 55(1), 119-139; Herbster & Warmuth (1998).
    """
    x = np.asarray(losses, dtype=np.float64)
    w = np.array(state.weights)
    if x.shape != w.shape or not ((x >= 0) & (x <= 1)).all():
        raise AllocationError(f"expected {len(w)} losses of 0 to 1")
    if not (eta > 0 and math.isfinite(eta)) or not 0 <= share <= 1:
        raise AllocationError(f"expected a positive rate and a share of 0 to 1, were {eta} and {share}")
    suffered = float(w @ x)
    # Relative to the best loss: at least one factor is 1, so the sum cannot vanish.
    alive = w > 0
    w = w * np.exp(-eta * (x - x[alive].min()))
    w = w / w.sum()
    w = (1.0 - share) * w + share / len(w)
    return HedgeState(tuple(w.tolist()), state.loss + suffered)


def scaled_losses(returns: ArrayLike, worst: float, best: float) -> FloatArray:
    """Return returns mapped to losses: `best` and above is 0, `worst` and below is 1.

    Raises
    ------
    AllocationError : best not above worst, or returns not finite.
    """
    x = np.asarray(returns, dtype=np.float64)
    if not best > worst or not np.isfinite(x).all():
        raise AllocationError(f"expected finite returns and worst below best, were {worst} and {best}")
    return np.asarray(np.clip((best - x) / (best - worst), 0.0, 1.0))
