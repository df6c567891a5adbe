"""From returns to weights by the policy's method, and whether the returns are evidence enough to raise anything."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from governance.domain.allocation.covariance import ewma_covariance, stressed_covariance
from governance.domain.allocation.hedge import hedge_observe, hedge_rate, hedge_start, scaled_losses
from governance.domain.allocation.weights import (
    AllocationError,
    BoolArray,
    FloatArray,
    capped_kelly,
    inverse_volatility,
    risk_budget,
    shrunk_means,
)
from governance.domain.policies.capital import CapitalPolicy
from trading.domain.statistics.sharpe import annualised, sharpe_ratio

YEAR_S = 365 * 86_400


@dataclass(frozen=True, slots=True)
class Weighting:
    """Attributes
    ----------
    weights : by strategy, summing to at most 1; one that is not in it keeps what it has.
    method : what gave them.  note : why it is not the policy's own method, "" where it is.
    unknown : strategies without evidence for the method, each with the reason.
    """

    weights: Mapping[str, float]
    method: str
    note: str
    unknown: Mapping[str, str] = field(default_factory=dict)

    def of(self, strategy: str) -> str:
        """Why a strategy has no weight of its own."""
        return self.unknown.get(strategy, self.note)


def weigh(
    policy: CapitalPolicy, names: Sequence[str], returns: FloatArray, made: BoolArray | None = None
) -> Weighting:
    """Weights of these strategies: by the method where there is evidence, by the fallback for each that has too little.

    Parameters
    ----------
    returns : (T, N), one column per name, oldest first.  made : (T, N), where there was one; None: everywhere.
    """
    if not names:
        return Weighting({}, policy.method, "no strategy takes part")
    if policy.method == "equal":
        return Weighting(dict.fromkeys(names, 1.0 / len(names)), "equal", "")
    made = np.ones(returns.shape, dtype=np.bool_) if made is None else made
    judged, unknown = _with_evidence(policy, names, returns, made)
    known: dict[str, float] = {}
    if judged:
        rows = made[:, judged].all(axis=1)
        try:
            found = _by_method(policy, len(judged), returns[rows][:, judged])
            known = {names[at]: weight for at, weight in zip(judged, found.tolist(), strict=True)}
        except AllocationError as error:
            unknown = dict.fromkeys(names, str(error))
    reasons = dict.fromkeys(unknown.values())
    note = (
        f"{policy.method}: {'; '.join(_told(reason, names, unknown) for reason in reasons)}"
        if unknown
        else ""
    )
    method = policy.method if known else "hold" if policy.fallback_mode == "hold" else "equal_split"
    if policy.fallback_mode == "hold":
        return Weighting(known, method, note, unknown)
    part = len(known) / len(names)
    weights = {name: known[name] * part if name in known else 1.0 / len(names) for name in names}
    return Weighting(weights, method, note, unknown)


def _told(reason: str, names: Sequence[str], unknown: Mapping[str, str]) -> str:
    whose = [name for name in names if unknown.get(name) == reason]
    return reason if len(whose) == len(names) else f"{', '.join(whose)}: {reason}"


def _with_evidence(
    policy: CapitalPolicy, names: Sequence[str], returns: FloatArray, made: BoolArray
) -> tuple[list[int], dict[str, str]]:
    """Columns the method can weigh together, and for each other strategy why it cannot.

    Those with the longest record first: one whose own does not overlap with theirs waits.
    """
    counts = made.sum(axis=0)
    unknown = {
        names[at]: f"{counts[at]} returns of the {policy.min_observations} it needs"
        for at in range(len(names))
        if counts[at] < policy.min_observations
    }
    told = [at for at in range(len(names)) if names[at] not in unknown]
    # Nothing that happened to it has no risk, and would outweigh everything. Such a one keeps nobody waiting either.
    weighs_still = policy.method == "hedge"
    still = set() if weighs_still else {at for at in told if _is_still(returns[made[:, at], at])}
    while True:
        judged, together, alone = _overlapping(
            policy, names, made, [at for at in told if at not in still], counts
        )
        more = set() if weighs_still else {at for at in judged if _is_still(returns[together, at])}
        if not more:
            break
        still |= more
    return sorted(judged), unknown | alone | {names[at]: "its returns do not vary" for at in still}


def _is_still(returns: FloatArray) -> bool:
    return sharpe_ratio(returns).value is None


def _overlapping(
    policy: CapitalPolicy, names: Sequence[str], made: BoolArray, columns: Sequence[int], counts: Any
) -> tuple[list[int], BoolArray, dict[str, str]]:
    """Columns with enough rows in common, these rows, and for each other strategy why it waits."""
    judged: list[int] = []
    alone: dict[str, str] = {}
    together = np.ones(len(made), dtype=np.bool_)
    for at in sorted(columns, key=lambda at: (-int(counts[at]), names[at])):
        rows = together & made[:, at]
        if rows.sum() < policy.min_observations:
            alone[names[at]] = f"{rows.sum()} returns at the same time as the others'"
        else:
            judged, together = [*judged, at], rows
    return judged, together, alone


def _by_method(policy: CapitalPolicy, n: int, returns: FloatArray) -> FloatArray:
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


def floored(
    weights: Mapping[str, float], pool: int, minimum: int, most: float | None = None
) -> dict[str, float]:
    """Give each strategy at least `minimum` of the pool, or leave out those that weigh least until all others can.

    Scaling that leaves everybody less than the minimum would leave nobody anything. What those left out would have had
    goes to the others, so that the sum stays; not where a weight is itself a measure of edge and has a `most`.
    """
    result = dict.fromkeys(weights, 0.0)
    if pool <= 0 or not weights:
        return result
    floor = math.floor(minimum * 1e12 / pool + 1) / 1e12 if minimum else 0.0
    if most is not None and floor > most:
        return result  # the least one can have is more than any may have
    room = len(weights) if minimum == 0 else min(len(weights), pool // minimum)
    kept = sorted(weights, key=lambda name: (-weights[name], name))[:room]
    if not kept:
        return result
    total, whole = sum(weights[name] for name in kept), sum(weights.values())
    grown = whole / total if most is None and total else 1.0
    floor = min(floor, 1.0 / len(kept))
    shares = {name: max(weights[name] * grown, floor) for name in kept}
    # Floors that lift the small ones over 1 in all are paid for by what the others have above theirs.
    above = sum(share - floor for share in shares.values())
    free = 1.0 - floor * len(kept)
    if above > free:
        shares = {name: floor + (share - floor) * (free / above) for name, share in shares.items()}
    return result | shares
