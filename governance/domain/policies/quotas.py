"""`capital_allocations.json`: what each strategy has, and when that was; read back, what each should have."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from governance.domain.policies.located import DocumentError, Node, Problem
from governance.domain.policies.schema import Entries, Field, Moment, Number, Raises, Record, document_read

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
    """Read the file's values; amounts in whole cents.

    Raises
    ------
    DocumentError : with every problem.
    """
    values: dict[str, Any] = document_read(ALLOCATIONS, node)
    problems = []
    members = node.value["capital_quota_usd"].node.value if isinstance(node.value, dict) else {}
    for name, amount in values["capital_quota_usd"].items():
        if amount != amount.quantize(Decimal("0.01")):
            found = members[name].node if isinstance(members, dict) else node
            problems.append(
                Problem("expected whole cents", f"capital_quota_usd.{name}", found.line, found.column)
            )
    if problems:
        raise DocumentError(problems)
    return values
