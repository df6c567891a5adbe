"""Keeping a blackout up while what it was set for stands: cool-downs are longer than blackouts, causes longer still."""

from __future__ import annotations

from datetime import timedelta

from governance.domain.playbooks import PLAYBOOKS, Verb
from governance.models import Playbook, PlaybookAction, PlaybookRun
from governance.services.playbooks.incidents import incident_note
from nautilus_site.common.clock import now
from trading.models import Blackout
from trading.services.controls.blackouts import blackout_extend, blackout_set

State = PlaybookAction.State
_TICKS_S = 15.0
"""Three ticks: it may be that the next one is late."""


def blackouts_sustain(playbook: Playbook, scope: str, *, kind: str, reason: str) -> int:
    """Let no blackout of the newest run on a scope end while its cause stands. Returns how many went on.

    One that people ended before its time stays ended until the playbook acts again.
    """
    run = (
        PlaybookRun.objects.filter(playbook=playbook, scope=scope, incident__kind=kind)
        .select_related("incident", "playbook")
        .first()
    )
    if run is None or run.held_back:
        return 0
    rows = PlaybookAction.objects.select_for_update(no_key=True).filter(run=run, verb=Verb.blackout)
    standing = rows.exclude(state__in=(State.FAILED, State.UNDONE)).order_by("pk")
    return sum(_sustain(row, run, f"playbook {playbook.name}: {reason}"[:200]) for row in standing)


def _sustain(row: PlaybookAction, run: PlaybookRun, reason: str) -> bool:
    moment, length = now(), timedelta(minutes=row.parameters["minutes"])
    window = Blackout.objects.filter(pk=(row.after or {}).get("blackout", 0)).first()
    if window is not None and (window.ended_at is not None or window.ends_at - moment > _margin(row, run)):
        return False
    actor, ends_at = f"playbook {run.playbook.name}", moment + length
    if window is not None and window.ends_at > moment and window.created_by == actor:
        blackout_extend(blackout_id=window.pk, ends_at=ends_at, reason=reason, actor=actor)
        row.after = {**(row.after or {}), "ends_at": ends_at.isoformat()}
        row.save(update_fields=["after"])
        return True
    # It is over, or somebody else's: then this is a step like the first, looked at and taken back like it.
    made = blackout_set(scope=row.scope, ends_at=ends_at, reason=reason, actor=actor)
    row.after = {"blackout": made.pk, "ends_at": ends_at.isoformat()}
    row.state, row.at, row.verified_at, row.error, row.undo_request = State.DONE, moment, None, "", ""
    row.save(update_fields=["after", "state", "at", "verified_at", "error", "undo_request"])
    incident_note(
        run.incident, actor=run.playbook.family, what=f"blackout {row.scope} goes on: the cause stands"
    )
    return True


def _margin(row: PlaybookAction, run: PlaybookRun) -> timedelta:
    """How much of a window is left when it goes on. People who ask for its end are given as long as there is."""
    spec = PLAYBOOKS.get(run.playbook.name)
    least = timedelta(seconds=max(_TICKS_S, 2 * spec.period_s if spec is not None else 0.0))
    return least if row.undo_request else max(least, timedelta(minutes=row.parameters["minutes"]) / 2)
