"""Hard stops nobody has reviewed, and the levels they hold until somebody has."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from governance.domain.playbooks import Verb
from governance.models import Incident, PlaybookAction
from trading.domain.values import Level
from trading.services.controls.resume_guards import Hold

CODE = "REVIEW_REQUIRED"


def unreviewed() -> QuerySet[Incident]:
    """Incidents of hard stops without a review that counts."""
    return Incident.objects.filter(needs_review=True, reviewed_at=None).exclude(state=Incident.State.CLOSED)


def hard_stop_holds() -> list[Hold]:
    """What may not be resumed yet: below REDUCING in the scope of each, below its steps' levels where they stand.

    A step that failed was answered with the level it wanted, REDUCING at least, and that was its hard stop.
    """
    held: list[Hold] = []
    for incident in unreviewed().order_by("pk"):
        levels = {incident.scope: Level.REDUCING}
        steps = PlaybookAction.objects.filter(run__incident=incident, verb=Verb.kill)
        for step in steps.exclude(state=PlaybookAction.State.UNDONE):
            level = max(Level.REDUCING, Level[step.parameters["level"]])
            levels[step.scope] = max(level, levels.get(step.scope, Level.ACTIVE))
        held += [_hold(incident, scope, level) for scope, level in levels.items()]
    return held


def holds_told() -> list[dict[str, Any]]:
    """The same for pages: scope, level, why, and where it is reviewed."""
    return [
        {"scope": hold.scope, "level": hold.level.name, "why": hold.why, "link": hold.link}
        for hold in hard_stop_holds()
    ]


def _hold(incident: Incident, scope: str, level: Level) -> Hold:
    rehearsed = "a rehearsal, " if incident.is_rehearsal else ""
    return Hold(
        scope,
        level,
        CODE,
        f"incident {incident.pk} ({rehearsed}{incident.kind}) holds {scope} at {level.name} until a risk officer "
        "has reviewed it",
        link=f"/playbooks/#incident-{incident.pk}",
        incident=incident.pk,
    )
