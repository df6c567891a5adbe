"""Two versions side by side: what they are, where their states match, how they were judged."""

from __future__ import annotations

from typing import Any

from mlregistry.models import GateVerdict, ModelVersion
from mlregistry.selectors.artefacts import artefact_loaded, portrait
from mlregistry.selectors.verdicts import verdict_members
from mlregistry.selectors.versions import version_members

FIGURES = ("log_likelihood", "bic")


def comparison(one: ModelVersion, other: ModelVersion) -> dict[str, Any]:
    """Return both versions, every recipe member that differs, the states matched, and the verdicts between them.

    States are matched by the least symmetric divergence where both are flat models of the same features and number of
    states; `nats` is that divergence of each pair, above 2 a different regime.
    """
    from trading.domain.regime.model import RegimeModel
    from trading.domain.regime.order import NEW_MAP_COST, match_states

    models = [artefact_loaded(version.digest).model for version in (one, other)]
    portraits = [portrait(artefact_loaded(version.digest)) for version in (one, other)]
    first, second = models
    matched, why = None, ""
    if not (isinstance(first, RegimeModel) and isinstance(second, RegimeModel)):
        why = "states of two-clock models are not matched"
    elif first.features != second.features:
        why = "they look at different features"
    elif first.states != second.states:
        why = "they have different numbers of states"
    else:
        match = match_states(first, second)
        matched = [
            {
                "state": first.labels[at],
                "other_state": second.labels[to],
                "nats": round(cost, 6),
                "same": cost <= NEW_MAP_COST,
                "mean": [portraits[0]["means"][at], portraits[1]["means"][to]],
                "deviation": [portraits[0]["deviations"][at], portraits[1]["deviations"][to]],
                "lasts": [portraits[0]["durations"][at], portraits[1]["durations"][to]],
            }
            for at, (to, cost) in enumerate(zip(match.champion_state, match.costs, strict=True))
        ]
    recipes = [_flat(version.lineage.get("recipe") or {}) for version in (one, other)]
    between = GateVerdict.objects.filter(
        version__in=(one, other), champion__in=(one, other), state=GateVerdict.State.DONE
    ).select_related("version__family", "champion", "requested_by")
    return {
        "versions": [version_members(version) for version in (one, other)],
        "portraits": portraits,
        "same_data": one.dataset_id == other.dataset_id,
        "recipe": {
            name: [recipes[0].get(name), recipes[1].get(name)]
            for name in sorted(recipes[0].keys() | recipes[1].keys())
            if recipes[0].get(name) != recipes[1].get(name)
        },
        "figures": {name: [one.metrics.get(name), other.metrics.get(name)] for name in FIGURES},
        "states": matched,
        "states_unmatched": why,
        "verdicts": [verdict_members(verdict) for verdict in between.order_by("-id")],
    }


def _flat(recipe: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in recipe.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found
