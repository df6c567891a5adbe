"""Which of a channel's routes a notice takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

EVERYTHING = "*"
LONGEST_DIGEST_S: Final = 24 * 3600
LONGEST_DEDUPE_S: Final = 7 * 24 * 3600
"""For so long it has to be remembered what was told."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A route: what kinds, how grave at least. `kind` is `*`, an exact kind, or a wider one with `.*` behind."""

    key: int
    kind: str
    severity: str


def matches(pattern: str, kind: str) -> bool:
    """Whether a route's pattern covers a kind: `breaker.*` covers `breaker` and `breaker.drawdown`."""
    if pattern == EVERYTHING:
        return True
    if pattern.endswith(".*"):
        stem = pattern[:-2]
        return kind == stem or kind.startswith(stem + ".")
    return kind == pattern


def route_for(kind: str, rules: Iterable[Rule]) -> Rule | None:
    """The most narrow rule that covers the kind, None where none does.

    An exact kind is narrower than a pattern, a longer pattern narrower than a shorter one, `*` the widest.
    """
    covering = [rule for rule in rules if matches(rule.kind, kind)]
    return max(covering, key=_narrowness, default=None)


def _narrowness(rule: Rule) -> tuple[bool, int]:
    is_exact = rule.kind != EVERYTHING and not rule.kind.endswith(".*")
    return is_exact, 0 if rule.kind == EVERYTHING else len(rule.kind)
