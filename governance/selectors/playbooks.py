"""Playbooks, incidents, rehearsals and compliance reports, as the API and the page show them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.db.models import BooleanField, ExpressionWrapper, Prefetch, Q, QuerySet

from governance.domain.playbooks import PLAYBOOKS, rehearsal_permissions
from governance.models import (
    ComplianceReport,
    Incident,
    Playbook,
    PlaybookAction,
    PlaybookRun,
    PlaybookWatch,
    Rehearsal,
)
from governance.selectors.game_days import game_day_members, game_day_queryset
from governance.selectors.playbook_lamps import playbook_lamp
from governance.selectors.playbook_scopes import scopes_of_kind
from governance.selectors.steps import Standing, step_standing
from nautilus_site.common.clock import now
from nautilus_site.common.errors import NotFound
from trading.selectors.notation import age_s, utc_text


def playbook_queryset() -> QuerySet[Playbook]:
    """Playbooks with what they last saw, in the order of their names."""
    return Playbook.objects.prefetch_related(
        Prefetch("watches", PlaybookWatch.objects.order_by("scope"))
    ).order_by("family", "name")


def playbook_members(row: Playbook) -> dict[str, Any]:
    """One playbook: its rule, its steps, and every scope it watches."""
    moment, spec = now(), PLAYBOOKS.get(row.name)
    watches = list(row.watches.all())
    cooling = max(
        (
            row.cooldown_s - (moment - watch.ran_at).total_seconds()
            for watch in watches
            if watch.ran_at is not None
        ),
        default=0.0,
    )
    return {
        "id": row.pk,
        "name": row.name,
        "family": row.family,
        "title": spec.title if spec is not None else row.name,
        "is_armed": row.is_armed,
        "threshold": row.threshold,
        "unit": row.unit,
        "window_s": row.window_s,
        "confirm": row.confirm,
        "min_samples": row.min_samples,
        "cooldown_s": row.cooldown_s,
        "cooling_s": round(max(0.0, cooling), 1),
        "max_scopes": row.max_scopes,
        "blind_after": row.blind_after,
        "severity": row.severity,
        "actions": row.actions,
        "rehearsable": spec is not None,
        "needs_review": spec is not None and spec.needs_review,
        "rehearsal_takes": rehearsal_permissions(
            row.actions, needs_review=spec is not None and spec.needs_review
        ),
        "changed_by": row.changed_by,
        "changed_at": utc_text(row.changed_at),
        "watches": [
            {
                "scope": watch.scope,
                "value": watch.value,
                "samples": watch.samples,
                "detail": watch.detail,
                "verdict": watch.verdict,
                "sightings": watch.sightings,
                "unmeasured": watch.unmeasured,
                "read_at": utc_text(watch.read_at),
                "ran_at": utc_text(watch.ran_at),
            }
            for watch in watches
        ],
    }


def playbook_get(name: str) -> Playbook:
    """One with its watches. Raises NotFound : UNKNOWN_PLAYBOOK."""
    row = playbook_queryset().filter(name=name).first()
    if row is None:
        raise NotFound("UNKNOWN_PLAYBOOK", f"no playbook is called {name!r}")
    return row


def incident_queryset() -> QuerySet[Incident]:
    return Incident.objects.select_related("playbook").order_by("-pk")


def incidents_shown(most: int = 100) -> QuerySet[Incident]:
    """As many as people look at: hard stops nobody reviewed, whatever is not closed, then the newest of the rest."""
    closed, waits = Q(state=Incident.State.CLOSED), Q(needs_review=True, reviewed_at=None)
    rows = incident_queryset().annotate(
        is_over=ExpressionWrapper(closed, BooleanField()), waits=ExpressionWrapper(waits, BooleanField())
    )
    return rows.order_by("is_over", "-waits", "-pk")[:most]


def incident_members(row: Incident) -> dict[str, Any]:
    """One incident as a line of a list."""
    return {
        "id": row.pk,
        "kind": row.kind,
        "scope": row.scope,
        "severity": row.severity,
        "title": row.title,
        "state": row.state,
        "is_rehearsal": row.is_rehearsal,
        "needs_review": row.needs_review and row.reviewed_at is None,
        "playbook": row.playbook.name if row.playbook is not None else None,
        "opened_at": utc_text(row.opened_at),
        "calm_at": utc_text(row.calm_at),
        "closed_at": utc_text(row.closed_at),
        "review": row.review,
        "reviewed_by": row.reviewed_by,
    }


def incident_detail(incident_id: int) -> dict[str, Any]:
    """One incident with its evidence, timeline, and every step taken because of it.

    Raises
    ------
    NotFound : UNKNOWN_INCIDENT.
    """
    row = (
        incident_queryset()
        .prefetch_related(
            "entries",
            "after_actions",
            Prefetch("runs", PlaybookRun.objects.order_by("pk").prefetch_related("actions")),
        )
        .filter(pk=incident_id)
        .first()
    )
    if row is None:
        raise NotFound("UNKNOWN_INCIDENT", "no such incident")
    actions = [action_members(action) for run in row.runs.all() for action in run.actions.all()]
    return {
        **incident_members(row),
        "evidence": row.evidence,
        "timeline": [
            {"at": utc_text(entry.at), "actor": entry.actor, "what": entry.what, "detail": entry.detail}
            for entry in row.entries.all()
        ],
        "after_actions": [
            {
                "at": utc_text(written.at),
                "author": written.author,
                "what_happened": written.what_happened,
                "root_cause": written.root_cause,
                "what_will_change": written.what_will_change,
            }
            for written in row.after_actions.all()
        ],
        "actions": actions,
        "undo_offered": any(action["undoable"] for action in actions),
    }


def action_members(row: PlaybookAction) -> dict[str, Any]:
    """One step: what it did, whether its effect was seen, whether it is in force still, and what takes it back."""
    mine = row.state in (PlaybookAction.State.DONE, PlaybookAction.State.VERIFIED)
    found = step_standing(row) if mine else None
    return {
        "id": row.pk,
        "verb": row.verb,
        "scope": row.scope,
        "parameters": row.parameters,
        "before": row.before,
        "after": row.after,
        "state": row.state,
        "at": utc_text(row.at),
        "verified_at": utc_text(row.verified_at),
        "error": row.error,
        "undo_request": row.undo_request or None,
        "standing": found.standing.value if found is not None else None,
        "standing_said": found.said if found is not None else "",
        "undoable": found is not None and found.standing is Standing.in_force and not row.undo_request,
    }


def rehearsal_queryset() -> QuerySet[Rehearsal]:
    return Rehearsal.objects.select_related("playbook", "requested_by").order_by("-pk")


def rehearsal_members(row: Rehearsal) -> dict[str, Any]:
    """One rehearsal and its marks."""
    return {
        "id": row.pk,
        "playbook": row.playbook.name,
        "requested_by": row.requested_by.username,
        "state": row.state,
        "scope": row.scope,
        "injected_at": utc_text(row.injected_at),
        "deadline_at": utc_text(row.deadline_at),
        "finished_at": utc_text(row.finished_at),
        "incident": row.incident_id,
        "score": row.score,
        "findings": row.findings,
        "error": row.error,
    }


def report_queryset() -> QuerySet[ComplianceReport]:
    return ComplianceReport.objects.order_by("-day")


def report_get(day: str) -> ComplianceReport:
    """The report of a day, `2026-11-30`.

    Raises
    ------
    NotFound : UNKNOWN_REPORT.
    """
    try:
        row = ComplianceReport.objects.filter(day=date.fromisoformat(day)).first()
    except ValueError:
        row = None
    if row is None:
        raise NotFound("UNKNOWN_REPORT", f"there is no report of {day}")
    return row


def report_members(row: ComplianceReport) -> dict[str, Any]:
    """One day's report."""
    return {
        "id": row.pk,
        "day": row.day.isoformat(),
        "created_at": utc_text(row.created_at),
        "violations": row.violations,
        "sha256": row.digest,
        "path": row.path,
        "content": row.content,
    }


