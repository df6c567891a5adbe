"""The rules that decide about a weight, in a person's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CHANGED_SINCE: Final = "changed_since"
"""Not the router's: a weight that was set after its last decision."""
RULES: Final[Mapping[str, str]] = {
    "set": "as the weight set says",
    "zero": "zero: an orderly exit",
    "regime": "lowered for the regime",
    "regime_unknown": "the regime is not known",
    "band": "too small a rise",
    "canary": "the most canaries may have",
    "champion": "a canary, no more than its champion",
    "sum": "the symbol is given out",
    "lowered_by_hand": "somebody lowered it",
    CHANGED_SINCE: "set after that",
}


def words(rule: str) -> str:
    """What a rule is called; its code, where an older version had one that is no more."""
    return RULES.get(rule, rule.replace("_", " "))
