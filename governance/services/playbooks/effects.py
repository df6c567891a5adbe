"""What the second person is told of a proposed change: the last week's runs under it, and what is done no more."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from governance.domain.playbooks import PLAYBOOKS, Past, Rule, Setting, not_acted, steps_lost
from governance.models import IncidentEntry, Playbook, PlaybookRun
from governance.selectors.playbooks import action_words
from governance.services.playbooks.blindness import KIND
from governance.services.playbooks.changing import playbook_get
from governance.services.playbooks.incidents import OVER
from nautilus_site.common.clock import now

_WEEK = timedelta(days=7)
_TICK_S = 5.0
_CANNOT_TELL = ("window_s", "blind_after")
"""Of what lies outside the window, and of readings that failed, too little is kept to say."""


def change_effect(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Of the last week's runs, how many there would not have been; steps it would not take; what nobody can say.

    Rehearsals, and what followed because nothing could be measured, say nothing of the rule.
    """
    row, since = playbook_get(target.partition(":")[2]), now() - _WEEK
    runs = list(
        row.runs.filter(at__gt=since, held_back=False, rehearsal=None)
        .exclude(incident__kind=KIND)
        .select_related("incident")
    )
    spec = PLAYBOOKS.get(row.name)
    if not payload.get("is_armed", row.is_armed):
        lost = len(runs)
    else:
        period_s = max(_TICK_S, spec.period_s if spec is not None else 0.0)
        lost = not_acted(_past(runs, since), _setting(row, {}), _setting(row, payload), period_s=period_s)
    told: dict[str, Any] = {"runs_last_7_days": len(runs), "it_would_not_have_acted": lost}
    if steps := steps_lost(row.actions, payload.get("actions", row.actions)):
        told["steps_it_would_not_take"] = [action_words(step.members()) for step in steps]
    if untold := [field for field in _CANNOT_TELL if field in payload]:
        told["what_is_kept_cannot_tell_of"] = untold
    return told


def _setting(row: Playbook, payload: Mapping[str, Any]) -> Setting:
    def of(field: str) -> Any:
        return payload.get(field, getattr(row, field))

    rule = Rule(of("threshold"), of("confirm"), of("min_samples"), of("cooldown_s"))
    return Setting(rule, of("max_scopes"))


def _past(runs: list[PlaybookRun], since: datetime) -> list[Past]:
    """The runs with what their incidents' timelines say of them: samples, and when the cause was over."""
    lines = IncidentEntry.objects.filter(incident__in={run.incident_id for run in runs}, at__gt=since)
    evidence: dict[int, list[tuple[datetime, int]]] = {}
    overs: dict[int, list[datetime]] = {}
    for line in lines.filter(Q(detail__has_key="samples") | Q(what__startswith=OVER)).order_by("at"):
        if line.what.startswith(OVER):
            overs.setdefault(line.incident_id, []).append(line.at)
        else:
            evidence.setdefault(line.incident_id, []).append((line.at, line.detail["samples"]))
    return [_told(run, evidence.get(run.incident_id, []), overs.get(run.incident_id, [])) for run in runs]


def _told(run: PlaybookRun, evidence: list[tuple[datetime, int]], overs: list[datetime]) -> Past:
    before = bisect_right(evidence, run.at, key=lambda line: line[0])
    ended = bisect_right(overs, run.at)
    until = overs[ended] if ended < len(overs) else run.incident.closed_at or now()
    return Past(
        scope=run.scope,
        at_s=run.at.timestamp(),
        value=run.measured,
        samples=evidence[before - 1][1] if before else None,
        stood_s=(until - run.at).total_seconds(),
    )
