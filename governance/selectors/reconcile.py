"""The reconcile page: both books side by side, the runs, and what nothing explains yet."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from governance.selectors.shell import shell_state
from nautilus_site.common.clock import now
from trading.selectors.comparison import comparison
from trading.selectors.reconcile import (
    open_divergences,
    reconcile_run_members,
    reconcile_run_queryset,
    statement_members,
    statement_queryset,
)
from trading.selectors.status import status_snapshot
from trading.services.reconcile.adopting import adopt_pending

_RUNS, _STATEMENTS = 60, 31
_COUNTED = ("fills_booked", "orders_settled", "orders_adopted", "resolved", "late_landings", "income_booked")


def reconcile_state() -> dict[str, Any]:
    """The state of the reconcile page."""
    state = shell_state()
    rows = [divergence_row(row) for row in open_divergences()]
    pending = adopt_pending([row["id"] for row in rows])
    told = status_snapshot()["reconcile"]
    return {
        **state,
        **comparison(),
        "summary": {
            "lag_s": told["lag_s"],
            "open": len(rows),
            "confirmed": sum(row["state"] in ("confirmed", "halting") for row in rows),
        },
        "divergences": [{**row, "approval": pending.get(row["id"])} for row in rows],
        "runs": [run_row(reconcile_run_members(run)) for run in reconcile_run_queryset()[:_RUNS]],
        "statements": [_statement_row(statement_members(s)) for s in statement_queryset()[:_STATEMENTS]],
    }


def divergence_row(row: dict[str, Any]) -> dict[str, Any]:
    """A difference as a table row: how old, on what evidence, and what it has set in force."""
    since = datetime.fromisoformat(row["first_seen_at"])
    evidence = "; ".join(f"{name}: {text}" for name, text in row["evidence"].items())
    scopes = ", ".join(row["scopes"])
    if row["state"] == "doubted":
        effect = "alarm only: nothing is changed on such an answer"
    elif row["escalated_to"]:
        effect = f"{row['escalated_to']} on {scopes}"
    else:
        effect = "nothing yet: one reading proves nothing"
    return {
        **row,
        "age_s": round((now() - since).total_seconds(), 1),
        "evidence_text": evidence or "none yet",
        "effect": effect,
    }


def run_row(run: dict[str, Any]) -> dict[str, Any]:
    """A run as a table row: its report in one line."""
    return {**run, "outcome": run["outcome"] or "under way", "found": _found(run["report"])}


def _found(report: dict[str, Any]) -> str:
    if "error" in report:
        return str(report["error"])
    if "waiting" in report:
        return f"goes on when the exchange's rate allows: {report['waiting']}"
    parts = [f"{name.replace('_', ' ')} {report[name]}" for name in _COUNTED if report.get(name)]
    parts += [f"{d['kind']} {d['subject']}" for d in report.get("divergences", ())]
    looked = len(report.get("symbols", ()))
    return ", ".join(parts) or (f"nothing to repair ({looked} symbols asked)" if report else "")


def _statement_row(told: dict[str, Any]) -> dict[str, Any]:
    content = told.pop("content")
    return {
        **told,
        "orders": sum(content.get("orders", {}).values()),
        "fills": sum(row["fills"] for row in content.get("fills", ())),
    }
