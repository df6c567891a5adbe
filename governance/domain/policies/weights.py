"""The weight set: which share of a symbol each strategy may have, canaries capped, less in some regimes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from governance.domain.policies.located import DocumentError, Node, Problem
from governance.domain.policies.schema import (
    Entries,
    Field,
    Names,
    Number,
    Raises,
    Record,
    Text,
    document_read,
)

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}(?::[A-Z0-9_]{2,32})?")
_SHARE = Number(highest=1)
_WEIGHT = Number(
    highest=1, places=8
)  # what is in force has no more; a finer one would be set again and again

REGIME = Record(
    {
        "source": Field(
            Text(least=1, longest=40), raises=Raises.ANY, text="the strategy whose decisions tell the regime"
        ),
        "factors": Field(
            Entries(_SHARE), raises=Raises.UP, text="by regime, 0 to 1; a regime not named: the lowest"
        ),
    }
)
STRATEGY_WEIGHTS = Record(
    {
        "weights": Field(
            Entries(_WEIGHT, missing=Decimal(0)),
            raises=Raises.UP,
            text="by `strategy` or `strategy:SYMBOL`; 0 is an orderly exit; those not named are left alone",
        ),
        "canaries": Field(Names(), (), Raises.DOWN, "strategies on trial besides the registry's"),
        "max_canary_weight": Field(
            _SHARE, Decimal("0.2"), Raises.UP, "of one symbol for all canaries together"
        ),
        "regimes": Field(Entries(REGIME), {}, Raises.ANY, "by strategy; only ever lowers a weight"),
        "regime_max_age_sec": Field(
            Number(1, 604_800, whole=True), 3_600, Raises.UP, "older than that a regime is not known"
        ),
        "band": Field(_SHARE, Decimal("0.05"), Raises.DOWN, "smaller rises for the regime's sake wait"),
    }
)


@dataclass(frozen=True, slots=True)
class WeightSet:
    """The document's values; see `STRATEGY_WEIGHTS` for what each means."""

    weights: Mapping[str, Decimal]
    canaries: tuple[str, ...]
    max_canary_weight: Decimal
    regimes: Mapping[str, Mapping[str, Any]]
    regime_max_age_sec: int
    band: Decimal

    def base(self, strategy: str, symbol: str) -> Decimal | None:
        """The weight by the set: of the strategy on this symbol, else of the strategy; None where it has none."""
        return self.weights.get(f"{strategy}:{symbol}", self.weights.get(strategy))


def weight_values(node: Node) -> dict[str, Any]:
    """Read a weight set's values.

    Raises
    ------
    DocumentError : with every problem.
    """
    values: dict[str, Any] = document_read(STRATEGY_WEIGHTS, node)
    problems = []
    members = node.value if isinstance(node.value, dict) else {}
    named = members["weights"].node.value if "weights" in members else {}
    for name, member in named.items() if isinstance(named, dict) else ():
        if not NAME.fullmatch(name):
            problems.append(
                Problem(
                    "expected `strategy` or `strategy:SYMBOL`", f"weights.{name}", member.line, member.column
                )
            )
    for name, regime in values["regimes"].items():
        if not regime["factors"]:
            where = _member(_member(_member(node, "regimes"), name), "factors")
            problems.append(
                Problem("expected at least one regime", f"regimes.{name}.factors", where.line, where.column)
            )
    if problems:
        raise DocumentError(problems)
    return values


def _member(node: Node, name: str) -> Node:
    return node.value[name].node if isinstance(node.value, dict) and name in node.value else node


def weight_set(values: Mapping[str, Any]) -> WeightSet:
    """The set of a document's values."""
    return WeightSet(**values)
