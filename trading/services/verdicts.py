"""Rail verdicts as they are stored with an order and shown."""

from __future__ import annotations

from typing import Any

from trading.domain.risk import RAILS, RailResult

_LIMIT_OF_RAIL = {rail.name: rail.limit for rail in RAILS}


def check_members(
    results: tuple[RailResult, ...], versions: dict[str, int] | None = None
) -> list[dict[str, Any]]:
    """Rail verdicts as they are stored and shown, each with the version of the limit it was measured against."""
    known = versions or {}
    return [
        {
            "rail": r.rail,
            "passed": r.passed,
            "code": r.code.value if r.code else None,
            "measured": r.measured,
            "limit": r.limit,
            "unit": r.unit,
            "detail": r.detail,
            "policy_version": known.get(_LIMIT_OF_RAIL.get(r.rail, "")),
        }
        for r in results
    ]
