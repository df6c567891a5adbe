"""From returns to weights by the policy's method, and whether the returns are evidence enough to raise anything."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from governance.domain.allocation.covariance import ewma_covariance, stressed_covariance
from governance.domain.allocation.hedge import hedge_observe, hedge_rate, hedge_start, scaled_losses
from governance.domain.allocation.weights import (
    AllocationError,
    FloatArray,
    capped_kelly,
    equal_weights,
    inverse_volatility,
    risk_budget,
    shrunk_means,
    with_floor,
)
from governance.domain.policies.capital import CapitalPolicy
from trading.domain.statistics.sharpe import annualised, sharpe_ratio

YEAR_S = 365 * 86_400


@dataclass(frozen=True, slots=True)
class Weighting:
    """Attributes
    ----------
    weights : by strategy, summing to at most 1; empty where amounts should stay as they are.
    method : what gave them.  note : why it is not the policy's own method, "" where it is.
    """

    weights: Mapping[str, float]
    method: str
    note: str


def weigh(policy: CapitalPolicy, names: Sequence[str], returns: FloatArray) -> Weighting:
    """Weights of these strategies; the fallback where the method has too little to go by.

    Parameters
    ----------
    returns : (T, N), one column per name, oldest first.
    """
    if not names:
        return Weighting({}, policy.method, "no strategy takes part")
    try:
        if policy.method != "equal" and len(returns) < policy.min_observations:
            raise AllocationError(f"{len(returns)} returns of the {policy.min_observations} it needs")
        weights = _by_method(policy, len(names), returns)
    except AllocationError as error:
        note = f"{policy.method}: {error}"
        if policy.fallback_mode == "hold":
            return Weighting({}, "hold", note)
        return Weighting(dict.fromkeys(names, 1.0 / len(names)), "equal_split", note)
    return Weighting(dict(zip(names, weights.tolist(), strict=True)), policy.method, "")


def _by_method(policy: CapitalPolicy, n: int, returns: FloatArray) -> FloatArray:
    if policy.method == "equal":
        return equal_weights(n)
    if policy.method == "hedge":
        scale = float(policy.hedge_scale_pct)
        state, eta = hedge_start(n), max(hedge_rate(len(returns), n), 1e-9)
        for row in returns:
            losses = scaled_losses(row, -scale, scale)
            state = hedge_observe(state, losses, eta=eta, share=float(policy.hedge_share))
        return np.array(state.weights)
    covariance = ewma_covariance(returns, float(policy.half_life_periods))
    if policy.method == "inverse_volatility":
        return inverse_volatility(np.sqrt(np.diag(covariance)))
    stressed = stressed_covariance(covariance, float(policy.correlation_floor))
    if policy.method == "risk_parity":
        return risk_budget(stressed)
    means = shrunk_means(returns.mean(axis=0), np.full(n, len(returns)), float(policy.prior_observations))
    return capped_kelly(means, stressed, fraction=float(policy.kelly_fraction), cap=float(policy.kelly_cap))


def yearly_sharpe(policy: CapitalPolicy, returns: FloatArray) -> float | None:
    """Sharpe ratio of one strategy's returns over a year; None while there are too few or they do not vary."""
    if len(returns) < policy.min_observations:
        return None
    return annualised(sharpe_ratio(returns), YEAR_S / policy.period_sec).value


def floored(weights: Mapping[str, float], pool: int, minimum: int) -> dict[str, float]:
    """Give each strategy at least `minimum` of the pool, or leave out those that weigh least until all others can.

    Scaling that leaves everybody less than the minimum would leave nobody anything.
    """
    if pool <= 0 or not weights:
        return dict.fromkeys(weights, 0.0)
    room = len(weights) if minimum == 0 else min(len(weights), pool // minimum)
    kept = sorted(weights, key=lambda name: (-weights[name], name))[:room]
    result = dict.fromkeys(weights, 0.0)
    if kept:
        total = sum(weights[name] for name in kept)
        whole = sum(weights.values())
        # What those left out would have had goes to the others, so that the sum stays.
        share = [weights[name] * (whole / total if total else 0.0) for name in kept]
        floor = math.floor(minimum * 1e12 / pool + 1) / 1e12 if minimum else 0.0
        if floor * len(kept) > 1:
            floor = 1.0 / len(kept)
        result |= dict(zip(kept, with_floor(np.array(share), floor).tolist(), strict=True))
    return result
