"""Scopes that are looked at no more: whatever was seen of them has no reading that could end it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from django.db import transaction
from django.db.models import Q

from governance.domain.playbooks import Verdict
from governance.models import Incident, PlaybookWatch
from governance.services.playbooks.blindness import KIND
from governance.services.playbooks.incidents import incident_calm
from nautilus_site.common.clock import now
from nautilus_site.common.steps import step_alone

_WHY = "it is no longer looked at"


def scopes_leave(looked_at: Mapping[str, Collection[str]]) -> int:
    """Calm what is open of scopes that are not among those looked at now, by playbook. Returns how many incidents.

    A playbook that is not named could not tell its scopes, or is not armed: of that nothing is known, and nothing ends.
    """
    seen = PlaybookWatch.objects.filter(playbook__name__in=looked_at)
    seen = seen.filter(Q(sightings__gt=0) | Q(unmeasured__gt=0))
    for pk, name, scope in seen.values_list("pk", "playbook__name", "scope"):
        if scope not in looked_at[name]:
            with step_alone("playbook_scope_left", playbook=name, scope=scope):
                _forget(pk)
    calmed = 0
    standing = Incident.objects.filter(state=Incident.State.OPEN).filter(
        Q(playbook__name__in=looked_at) | Q(kind=KIND)
    )
    for row in standing.select_related("playbook").order_by("pk"):
        name, scope = (row.kind, row.scope) if row.kind != KIND else _told(row.scope)
        if scope not in looked_at.get(name, [scope]):
            with step_alone("playbook_scope_left", playbook=name, scope=scope):
                incident_calm(row.pk, actor="guardian", detail=_WHY)
                calmed += 1
    return calmed


@transaction.atomic
def _forget(pk: int) -> None:
    """Let the next readings, should there be any, begin a row of their own. When it acted last is kept."""
    row = PlaybookWatch.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=pk).first()
    if row is None:
        return  # it is judged just now: the next tick looks again
    row.sightings, row.unmeasured, row.verdict = 0, 0, Verdict.quiet.value
    row.detail, row.read_at = _WHY, now()
    row.save(update_fields=["sightings", "unmeasured", "verdict", "detail", "read_at"])


def _told(scope: str) -> tuple[str, str]:
    """`stale_data` and `symbol:BTCUSDT` of what an incident `unmeasured` is about."""
    name, _, rest = scope.partition(":")
    return name, rest
