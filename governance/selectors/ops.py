"""Workers, streams, queues and reconciliation."""

from __future__ import annotations

from typing import Any

from governance.selectors.command_center import process_rows
from governance.selectors.reconcile import divergence_row, run_row
from governance.selectors.shell import shell_state
from trading.selectors.reconcile import open_divergences, reconcile_run_members, reconcile_run_queryset
from trading.selectors.status import status_snapshot

_RUNS = 40


def ops_state() -> dict[str, Any]:
    """The state of the operations page."""
    state = shell_state()
    status = status_snapshot()
    return {
        **state,
        "processes": process_rows(status),
        "queues": [{"id": name, "queue": name, "depth": depth} for name, depth in _queues(status["queues"])],
        "runs": [run_row(reconcile_run_members(run)) for run in reconcile_run_queryset()[:_RUNS]],
        "divergences": [divergence_row(row) for row in open_divergences()],
        "events": status["events"],
    }


def _queues(depths: Any) -> list[tuple[str, int | None]]:
    """Queue depths by name; None while the broker does not answer."""
    return sorted(depths.items()) if isinstance(depths, dict) else []
