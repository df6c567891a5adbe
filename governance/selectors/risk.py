"""Limits, breakers, levels and what the rails denied."""

from __future__ import annotations

from typing import Any

from governance.selectors.command_center import breaker_row, limit_row
from governance.selectors.shell import shell_state
from trading.selectors.blackouts import blackout_list
from trading.selectors.breakers import breaker_members, breaker_queryset
from trading.selectors.controls import enforcement_list
from trading.selectors.denials import denials_by_code, rail_rows
from trading.selectors.limits import limit_list

DENIALS_HOURS = 24


def risk_state() -> dict[str, Any]:
    """The state of the risk page; denials are those of the last 24 hours."""
    state = shell_state()
    limits = limit_list()
    return {
        **state,
        "limits": [limit_row(row) for row in limits],
        "rails": rail_rows(limits, hours=DENIALS_HOURS),
        "breakers": [
            breaker_row(breaker_members(row)) for row in breaker_queryset().order_by("name", "scope")
        ],
        "blackouts": blackout_list(),
        "states": state["trading"]["scopes"],
        "denials": [{"id": row["code"], **row} for row in denials_by_code(hours=DENIALS_HOURS)],
        "enforcements": [_enforcement_row(row) for row in enforcement_list()],
    }


def _enforcement_row(row: dict[str, Any]) -> dict[str, Any]:
    lamp = (
        {"tone": "good", "text": "confirmed"}
        if row["confirmed"]
        else {"tone": "bad", "text": "error"}
        if row["error"]
        else {"tone": "warn", "text": "under way"}
    )
    return {
        "id": f"{row['scope']}|{row['account']}|{row['enforcer']}|{row['started_at']}",
        **row,
        "lamp": lamp,
    }
