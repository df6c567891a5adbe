"""Rehearsals: a fault is put into the paper exchange, the playbook acts for real, and the response is marked.

Nothing is acted out: levels, windows and limits are set as they would be, because only that shows whether they work.
So afterwards they are in force, and the rehearsal files the requests that take them back.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction

from governance.adapters.testnet_control import ControlError
from governance.domain.playbooks import PLAYBOOKS, Facts, rehearsal_permissions, score
from governance.models import (
    GameDay,
    Incident,
    Playbook,
    PlaybookAction,
    PlaybookRun,
    PlaybookWatch,
    Rehearsal,
)
from governance.services.playbooks.changing import playbook_get
from governance.services.playbooks.faults import StillIn, fault_inject, fault_tend
from governance.services.playbooks.incidents import incident_note, incident_review
from governance.services.playbooks.risk_added import risk_added
from governance.services.playbooks.undoing import incident_undo
from governance.services.playbooks.withdrawing import fault_out, fault_retry, fault_stuck
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, Forbidden
from nautilus_site.common.models import User
from nautilus_site.common.roles import permits
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.powers import permissions_now

log = structlog.get_logger(__name__)
State = Rehearsal.State
UNDER_WAY = (State.WATCHING, State.STUCK)
PATIENCE = 3
"""A rehearsal waits so many times the target for the incident."""
SETTLE = timedelta(seconds=75)
"""How long it looks at actions that are not verified yet, and at orders that should not come any more."""


def rehearsal_start(*, name: str, actor: User, reason: str, game_day: GameDay | None = None) -> Rehearsal:
    """Put the fault in. A later tick sees what came of it. It is stuck at once where only part of the fault is in.

    Raises
    ------
    Conflict : NOT_LOCAL, NOT_ARMED, INCIDENT_OPEN, CAUSE_STANDING, REHEARSAL_UNDER_WAY, GAME_DAY_UNDER_WAY,
        NOT_REHEARSABLE, EXCHANGE_UNREACHABLE.
    NotFound : UNKNOWN_PLAYBOOK.  ApplicationError : REASON_REQUIRED.
    Forbidden : REVIEWER_REQUIRED, the rehearsal ends with an undo, of a hard stop with its review, too, in the name
        of who asked; it is for those who may ask for it.
    """
    playbook = playbook_get(name)
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    if settings.BINANCE_ENV != "local":
        raise Conflict("NOT_LOCAL", "rehearsals put faults into the paper exchange only")
    if not playbook.is_armed:
        raise Conflict("NOT_ARMED", f"{name} is not armed")
    check_ends(playbook, actor)
    if Incident.objects.filter(kind=name).exclude(state=Incident.State.CLOSED).exists():
        raise Conflict("INCIDENT_OPEN", f"an incident of {name} is open already; close it first")
    seen = PlaybookWatch.objects.filter(playbook=playbook, sightings__gt=0).order_by("scope").first()
    if seen is not None:
        raise Conflict(
            "CAUSE_STANDING",
            f"{name} sees its cause on {seen.scope} already: what followed would not be the fault's",
        )
    if Rehearsal.objects.filter(state__in=UNDER_WAY).exists():
        raise Conflict("REHEARSAL_UNDER_WAY", "one fault at a time")
    if game_day is None and GameDay.objects.filter(state=GameDay.State.RUNNING).exists():
        raise Conflict("GAME_DAY_UNDER_WAY", "a game day is under way: it rehearses one after another")
    moment, spec = now(), PLAYBOOKS[name]
    try:
        with transaction.atomic():
            row = Rehearsal.objects.create(
                playbook=playbook,
                requested_by=actor,
                game_day=game_day,
                scope="",
                injected_at=moment,
                deadline_at=moment + timedelta(seconds=PATIENCE * spec.target_s),
            )
            audit_record(action="playbook.rehearsed", target=f"playbook:{name}", actor=actor, reason=reason)
            try:
                fault = asdict(fault_inject(playbook))
                row.scope, row.fault = fault["scope"], fault
                row.save(update_fields=["scope", "fault"])
            except StillIn as error:
                # Kept, not refused: what is not written down is never taken out.
                fault_stuck(row, error.fault, moment, said=str(error))
    except IntegrityError:
        raise Conflict("REHEARSAL_UNDER_WAY", "one fault at a time") from None
    except ControlError as error:
        raise Conflict("EXCHANGE_UNREACHABLE", str(error)) from None
    return row


def check_ends(playbook: Playbook, actor: User) -> None:
    """Refuse who may not ask for what a rehearsal ends with. Raises Forbidden : REVIEWER_REQUIRED."""
    held = permissions_now(actor)
    needed = rehearsal_permissions(playbook.actions, needs_review=PLAYBOOKS[playbook.name].needs_review)
    missing = [permission for permission in needed if not permits(held, permission)]
    if missing:
        raise Forbidden(
            "REVIEWER_REQUIRED",
            f"it ends with an undo in your name, which takes {', '.join(missing)}: a risk officer rehearses it",
        )


def rehearsals_step() -> int:
    """Look at the rehearsal under way, and end it when all is seen or its time is over; try again to take out the
    fault of one that is stuck. Returns how many ended.
    """
    running = Rehearsal.objects.filter(state__in=UNDER_WAY).values_list("pk", flat=True)
    return sum(_step(pk) for pk in running)


@transaction.atomic
def _step(pk: int) -> bool:
    row = (
        Rehearsal.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
        .select_related("playbook", "requested_by")
        .filter(pk=pk, state__in=UNDER_WAY)
        .first()
    )
    if row is None:
        return False
    moment, runs = now(), _runs(row)
    if row.state == State.STUCK:
        if not fault_retry(row, moment):
            return False
        if "watched_until" not in row.fault:  # it was never whole: there is nothing to mark
            row.state, row.finished_at = State.FAILED, moment
            row.save()
            return True
        _score(row, runs, datetime.fromisoformat(row.fault["watched_until"]), withdrawn=False)
        return True
    if not runs and moment < row.deadline_at:
        _tend(row)
        return False
    if runs:
        pending = PlaybookAction.objects.filter(
            run__in=runs, state=PlaybookAction.State.DONE, verified_at=None
        )
        if pending.exists() and moment < runs[0].at + SETTLE:
            return False
    if not fault_out(row, moment):
        return False
    _score(row, runs, moment, withdrawn=True)
    return True


def _runs(row: Rehearsal) -> list[PlaybookRun]:
    """Every time the playbook acted because of the fault, on the scope it was meant for first.

    Prices that fall are a fall for every account that holds.
    """
    runs = row.runs.select_related("incident").order_by("pk")
    return sorted(runs, key=lambda run: (run.scope != row.scope, run.pk))


def _tend(row: Rehearsal) -> None:
    """Adjust the fault where it is of a kind that follows what happens."""
    try:
        if fault_tend(row.playbook.name, row.fault):
            row.save(update_fields=["fault"])
    except ControlError as error:
        log.warning("rehearsal_fault_not_tended", rehearsal=row.pk, error=str(error))


def _score(row: Rehearsal, runs: list[PlaybookRun], until: datetime, *, withdrawn: bool) -> None:
    """Mark what was seen until then, and file what takes the steps back. The fault is out by now."""
    run = runs[0] if runs else None
    # As they were before they are taken back: one with nothing to take back is marked undone at once.
    actions = list(PlaybookAction.objects.filter(run__in=runs))
    first = {one.incident_id: one for one in reversed(runs)}
    offered = [_undo(row, one) for one in first.values()]
    undo = bool(offered) and all(offered)
    good = (PlaybookAction.State.DONE, PlaybookAction.State.VERIFIED, PlaybookAction.State.STANDING)
    seen = (PlaybookAction.State.VERIFIED, PlaybookAction.State.STANDING)
    facts = Facts(
        target_s=PLAYBOOKS[row.playbook.name].target_s,
        detected_s=(run.at - row.injected_at).total_seconds() if run is not None else None,
        actions=len(actions) or len(row.playbook.actions),
        carried_out=sum(action.state in good for action in actions),
        verified=sum(action.state in seen for action in actions),
        risk_added_after=sum(risk_added(one, until) for one in runs),
        withdrawn=withdrawn,
        undo_offered=undo,
    )
    points, marks = score(facts)
    row.state, row.score, row.finished_at = State.SCORED, points, now()
    row.incident = run.incident if run is not None else None
    row.findings = [asdict(mark) for mark in marks]
    row.save()
    for one in first.values():
        incident_note(
            one.incident,
            actor="rehearsal",
            what=f"scored {points} of 100",
            detail={mark.name: f"{mark.points}/{mark.of}: {mark.said}" for mark in marks},
        )
    log.info("rehearsal_scored", playbook=row.playbook.name, score=points)


def _undo(row: Rehearsal, run: PlaybookRun) -> bool:
    """File what takes the steps back, in the name of who asked for the rehearsal.

    A review stands by itself: where nothing can be asked for, a hard stop nobody reviewed would hold all trading.
    """
    if run.incident.needs_review:
        text = f"A rehearsal: the fault of rehearsal {row.pk} was put in on purpose and is out again."
        try:
            incident_review(incident_id=run.incident_id, reviewer=row.requested_by, text=text)
        except ApplicationError as error:
            log.warning("rehearsal_review_refused", rehearsal=row.pk, error=error.message)
    try:
        with transaction.atomic():
            incident_undo(
                incident_id=run.incident_id, requester=row.requested_by, reason="end of the rehearsal"
            )
    except ApplicationError as error:
        log.warning("rehearsal_undo_refused", rehearsal=row.pk, error=error.message)
        return False
    return True
