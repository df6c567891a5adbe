"""Verifying the whole trail as a job: asked for by a person, advanced by workers in pieces, watched on a page."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, AuditVerification, User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.audit_chain import audit_verify_tail
from nautilus_site.common.services.audit_digests import GENESIS
from nautilus_site.common.services.audit_losses import audit_losses_accepted, audit_notes, audit_signed_proof
from nautilus_site.common.services.audit_proof import Checked, Numbers, Verdict, audit_verify_piece
from nautilus_site.common.services.hints import enqueue_on_commit
from nautilus_site.common.services.outbox import publish

TASK, QUEUE = "governance.tasks.audit_verification_step", "governance"
PIECE_S = 20.0
"""A worker's task may take 100 s; what waits behind this one waits no longer than that."""
FORGOTTEN = timedelta(seconds=60)
_State = AuditVerification.State


EVERY, OVERDUE = timedelta(days=1), timedelta(hours=26)
"""So often it is verified though nobody asks; what is found wrong calls people."""


def verification_if_due() -> AuditVerification | None:
    """Begin one when the newest is a day old. None when it is not; one that stands still is sent out again."""
    for running in AuditVerification.objects.filter(state=_State.RUNNING):
        verification_nudge(running)
    if AuditVerification.objects.filter(requested_at__gt=now() - EVERY).exists():
        return None
    return verification_start(actor="schedule")


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of the whole trail: how its newest part looks now, and what the newest look at all of it found."""

    tail: bool
    found: AuditVerification | None
    """The newest verification that came to an end."""
    is_overdue: bool
    """Nobody has looked at all of it for longer than there should be between two looks."""

    @property
    def intact(self) -> bool:
        """Whether nothing speaks against it; that may rest on the newest part alone where all was never looked at."""
        return self.tail and (self.found is None or self.found.state == _State.INTACT)


def audit_standing() -> Standing:
    """What is known of the whole trail at this moment."""
    found = AuditVerification.objects.exclude(state=_State.RUNNING).order_by("-finished_at").first()
    limit = now() - OVERDUE
    since = found.finished_at if found is not None else _began_at()
    return Standing(audit_verify_tail(), found, since is not None and since < limit)


def _began_at() -> datetime | None:
    return AuditEntry.objects.order_by("pk").values_list("at", flat=True).first()


def verification_start(*, actor: User | str) -> AuditVerification:
    """Begin one, or give the one that runs; one that no worker has touched for a minute is sent out again."""
    try:
        with transaction.atomic():
            row = AuditVerification.objects.create(
                requested_by=actor if isinstance(actor, User) else None,
                requested_at=now(),
                total=AuditEntry.objects.count(),
            )
            audit_record(action="audit.verification_asked", target=f"verification:{row.pk}", actor=actor)
            _hint(row)
            return row
    except IntegrityError:
        running = AuditVerification.objects.filter(state=_State.RUNNING).first()
        if running is None:  # it ended just now
            return AuditVerification.objects.latest("id")
        return verification_nudge(running)


def verification_nudge(row: AuditVerification) -> AuditVerification:
    """Send a running one out again when its message seems to be lost. Two workers at it do no harm."""
    if row.state == _State.RUNNING and now() - (row.stepped_at or row.requested_at) > FORGOTTEN:
        _hint(row)
    return row


def verification_step(*, verification_id: int, piece_s: float = PIECE_S) -> AuditVerification | None:
    """Go on for a while: write down how far it got, or what was found. None when there is nothing to do."""
    with transaction.atomic():
        row = (
            AuditVerification.objects.select_for_update(skip_locked=True, no_key=True)
            .filter(pk=verification_id, state=_State.RUNNING)
            .first()
        )
    if row is None:
        return None
    started = time.monotonic()
    checked, verdict = audit_verify_piece(
        Checked(
            row.seal,
            row.head or GENESIS,
            row.rows,
            row.form,
            row.notes_end,
            Numbers(bytes(row.noted or b"")),
            row.lost,
        ),
        audit_notes().noted,
        accepted=audit_losses_accepted(),
        signed=audit_signed_proof(),
        within=lambda: time.monotonic() - started < piece_s,
    )
    with transaction.atomic():
        _write(row, checked, verdict)
    return row


def _write(row: AuditVerification, checked: Checked, verdict: Verdict | None) -> None:
    row.seal, row.head, row.rows, row.form = checked.seal, checked.hash, checked.rows, checked.form
    row.notes_end, row.lost, row.stepped_at = checked.notes_end, checked.lost, now()
    if verdict is None:
        row.noted = bytes(checked.noted.bits)
        row.save()
        _hint(row)
        return
    row.state = _State.INTACT if verdict.ok else _State.BROKEN
    row.rows, row.first_bad_id, row.problem = verdict.rows, verdict.first_bad_id, verdict.problem[:300]
    row.unsealed, row.lost, row.finished_at, row.noted = verdict.unsealed, verdict.lost, now(), None
    row.save()
    audit_record(
        action="audit.verified" if verdict.ok else "audit.found_broken",
        target=f"verification:{row.pk}",
        actor="audit",
        after={"rows": row.rows, "first_bad_id": row.first_bad_id, "problem": row.problem},
    )
    if not verdict.ok:
        publish(
            "incidents",
            {
                "kind": "audit_broken",
                "severity": "critical",
                "title": "the audit trail is broken"
                + (f" at entry {row.first_bad_id}" if row.first_bad_id else ""),
                "reason": row.problem,
            },
        )


def _hint(row: AuditVerification) -> None:
    enqueue_on_commit(TASK, queue=QUEUE, verification_id=row.pk)
