"""Which state is which: the canonical order after a fit, and the identity that survives a refit."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from types import MappingProxyType
from typing import Final

import numpy as np

from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.gaussian import GaussianEmission
from trading.domain.regime.model import RegimeModel

NAMES: Final = MappingProxyType(
    {
        1: ("single",),
        2: ("calm", "turbulent"),
        3: ("calm", "trend", "turbulent"),
        4: ("calm", "trend", "volatile", "turbulent"),
    }
)
"""Names of the states of a first model, by how many there are; beyond four they are numbered."""

NEW_MAP_COST: Final = 2.0
"""Symmetric divergence per state, in nats, above which a refit is a new regime map. Two normals of equal
spread whose means lie sqrt(2) standard deviations apart have this divergence."""

_SIGNIFICANT_DIGITS = 9
_MOST_STATES = 8


@dataclass(frozen=True, slots=True)
class Match:
    """States of a new model beside those of the champion.

    Attributes
    ----------
    champion_state : (K,) which champion state each new state is.
    costs : (K,) symmetric KL divergence of each pair, nats.
    is_new_map : a pair is further apart than `NEW_MAP_COST`, or the number of states differs: policies keyed
        by state must not be carried over.
    """

    champion_state: tuple[int, ...]
    costs: tuple[float, ...]
    is_new_map: bool


def canonical_order(emission: GaussianEmission, names: tuple[str, ...]) -> tuple[int, ...]:
    """Return the permutation to ascending volatility, then mean return; `order[i]` becomes state i.

    Volatility of a state is the standard deviation of its log return where that is a feature; else the mean
    of `volatility`, or of `range`; else the root of the mean variance. Mean return is the mean of the log
    return, else of the first feature. Volatilities that agree to nine digits count as equal.
    """
    if "log_return" in names:
        at = names.index("log_return")
        volatility, mean = np.sqrt(emission.covariances[:, at, at]), emission.means[:, at]
    else:
        mean = emission.means[:, 0]
        stands_for = [name for name in ("volatility", "range") if name in names]
        if stands_for:
            volatility = emission.means[:, names.index(stands_for[0])]
        else:
            volatility = np.sqrt(np.trace(emission.covariances, axis1=1, axis2=2) / emission.features)
    keys = [
        (float(f"{volatility[k]:.{_SIGNIFICANT_DIGITS}g}"), float(mean[k]), k) for k in range(emission.states)
    ]
    return tuple(k for _, _, k in sorted(keys))


def state_names(states: int) -> tuple[str, ...]:
    """Return the names of a first model's states in canonical order."""
    return NAMES.get(states) or tuple(f"regime_{k}" for k in range(states))


def symmetric_divergence(first: GaussianEmission, second: GaussianEmission) -> FloatArray:
    """Return (K1, K2) Jeffreys divergences KL(p||q) + KL(q||p) between states, nats.

    For normals: 0.5 [tr(A^-1 B) + tr(B^-1 A) - 2 D + d' (A^-1 + B^-1) d]. Symmetric, 0 for equal states.
    """
    width = first.features
    inverse_a, inverse_b = np.linalg.inv(first.covariances), np.linalg.inv(second.covariances)
    result = np.empty((first.states, second.states))
    for i in range(first.states):
        for j in range(second.states):
            apart = first.means[i] - second.means[j]
            traces = np.trace(inverse_a[i] @ second.covariances[j]) + np.trace(
                inverse_b[j] @ first.covariances[i]
            )
            result[i, j] = 0.5 * (traces - 2 * width + apart @ (inverse_a[i] + inverse_b[j]) @ apart)
    return np.maximum(result, 0.0)


def raw_emission(model: RegimeModel) -> GaussianEmission:
    """Return the emission in the features' own units, so that models with other scalers can be compared."""
    scale = model.scaler.scale
    return GaussianEmission(
        "full" if model.hmm.emission.kind == "tied" else model.hmm.emission.kind,
        model.hmm.emission.means * scale + model.scaler.center,
        model.hmm.emission.covariances * scale[:, None] * scale[None, :],
    )


def match_states(model: RegimeModel, champion: RegimeModel, *, threshold: float = NEW_MAP_COST) -> Match:
    """Match every state to the champion's by the least total divergence over all permutations.

    Raises
    ------
    ValueError : more than eight states, whose permutations are too many to try, or other features.
    """
    if model.features != champion.features:
        raise ValueError("the models have different features; their states cannot be compared")
    if model.states != champion.states:
        return Match((), (), True)
    if model.states > _MOST_STATES:
        raise ValueError(f"expected at most {_MOST_STATES} states, was {model.states}")
    cost = symmetric_divergence(raw_emission(model), raw_emission(champion))
    states = range(model.states)
    best = min(permutations(states), key=lambda order: sum(float(cost[i, order[i]]) for i in states))
    costs = tuple(float(cost[i, best[i]]) for i in states)
    return Match(best, costs, max(costs) > threshold)


def served_names(model: RegimeModel, champion: RegimeModel | None) -> tuple[tuple[str, ...], bool]:
    """Return the names to serve and whether they are a new regime map.

    A refit that matches keeps the champion's names by identity; anything else is named afresh.
    """
    if champion is None:
        return state_names(model.states), True
    if model.features != champion.features:
        return state_names(model.states), True
    match = match_states(model, champion)
    if match.is_new_map:
        return state_names(model.states), True
    return tuple(champion.labels[k] for k in match.champion_state), False
