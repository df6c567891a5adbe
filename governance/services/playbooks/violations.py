"""Hard limits that were broken on a day: one for each time, however often their stop was enforced meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any

from django.db.models import Q

from governance.domain.playbooks import PLAYBOOKS
from governance.models import Incident, IncidentEntry, Playbook, PlaybookRun
from governance.services.playbooks.incidents import CAME_BACK, OVER

Span = tuple[datetime, datetime]


@dataclass(slots=True)
class _Breach:
    """One time a limit was reached, as far as it lies in the day."""

    at: datetime
    measured: float | None = None
    limit: float | None = None
    runs: list[PlaybookRun] = field(default_factory=list)


def violations_of(span: Span) -> list[dict[str, Any]]:
    """Every breach of the day, also of one that began before it, by incident and then by time.

    A breach lasts until its cause is over. One that comes back is another, also where nothing is done in a cool-down.
    """
    governors = Q(playbook__family=Playbook.Family.GOVERNOR)
    acted = PlaybookRun.objects.filter(governors, at__gte=span[0], at__lt=span[1])
    there = Q(opened_at__lt=span[1]) & (Q(closed_at=None) | Q(closed_at__gte=span[0]))
    incidents = Incident.objects.filter(Q(pk__in=acted.values("incident")) | (governors & there))
    return [
        _members(incident, breach)
        for incident in incidents.order_by("pk")
        for breach in _breaches(incident, span)
    ]


def _breaches(incident: Incident, span: Span) -> Iterator[_Breach]:
    lines = incident.entries.filter(Q(what=CAME_BACK) | Q(what__startswith=OVER), at__lt=span[1])
    before = lines.filter(at__lt=span[0]).order_by("-pk").first()
    stood = incident.opened_at < span[1] and (before is None or before.what == CAME_BACK)
    current = _Breach(max(incident.opened_at, span[0])) if stood else None
    runs = incident.runs.filter(at__gte=span[0], at__lt=span[1])
    seen: Iterable[PlaybookRun | IncidentEntry] = chain(lines.filter(at__gte=span[0]), runs)
    for one in sorted(seen, key=lambda one: one.at):
        if not isinstance(one, PlaybookRun) and one.what != CAME_BACK:
            if current is not None:
                yield current
            current = None
            continue
        current = current or _Breach(one.at)
        if isinstance(one, PlaybookRun):
            current.runs.append(one)
            measured, limit = one.measured, one.threshold
        else:
            measured, limit = one.detail.get("measured"), one.detail.get("threshold")
        if current.limit is None:
            current.measured, current.limit = measured, limit
    if current is not None:
        yield current


def _members(incident: Incident, breach: _Breach) -> dict[str, Any]:
    spec = PLAYBOOKS.get(incident.kind)
    evidence = incident.evidence if breach.limit is None else {}
    return {
        "code": spec.code if spec is not None else incident.kind,
        "at": breach.at.isoformat(),
        "measured": evidence.get("measured", breach.measured),
        "limit": evidence.get("threshold", breach.limit),
        "acted": len(breach.runs),
        "incident": incident.pk,
        "rehearsal": all(run.rehearsal_id is not None for run in breach.runs)
        if breach.runs
        else incident.is_rehearsal,
        "reviewed_by": incident.reviewed_by,
    }
