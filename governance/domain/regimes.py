"""Which members of a decision's record are probabilities of regimes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_PREFIX = "p_"
_OPINIONS = frozenset({"p_ma", "p_hmm"})
"""Of an ensemble's members, that the next bar rises."""


def regime_probabilities(features: Mapping[str, Any]) -> dict[str, float]:
    """By regime, in the order of the record; empty where it tells of none, or of one that is no probability."""
    found = {
        name.removeprefix(_PREFIX): value
        for name, value in features.items()
        if name.startswith(_PREFIX) and name not in _OPINIONS
    }
    if any(
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or not 0 <= value <= 1
        for value in found.values()
    ):
        return {}
    return {name: float(value) for name, value in found.items()}
