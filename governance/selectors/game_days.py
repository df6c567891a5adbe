"""Game days: how far one has come, what it waits for, how each rehearsal went."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from governance.models import GameDay, PlaybookAction, Rehearsal
from governance.selectors.steps import Standing, step_standing
from trading.selectors.notation import utc_text

WAIT = timedelta(minutes=10)
"""So long the next rehearsal waits for what the one before did to be taken back: it would stand in its way."""


def game_day_queryset() -> QuerySet[GameDay]:
    return (
        GameDay.objects.select_related("requested_by")
        .prefetch_related("rehearsals__playbook")
        .order_by("-pk")
    )


def game_day_waits(row: GameDay) -> tuple[list[str], datetime | None]:
    """Playbooks whose steps are in force still, and until when the next waits for that; none where it waits no more."""
    newest = row.rehearsals.exclude(finished_at=None).order_by("-finished_at").first()
    if row.state != GameDay.State.RUNNING or newest is None or newest.finished_at is None:
        return [], None
    steps = PlaybookAction.objects.filter(
        run__rehearsal__game_day=row, state__in=(PlaybookAction.State.DONE, PlaybookAction.State.VERIFIED)
    ).select_related("run__playbook")
    names = sorted(
        {step.run.playbook.name for step in steps if step_standing(step).standing is Standing.in_force}
    )
    return names, newest.finished_at + WAIT if names else None


def game_day_members(row: GameDay) -> dict[str, Any]:
    """One game day with a line for each playbook, in the order they are rehearsed."""
    done = {rehearsal.playbook.name: rehearsal for rehearsal in row.rehearsals.all()}
    lines = [_line(name, done.get(name), row) for name in row.playbooks]
    scores = [line["score"] for line in lines if line["score"] is not None]
    waits, until = game_day_waits(row)
    return {
        "id": row.pk,
        "requested_by": row.requested_by.username,
        "reason": row.reason,
        "state": row.state,
        "started_at": utc_text(row.started_at),
        "finished_at": utc_text(row.finished_at),
        "playbooks": lines,
        "finished": sum(line["state"] in ("scored", "failed", "skipped") for line in lines),
        "score": round(sum(scores) / len(scores)) if scores else None,
        "waits_for": waits,
        "waits_until": utc_text(until),
    }


def _line(name: str, rehearsal: Rehearsal | None, row: GameDay) -> dict[str, Any]:
    line: dict[str, Any] = {"playbook": name, "state": "waiting", "score": None, "said": "", "incident": None}
    if rehearsal is not None:
        marks = "; ".join(f"{mark['name']} {mark['points']}/{mark['of']}" for mark in rehearsal.findings)
        line |= {"state": rehearsal.state, "score": rehearsal.score, "said": rehearsal.error or marks}
        line["incident"] = rehearsal.incident_id
    elif name in row.skipped:
        line |= {"state": "skipped", "said": row.skipped[name]}
    elif row.state != GameDay.State.RUNNING:
        line["state"] = "left out"
    return line
