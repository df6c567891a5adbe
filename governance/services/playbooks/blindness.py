"""What follows when a playbook cannot measure a scope: after some readings in a row nothing new is risked there.

Not knowing is a block. It is one that ends: once the scope is measured again, what was set runs out by itself.
"""

from __future__ import annotations

from typing import Final

import structlog

from governance.domain.playbooks import Action, Verb
from governance.models import Incident, Playbook, PlaybookRun
from governance.services.playbooks.acting import action_carry_out
from governance.services.playbooks.evidence import NOT_MEASURED
from governance.services.playbooks.incidents import incident_calm, incident_note, incident_open
from governance.services.playbooks.sustaining import blackouts_sustain
from nautilus_site.common.clock import now

log = structlog.get_logger(__name__)
KIND: Final = "unmeasured"
STEP: Final = Action(Verb.blackout, minutes=5)


def blind_act(playbook: Playbook, scope: str, why: str) -> bool:
    """Take new risk away from a scope that could not be measured too often, and keep it away. True where it is new.

    However many scopes there are: the blast radius is for what was measured, and may be a false alarm.
    """
    reason = f"{NOT_MEASURED}: {why}"
    if _open(playbook, scope).exists():
        blackouts_sustain(playbook, scope, kind=KIND, reason=reason)
        return False
    incident, _ = incident_open(
        kind=KIND,
        scope=_name(playbook, scope),
        severity="warning",
        title=f"playbook {playbook.name} cannot measure {scope}: {why}",
        actor=playbook.family,
        evidence={"why": why, "readings": playbook.blind_after},
    )
    run = PlaybookRun.objects.create(
        playbook=playbook, incident=incident, scope=scope, threshold=playbook.threshold, at=now()
    )
    done = action_carry_out(run, 0, STEP, reason=reason)
    incident_note(
        incident,
        actor=playbook.family,
        what=f"{done.verb} {done.scope}: {done.get_state_display()}{f': {done.error}' if done.error else ''}",
        detail={"parameters": done.parameters, "before": done.before, "after": done.after},
    )
    log.warning("playbook_blind", playbook=playbook.name, scope=scope, incident=incident.pk, why=why)
    return True


def blind_over(playbook: Playbook, scope: str, detail: str) -> None:
    """Note that a scope is measured again."""
    for pk in _open(playbook, scope).values_list("pk", flat=True):
        incident_calm(pk, actor=playbook.family, detail=f"it is measured again: {detail}"[:250])


def _open(playbook: Playbook, scope: str):  # type: ignore[no-untyped-def]
    return Incident.objects.filter(kind=KIND, scope=_name(playbook, scope), state=Incident.State.OPEN)


def _name(playbook: Playbook, scope: str) -> str:
    return f"{playbook.name}:{scope}"
