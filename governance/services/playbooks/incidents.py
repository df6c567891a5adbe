"""Incidents: opened once per kind and scope, told on a timeline, closed by people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Max, Q

from governance.domain.notices import Severity, notice_of
from governance.models import EventCursor, Incident, IncidentEntry, Playbook
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import OutboxEvent, User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.outbox import publish
from trading import metrics

CURSOR = "incidents"
BATCH = 200
OPENED, CAME_BACK, OVER, HELD_BACK = "opened", "it came back", "the cause is over", "held back"
"""How lines of a timeline begin that others look for: from when to when a cause stood, and what was told of it."""
_RANK = {"success": 0, "info": 0, "warning": 1, "critical": 2}


@transaction.atomic
def incident_open(
    *,
    kind: str,
    scope: str,
    severity: str,
    title: str,
    actor: str,
    evidence: Mapping[str, Any],
    playbook: Playbook | None = None,
    needs_review: bool = False,
    is_rehearsal: bool = False,
    in_cool_down: bool = False,
    announce: bool = True,
) -> tuple[Incident, bool]:
    """The open incident of a kind and scope, made where there is none. Tells whether it is new.

    One that was calm, or graver than it was, is told again: for people that is news. In a cool-down it is only what
    they had reviewed. A rehearsed one and a real one stand beside each other.
    """
    moment = now()
    row = (
        Incident.objects.select_for_update(no_key=True)
        .filter(kind=kind, scope=scope, is_rehearsal=is_rehearsal)
        .exclude(state=Incident.State.CLOSED)
        .first()
    )
    if row is not None:
        _happened_again(
            row,
            severity=severity,
            actor=actor,
            evidence=evidence,
            in_cool_down=in_cool_down,
            announce=announce,
        )
        return row, False
    row = Incident.objects.create(
        kind=kind,
        scope=scope,
        severity=severity,
        title=title[:200],
        playbook=playbook,
        needs_review=needs_review,
        is_rehearsal=is_rehearsal,
        evidence=dict(evidence),
        opened_at=moment,
    )
    incident_note(row, actor=actor, what=f"{OPENED}: {title}", detail=evidence)
    audit_record(
        action="incident.opened",
        target=f"incident:{row.pk}",
        actor=actor,
        reason=title,
        after={"scope": scope},
    )
    if announce:
        metrics.INCIDENTS.labels(kind=kind).inc()
        incident_publish(row)
    return row, True


def _happened_again(
    row: Incident,
    *,
    severity: str,
    actor: str,
    evidence: Mapping[str, Any],
    in_cool_down: bool,
    announce: bool,
) -> None:
    again, graver = row.state == Incident.State.CALM, _RANK[severity] > _RANK[row.severity]
    # What was written said why it was over; it is not.
    unreviewed = row.needs_review and row.reviewed_at is not None
    row.state, row.calm_at = Incident.State.OPEN, None
    row.severity = severity if graver else row.severity
    reviewer, review = row.reviewed_by, row.review
    if unreviewed:
        row.review, row.reviewed_by, row.reviewed_at = "", "", None
    row.save(update_fields=["state", "calm_at", "severity", "review", "reviewed_by", "reviewed_at"])
    incident_note(row, actor=actor, what=CAME_BACK if again else "seen again", detail=evidence)
    if unreviewed:
        said = f"the review counts no more: it happened again after {reviewer} had written it"
        incident_note(row, actor=actor, what=said, detail={"review": review})
    if again or unreviewed:
        audit_record(
            action="incident.reopened", target=f"incident:{row.pk}", actor=actor, reason=row.title,
            after={"review": "none" if unreviewed else row.review[:200]},
        )  # fmt: skip
    if announce and (again or graver or unreviewed):
        if again:
            metrics.INCIDENTS.labels(kind=row.kind).inc()
        # A hard stop that comes back is told each time; what flaps without one is counted into the last message.
        is_new = unreviewed or (again and row.needs_review and not in_cool_down)
        incident_publish(row, news=f"again:{now().timestamp():.3f}" if is_new else "")


def incident_note(row: Incident, *, actor: str, what: str, detail: Mapping[str, Any] | None = None) -> None:
    """Add a line to the timeline."""
    IncidentEntry.objects.create(
        incident=row, at=now(), actor=actor, what=what[:300], detail=dict(detail or {})
    )


def incident_publish(row: Incident, *, severity: str = "", news: str = "", reason: str = "") -> None:
    """Tell screens and channels where an incident stands, or what of it is new while its state is not (`held_back`)."""
    over = row.state != Incident.State.OPEN
    said = row.state if over else news.partition(":")[0].replace("_", " ")
    publish(
        "incidents",
        {
            "id": row.pk,
            "kind": row.kind,
            "scope": row.scope,
            "severity": "info" if over else severity or row.severity,
            "title": f"{'REHEARSAL: ' if row.is_rehearsal else ''}{row.title}{f' ({said})' if said else ''}",
            "reason": reason,
            "state": row.state,
            "news": news,
            "subject": row.scope,
        },
    )


@transaction.atomic
def incident_calm(row_id: int, *, actor: str, detail: str) -> None:
    """Note that what it was opened for is over. What was done because of it stays in force."""
    row = Incident.objects.select_for_update(no_key=True).filter(pk=row_id, state=Incident.State.OPEN).first()
    if row is None:
        return
    row.state, row.calm_at = Incident.State.CALM, now()
    row.save(update_fields=["state", "calm_at"])
    incident_note(row, actor=actor, what=f"{OVER}: {detail}")
    incident_publish(row)


@transaction.atomic
def incident_review(*, incident_id: int, reviewer: User, text: str) -> Incident:
    """Write down the cause and why it is over, which a hard stop needs before anything is undone.

    Raises
    ------
    ApplicationError : REASON_REQUIRED; Conflict : INCIDENT_CLOSED.
    """
    row = incident_locked(incident_id)
    if row.state == Incident.State.CLOSED:
        raise Conflict("INCIDENT_CLOSED", "the incident is closed already")
    if len(text.strip()) < 20:
        raise ApplicationError("REASON_REQUIRED", "say in a sentence what the cause was and why it is over")
    row.review, row.reviewed_by, row.reviewed_at = text.strip(), reviewer.username, now()
    row.save(update_fields=["review", "reviewed_by", "reviewed_at"])
    incident_note(row, actor=reviewer.username, what="reviewed", detail={"review": row.review})
    audit_record(
        action="incident.reviewed", target=f"incident:{row.pk}", actor=reviewer, reason=row.review[:2000]
    )
    return row


@transaction.atomic
def incident_close(*, incident_id: int, actor: User, reason: str) -> Incident:
    """Close an incident whose cause is over. Closing undoes nothing.

    Raises
    ------
    Conflict : INCIDENT_CLOSED, STILL_OPEN, REVIEW_REQUIRED; ApplicationError : REASON_REQUIRED.
    """
    row = incident_locked(incident_id)
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    if row.state == Incident.State.CLOSED:
        raise Conflict("INCIDENT_CLOSED", "the incident is closed already")
    # Nobody would see the cause of a disarmed one end.
    measured = row.playbook is not None and row.playbook.is_armed
    if measured and (row.state == Incident.State.OPEN or _is_seen(row)):
        raise Conflict("STILL_OPEN", "what it was opened for is still measured; it closes when that is over")
    if row.needs_review and row.reviewed_at is None:
        raise Conflict("REVIEW_REQUIRED", "a hard stop is reviewed before its incident is closed")
    row.state, row.closed_at = Incident.State.CLOSED, now()
    row.save(update_fields=["state", "closed_at"])
    incident_note(row, actor=actor.username, what=f"closed: {reason.strip()}")
    audit_record(action="incident.closed", target=f"incident:{row.pk}", actor=actor, reason=reason)
    incident_publish(row)
    return row


def _is_seen(row: Incident) -> bool:
    """Whether its playbook sees the cause now, whatever the incident says."""
    playbook = row.playbook
    return (
        playbook is not None
        and row.kind == playbook.name
        and playbook.watches.filter(scope=row.scope, sightings__gte=playbook.confirm).exists()
    )


def was_held_back(row: Incident) -> bool:
    """Whether people were told already, since the cause last stood anew, that nothing is done about it."""
    lines = row.entries.filter(Q(what__startswith=HELD_BACK) | Q(what__startswith=OVER))
    newest = lines.order_by("-pk").values_list("what", flat=True).first()
    return newest is not None and newest.startswith(HELD_BACK)


@transaction.atomic
def incidents_consume() -> int:
    """Open incidents for what trading calls people to: its events have no number of an incident. By cursor."""
    cursor = EventCursor.objects.select_for_update(skip_locked=True, no_key=True).filter(name=CURSOR).first()
    if cursor is None:
        newest = OutboxEvent.objects.aggregate(newest=Max("event_id"))["newest"] or 0
        EventCursor.objects.get_or_create(name=CURSOR, defaults={"event_id": newest, "moved_at": now()})
        return 0
    events = list(
        OutboxEvent.objects.filter(topic="incidents", event_id__gt=cursor.event_id).order_by("event_id")[
            :BATCH
        ]
    )
    made = 0
    for event in events:
        data = event.data if isinstance(event.data, dict) else {}
        notice = None if data.get("id") else notice_of("incidents", data)
        if notice is not None:
            subject = notice.subject.split(":", 2)[-1].strip(":") or "global"
            _, new = incident_open(
                kind=notice.kind.removeprefix("incident.")[:48],
                scope=subject[:160],
                severity=notice.severity.value if notice.severity is not Severity.success else "info",
                title=notice.title,
                actor="trading",
                evidence=data,
                announce=False,  # the event that told of it has told everybody
            )
            made += new
    if events:
        cursor.event_id, cursor.moved_at = events[-1].event_id or cursor.event_id, now()
        cursor.save(update_fields=["event_id", "moved_at"])
    return made


def incident_locked(incident_id: int) -> Incident:
    """The row, locked. Raises NotFound : UNKNOWN_INCIDENT."""
    row = Incident.objects.select_for_update(no_key=True).filter(pk=incident_id).first()
    if row is None:
        raise NotFound("UNKNOWN_INCIDENT", "no such incident")
    return row
