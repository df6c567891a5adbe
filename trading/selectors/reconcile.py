"""Reconciliation runs and the differences still open."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from trading.models import Divergence, ReconcileRun, Statement
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
        "sweep": run.sweep,
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
        "state": divergence_state(row),
        "sightings": row.sightings,
        "attempts": row.attempts,
        "evidence": row.evidence,
        "scopes": row.scopes,
        "escalated_to": row.escalated_to or None,
        "adoptable": row.confirmed_at is not None and row.kind in ("BALANCE_MISMATCH", "POSITION_MISMATCH"),
        "first_seen_at": utc_text(row.first_seen_at),
        "last_seen_at": utc_text(row.last_seen_at),
        "confirmed_at": utc_text(row.confirmed_at),
        "resolved_at": utc_text(row.resolved_at),
        "resolution": row.resolution or None,
    }


def divergence_state(row: Divergence) -> str:
    """How far a difference has got: seen, confirmed, halting, doubted or closed."""
    if row.resolved_at is not None:
        return "closed"
    if row.doubted:
        return "doubted"
    if row.confirmed_at is None:
        return "seen"
    return "halting" if row.escalated_to == "HALT_NEW" else "confirmed"


def divergence_queryset() -> QuerySet[Divergence]:
    """Differences newest first with their account."""
    return Divergence.objects.select_related("account").order_by("-id")


def statement_queryset() -> QuerySet[Statement]:
    """Signed statements, the newest day first."""
    return Statement.objects.select_related("account").order_by("-day", "-id")


def statement_members(row: Statement) -> dict[str, Any]:
    """The public members of a statement; its content is the signed text."""
    return {
        "id": row.pk,
        "account": row.account.name,
        "day": row.day.isoformat(),
        "created_at": utc_text(row.created_at),
        "agrees": row.agrees,
        "sha256": row.digest,
        "signature": row.signature,
        "path": row.path,
        "content": row.content,
    }
