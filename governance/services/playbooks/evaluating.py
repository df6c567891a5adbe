"""Judging every armed playbook on every scope it is measured of, and acting."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import structlog
from django.db import transaction

from governance.domain.playbooks import (
    PLAYBOOKS,
    Rule,
    Verdict,
    Watch,
    actions_parse,
    failed_in_a_row,
    judge,
)
from governance.models import Incident, Playbook, PlaybookRun, PlaybookWatch
from governance.selectors.playbook_scopes import scopes_of_kind
from governance.selectors.rehearsals import rehearsal_behind
from governance.selectors.steps import level_was_lowered
from governance.services.playbooks.acting import action_carry_out
from governance.services.playbooks.blindness import KIND, blind_act, blind_over
from governance.services.playbooks.changing import playbook_get
from governance.services.playbooks.evidence import NOT_MEASURED, evidence_snapshot
from governance.services.playbooks.guard_hours import guard_hour_note
from governance.services.playbooks.incidents import (
    HELD_BACK,
    incident_calm,
    incident_note,
    incident_open,
    incident_publish,
    was_held_back,
)
from governance.services.playbooks.leaving import scopes_leave
from governance.services.playbooks.measures import MEASURES, Unmeasured
from governance.services.playbooks.sustaining import blackouts_sustain
from nautilus_site.common.clock import now
from nautilus_site.common.errors import Conflict
from nautilus_site.common.steps import StepsFailed, step_alone
from trading.domain.breakers import Reading

log = structlog.get_logger(__name__)
BLAST_WINDOW = timedelta(hours=1)


def playbooks_evaluate() -> int:
    """Judge them all. Returns how many times one acted. One that cannot be judged holds up no other."""
    acted = 0
    looked_at: dict[str, list[str]] = {}
    unlisted: list[str] = []
    for playbook in Playbook.objects.filter(is_armed=True).order_by("-family", "name"):
        spec = PLAYBOOKS.get(playbook.name)
        if spec is None:
            continue
        with step_alone("playbook_scopes", playbook=playbook.name):
            looked_at[playbook.name] = scopes_of_kind(spec.of)
        if playbook.name not in looked_at:
            unlisted.append(playbook.name)
        for scope in looked_at.get(playbook.name, []):
            with step_alone("playbook", playbook=playbook.name, scope=scope):
                acted += _evaluate(playbook, scope)
    scopes_leave(looked_at)
    if unlisted:
        raise StepsFailed(f"nobody can tell the scopes of {', '.join(unlisted)}")
    guard_hour_note(now())
    return acted


@transaction.atomic
def _evaluate(playbook: Playbook, scope: str) -> bool:
    moment = now()
    row = _watch_locked(playbook, scope)
    if row is None:
        return False  # another worker is at it
    if row.verdict and moment - row.read_at < timedelta(seconds=PLAYBOOKS[playbook.name].period_s):
        return False
    reading, why = _measured(playbook, scope, moment)
    if reading is None:
        row.unmeasured = failed_in_a_row(row.unmeasured, (moment - row.read_at).total_seconds())
        enough = row.unmeasured >= playbook.blind_after
        if not enough or playbook.family != Playbook.Family.GOVERNOR:
            row.verdict, row.read_at = Verdict.unknown.value, moment
            row.detail = f"{NOT_MEASURED}: {why}"[:300]
            row.save(update_fields=["verdict", "detail", "read_at", "unmeasured"])
            return enough and blind_act(playbook, scope, why)
    elif row.unmeasured:
        row.unmeasured = 0
        blind_over(playbook, scope, reading.detail)
    # A hard limit that cannot be measured is not known to be kept, and has failed often enough to be confirmed.
    value, samples = (reading.value, reading.samples) if reading is not None else (math.nan, 1_000_000)
    confirm = playbook.confirm if reading is not None else 1
    watch, verdict = judge(
        Watch(row.sightings, row.ran_at.timestamp() if row.ran_at else None),
        Rule(playbook.threshold, confirm, playbook.min_samples, playbook.cooldown_s),
        moment.timestamp(),
        value=value,
        samples=samples,
    )
    row.sightings, row.verdict, row.read_at = watch.sightings, verdict.value, moment
    row.value = value if math.isfinite(value) else None
    row.samples = reading.samples if reading is not None else 0
    row.detail = (reading.detail if reading is not None else f"{NOT_MEASURED}: {why}")[:300]
    if verdict is Verdict.cooling and playbook.family == Playbook.Family.GOVERNOR:
        # What was lowered since it acted is no reason to wait: a cool-down is for a stop that stands.
        verdict = Verdict.trigger if level_was_lowered(playbook, scope) else verdict
        row.verdict = verdict.value
    if verdict is Verdict.trigger:
        row.ran_at = moment
    row.save()
    if verdict is Verdict.trigger:
        _run(playbook, scope, reading, missing=why)
        return True
    if verdict is Verdict.cooling:
        _came_back(playbook, scope, reading, row.detail)
        blackouts_sustain(playbook, scope, kind=playbook.name, reason=row.detail)
    if verdict is Verdict.calm:
        _calm(playbook, scope, row.detail)
    return False


@transaction.atomic
def playbook_run(*, name: str, scope: str, reason: str) -> PlaybookRun | None:
    """Take an armed playbook's steps because a rule says so: the same incident, blast radius, checks and undo.

    None within its cool-down on the scope.

    Raises
    ------
    NotFound : UNKNOWN_PLAYBOOK.  Conflict : NOT_ARMED.
    """
    playbook = playbook_get(name)
    if not playbook.is_armed:
        raise Conflict("NOT_ARMED", f"{name} is not armed")
    moment = now()
    row = _watch_locked(playbook, scope)
    if row is None or (
        row.ran_at is not None and moment - row.ran_at < timedelta(seconds=playbook.cooldown_s)
    ):
        return None
    # Counted as seen, so that the next reading below the threshold ends it like any other.
    row.ran_at, row.sightings = moment, max(row.sightings, 1)
    row.save(update_fields=["ran_at", "sightings"])
    return _run(playbook, scope, None, because=reason)


def _watch_locked(playbook: Playbook, scope: str) -> PlaybookWatch | None:
    rows = PlaybookWatch.objects.filter(playbook=playbook, scope=scope)
    row = rows.select_for_update(skip_locked=True, no_key=True).first()
    if row is not None or rows.exists():
        return row
    new = PlaybookWatch(playbook=playbook, scope=scope, read_at=now())
    PlaybookWatch.objects.bulk_create([new], ignore_conflicts=True)
    return rows.select_for_update(skip_locked=True, no_key=True).first()


def _measured(playbook: Playbook, scope: str, moment: datetime) -> tuple[Reading | None, str]:
    """The reading, or None and why there is none. What follows from not knowing is decided by the caller."""
    try:
        with transaction.atomic():
            since = moment - timedelta(seconds=playbook.window_s)
            return MEASURES[playbook.name](scope, since, moment), ""
    except Unmeasured as missing:
        log.warning("playbook_not_measured", playbook=playbook.name, scope=scope, why=str(missing))
        return None, str(missing)
    except Exception as error:
        # Whatever goes wrong inside a measure is told, and is no reading.
        log.exception("playbook_not_measured", playbook=playbook.name, scope=scope, error=repr(error)[:300])
        return None, repr(error)[:200]


def _run(
    playbook: Playbook, scope: str, reading: Reading | None, *, because: str = "", missing: str = ""
) -> PlaybookRun:
    # One scope after the other: two that act at the same moment would not count each other.
    Playbook.objects.select_for_update(no_key=True).get(pk=playbook.pk)
    detail = because or (reading.detail if reading is not None else f"{NOT_MEASURED}: {missing}")
    # A rule, and a figure nobody could measure, are never what a fault was put in for.
    rehearsal = rehearsal_behind(playbook, scope) if reading is not None and not because else None
    incident = _incident(
        playbook, scope, reading, detail, because=because, is_rehearsal=rehearsal is not None
    )
    run = PlaybookRun.objects.create(
        playbook=playbook,
        incident=incident,
        scope=scope,
        measured=reading.value if reading is not None and math.isfinite(reading.value) else None,
        threshold=playbook.threshold,
        rehearsal=rehearsal,
        at=now(),
    )
    if _blast_radius_reached(playbook, scope):
        run.held_back = True
        run.save(update_fields=["held_back"])
        why = f"{HELD_BACK}: {playbook.max_scopes} scopes were acted on within an hour; people are called instead"
        told = was_held_back(incident)
        incident_note(incident, actor=playbook.family, what=why)
        Incident.objects.filter(pk=incident.pk).update(severity="critical")
        if not told:
            incident_publish(incident, severity="critical", news="held_back", reason=why)
        return run
    for number, action in enumerate(actions_parse(playbook.actions)):
        done = action_carry_out(run, number, action, reason=detail)
        incident_note(
            incident,
            actor=playbook.family,
            what=f"{done.verb} {done.scope}: {done.get_state_display()}{f': {done.error}' if done.error else ''}",
            detail={"parameters": done.parameters, "before": done.before, "after": done.after},
        )
    log.warning("playbook_ran", playbook=playbook.name, scope=scope, incident=incident.pk, detail=detail)
    return run


def _incident(
    playbook: Playbook, scope: str, reading: Reading | None, detail: str, *, because: str = "", **how: bool
) -> Incident:
    spec = PLAYBOOKS[playbook.name]
    incident, _ = incident_open(
        kind=playbook.name,
        scope=scope,
        severity=playbook.severity,
        title=because or f"{spec.title}: {detail}",
        actor=playbook.family,
        evidence=evidence_snapshot(playbook, scope, reading, because=because),
        playbook=playbook,
        needs_review=spec.needs_review,
        **how,
    )
    return incident


def _came_back(playbook: Playbook, scope: str, reading: Reading | None, detail: str) -> None:
    """Tell of a cause that stands again though nothing is done about it before the cool-down is over.

    Its incident would say that it is over, be closed as such, and keep a review of what had been. What flaps is
    counted into the last message; what was reviewed or closed is told anew. A fault that is in is not told: its
    rehearsal waits for the playbook to act.
    """
    standing = Incident.objects.filter(kind=playbook.name, scope=scope, state=Incident.State.OPEN)
    rehearsed = reading is not None and rehearsal_behind(playbook, scope) is not None
    if not rehearsed and not standing.exists():
        _incident(playbook, scope, reading, detail, in_cool_down=True)


def _blast_radius_reached(playbook: Playbook, scope: str) -> bool:
    recent = PlaybookRun.objects.filter(playbook=playbook, held_back=False, at__gt=now() - BLAST_WINDOW)
    measured = recent.exclude(incident__kind=KIND)
    others = set(measured.exclude(scope=scope).values_list("scope", flat=True))
    return len(others) >= playbook.max_scopes


def _calm(playbook: Playbook, scope: str, detail: str) -> None:
    found = Incident.objects.filter(kind=playbook.name, scope=scope, state=Incident.State.OPEN)
    for pk in found.values_list("pk", flat=True):
        incident_calm(pk, actor=playbook.family, detail=detail)
