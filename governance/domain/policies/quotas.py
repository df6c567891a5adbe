"""`capital_allocations.json`: what each strategy has, and when that was; read back, what each should have."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from governance.domain.policies.located import Node, Problem
from governance.domain.policies.schema import Entries, Field, Moment, Number, Raises, Record, document_read
from trading.domain.values import is_whole_cents

ALLOCATIONS = Record(
    {
        "capital_quota_usd": Field(
            Entries(Number(highest=Decimal(10) ** 12)),
            raises=Raises.UP,
            text="by strategy, over all its symbols",
        ),
        "updated_at": Field(
            Moment(),
            None,
            Raises.NONE,
            "when it was written; an amount that changed since is not overwritten",
        ),
    }
)


def quota_values(node: Node) -> dict[str, Any]:
    """Read the file's values.

    Raises
    ------
    DocumentError : with every problem.
    """
    values: dict[str, Any] = document_read(ALLOCATIONS, node)
    return values


def quota_parts_of_a_cent(node: Node, changed: Mapping[str, Decimal]) -> list[Problem]:
    """New amounts that are no whole cents, with their places. One that stays may be finer: it is in force so."""
    members = node.value["capital_quota_usd"].node.value if isinstance(node.value, dict) else {}
    problems = []
    for name, amount in changed.items():
        if not is_whole_cents(amount):
            found = members[name].node if isinstance(members, dict) else node
            problems.append(
                Problem("expected whole cents", f"capital_quota_usd.{name}", found.line, found.column)
            )
    return problems
