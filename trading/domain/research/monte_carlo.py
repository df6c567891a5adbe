"""Trade-shuffle Monte Carlo: the same trades in another order, or drawn again with replacement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trading.domain.statistics.figures import FloatArray, finite_array


@dataclass(frozen=True, slots=True)
class Spread:
    """Quantiles of a simulated figure, and where the observed one lies: the share of paths at or below it."""

    observed: float
    p05: float
    median: float
    p95: float
    p99: float
    observed_rank: float


@dataclass(frozen=True, slots=True)
class MonteCarlo:
    """Attributes
    ----------
    paths, trades : sizes of the simulation.  replaced : drawn with replacement.
    max_drawdown : fractions.  final_return : fractions; without replacement it is the same on every path.
    longest_losses : in a row.
    ruin_probability : share of paths whose equity ever fell to the ruin level or below.
    """

    paths: int
    trades: int
    replaced: bool
    max_drawdown: Spread
    final_return: Spread
    longest_losses: Spread
    ruin_probability: float


def shuffle_trades(
    returns: ArrayLike,
    rng: np.random.Generator,
    *,
    paths: int = 2000,
    replace: bool = False,
    ruin_level: float = 0.5,
) -> MonteCarlo:
    """Return what other orders of the same trades would have looked like.

    The order of trades is mostly luck: a drawdown far better than the shuffled median was a lucky order,
    and the 99 % quantile is what to prepare for. Shuffling assumes that trades do not depend on one another:
    for strategies whose losses come in clusters bootstrap blocks of daily returns instead.

    Parameters
    ----------
    returns : (N,), net result of each trade as a fraction of equity before it.
    replace : draw with replacement, so that the final result varies too.
    ruin_level : fraction of starting equity that counts as ruin.

    Raises
    ------
    ValueError : fewer than two trades, a return at or below -1, or bad sizes.
    """
    x = finite_array(returns, "trade returns")
    n = len(x)
    if n < 2 or paths < 1 or not 0 <= ruin_level < 1:
        raise ValueError(f"expected 2 trades, a path and a ruin level below 1: {n}, {paths}, {ruin_level}")
    if (x <= -1.0).any():
        raise ValueError("a trade lost everything: no order of the trades survives it")
    depths, finals, losses, ruined = np.empty(paths), np.empty(paths), np.empty(paths), 0
    growth = np.log1p(x)
    for path in range(paths):
        order = rng.integers(0, n, n) if replace else rng.permutation(n)
        depths[path], finals[path], losses[path], lowest = _path(growth[order])
        ruined += lowest <= ruin_level
    depth, final, loss, _ = _path(growth)
    return MonteCarlo(
        paths=paths,
        trades=n,
        replaced=replace,
        max_drawdown=_spread(depth, depths),
        final_return=_spread(final, finals),
        longest_losses=_spread(loss, losses),
        ruin_probability=ruined / paths,
    )


def _path(growth: FloatArray) -> tuple[float, float, float, float]:
    """(max drawdown, final return, longest run of losses, lowest equity) of log returns in this order."""
    level = np.concatenate(([0.0], np.cumsum(growth)))
    depth = -float(np.expm1((level - np.maximum.accumulate(level)).min()))
    edges = np.flatnonzero(np.diff(np.concatenate(([0], (growth < 0).astype(np.int8), [0]))))
    longest = float((edges[1::2] - edges[::2]).max()) if len(edges) else 0.0
    return depth, float(np.expm1(level[-1])), longest, float(np.exp(level.min()))


def _spread(observed: float, simulated: FloatArray) -> Spread:
    p05, median, p95, p99 = np.quantile(simulated, [0.05, 0.5, 0.95, 0.99]).tolist()
    # Sums of the same numbers in another order differ by rounding: equal within 1e-12 is equal.
    rank = float(np.mean(simulated <= observed + 1e-12 * max(1.0, abs(observed))))
    return Spread(observed, p05, median, p95, p99, rank)
