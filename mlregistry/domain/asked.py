"""What a person asked a training run to do, as plain values, and the recipe it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from mlregistry.domain.recipes import ALIASES, HIERARCHICAL, MODELS, HierarchicalRecipe, HmmRecipe

SEEDS: Final = 2**31 - 1


def asked_clean(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was asked, complete and checked.

    Parameters
    ----------
    asked : model, symbol, market, interval; states (None chooses), seed, start, end (ISO 8601 or None), features (names
        in order; None: the recipe's own).

    Raises
    ------
    ValueError : an unknown model, or numbers no recipe takes.
    """
    model = ALIASES.get(str(asked["model"]), str(asked["model"]))
    if model not in MODELS:
        raise ValueError(f"expected one of {', '.join(MODELS)}, was {model!r}")
    seed = int(asked.get("seed") or 0)
    if not 0 <= seed <= SEEDS:
        raise ValueError(f"expected a seed of 0 to {SEEDS}, was {seed}")
    states = asked.get("states")
    values = {
        "model": model,
        "symbol": str(asked["symbol"]),
        "market": str(asked.get("market") or "spot"),
        "interval": str(asked["interval"]),
        "states": None if states is None else int(states),
        "seed": seed,
        "start": asked.get("start"),
        "end": asked.get("end"),
        "features": None if not asked.get("features") else [str(name) for name in asked["features"]],
    }
    span = [datetime.fromisoformat(str(asked[name])) for name in ("start", "end") if asked.get(name)]
    if len(span) == 2 and span[0] >= span[1]:
        raise ValueError("expected a start before the end")
    recipe_of(values)
    return values


def recipe_of(asked: Mapping[str, Any]) -> HmmRecipe | HierarchicalRecipe:
    """Return the recipe of what was asked.

    Raises
    ------
    ValueError : numbers the recipe does not take.
    """
    # Runs that were asked for before features could be chosen do not name any.
    names = asked.get("features")
    if asked["model"] == HIERARCHICAL:
        two = HierarchicalRecipe(seed=asked["seed"])
        if names:
            two = replace(two, features=replace(two.features, names=tuple(names)))
        return two if asked["states"] is None else replace(two, macros=asked["states"])
    flat = HmmRecipe(states=asked["states"], seed=asked["seed"])
    return replace(flat, features=replace(flat.features, names=tuple(names))) if names else flat
