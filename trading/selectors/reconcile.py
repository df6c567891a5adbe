"""Reconciliation runs and the differences still open."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from trading.models import Divergence, ReconcileRun
from trading.selectors.notation import utc_text


def reconcile_run_queryset() -> QuerySet[ReconcileRun]:
    """Runs newest first with their account."""
    return ReconcileRun.objects.select_related("account").order_by("-id")


def reconcile_run_members(run: ReconcileRun) -> dict[str, Any]:
    """The public members of a run; `outcome` is null while it is under way."""
    elapsed = (run.finished_at - run.started_at).total_seconds() if run.finished_at else None
    return {
        "id": run.pk,
        "account": run.account.name,
        "trigger": run.trigger,
        "started_at": utc_text(run.started_at),
        "finished_at": utc_text(run.finished_at),
        "elapsed_s": elapsed,
        "outcome": run.outcome or None,
        "report": run.report,
    }


def open_divergences(limit: int = 100) -> list[dict[str, Any]]:
    """Differences nothing has explained yet, newest first."""
    rows = Divergence.objects.filter(resolved_at=None).select_related("account").order_by("-id")[:limit]
    return [divergence_members(row) for row in rows]


def divergence_members(row: Divergence) -> dict[str, Any]:
    """The public members of a divergence."""
    return {
        "id": row.pk,
        "account": row.account.name,
        "kind": row.kind,
        "subject": row.subject,
        "ours": row.ours,
        "theirs": row.theirs,
        "sightings": row.sightings,
        "first_seen_at": utc_text(row.first_seen_at),
        "last_seen_at": utc_text(row.last_seen_at),
    }