def playbooks_state() -> dict[str, Any]:
    """The state of the page."""
    from governance.selectors.shell import shell_state

    moment = now()
    books = [playbook_members(row) for row in playbook_queryset()]
    day = game_day_queryset().first()
    game = game_day_members(day) if day is not None else None
    looked_at = {kind: scopes_of_kind(kind) for kind in {spec.of for spec in PLAYBOOKS.values()}}
    return {
        **shell_state(),
        "playbooks": [
            {**row, **_nearest(row, looked_at[PLAYBOOKS[row["name"]].of] if row["name"] in PLAYBOOKS else [])}
            for row in books
        ],
        "incidents": [
            {**incident_members(row), "age_s": age_s(row.opened_at, moment)} for row in incidents_shown()
        ],
        "rehearsals": [
            {
                **rehearsal_members(row),
                "marks": "; ".join(f"{m['name']} {m['points']}/{m['of']}" for m in row.findings),
            }
            for row in rehearsal_queryset()[:30]
        ],
        "game_day": game,
        "game": [{"id": line["playbook"], **line} for line in game["playbooks"]] if game is not None else [],
        "reports": [
            {**{k: v for k, v in report_members(row).items() if k != "content"}, "lamp": _complete(row)}
            for row in report_queryset()[:31]
        ],
    }


def _complete(row: ComplianceReport) -> dict[str, str]:
    """A lamp for what is missing of a report; one of before that was told says nothing of it."""
    missing = row.content.get("missing")
    if missing is None:
        return {"tone": "warn", "text": "not told"}
    if missing:
        return {"tone": "warn", "text": f"{len(missing)} missing: {'; '.join(missing)}"}
    return {"tone": "good", "text": "complete"}


def _nearest(row: dict[str, Any], scopes: list[str]) -> dict[str, Any]:
    """The watched scope that is nearest to the threshold, and a lamp."""
    told = [watch for watch in row["watches"] if watch["scope"] in scopes]
    known = [watch for watch in told if watch["value"] is not None and watch["samples"]]
    worst = max(known, key=lambda watch: watch["value"], default=None)
    share = worst["value"] / row["threshold"] if worst is not None else None
    return {
        "lamp": playbook_lamp(row, scopes),
        "nearest": f"{worst['value']:.4g} {row['unit']} on {worst['scope']}" if worst is not None else "",
        "share": max(0.0, share) if share is not None else None,
        "at": f"{row['threshold']:g} {row['unit']}",
        "does": ", ".join(action_words(action) for action in row["actions"]),
    }


def action_words(action: Mapping[str, Any]) -> str:
    """What a step does, for people."""
    where = " everywhere" if action.get("on") == "global" else ""
    match action["do"]:
        case "kill":
            return f"level {action['level']}{where}"
        case "blackout":
            return f"no new risk for {action['minutes']} min{where}"
        case "tighten":
            return f"{action['limit']} × {action['factor']:g}{where}"
        case "trim":
            return f"contracts × {action['factor']:g}"
        case _:
            return "disable the strategy"
