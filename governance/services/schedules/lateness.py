"""The alarms for jobs that did not run or only fail: incidents while ticks run at all, and readiness when none does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from governance.domain.schedules import CLOCK_AHEAD_S
from governance.models import Incident, ScheduleState
from governance.selectors.schedules import schedule_list, schedule_queryset
from governance.services.playbooks.incidents import incident_calm, incident_open
from governance.services.schedules.silence import FAILING, beat_silent_s
from governance.services.schedules.silence import KIND as SILENT
from nautilus_site.common.clock import now

MISSED = "missed_run"
Row = Mapping[str, Any]


def schedules_watch() -> int:
    """Open an incident for each job that is late or fails every time, and calm those that run again; that of a silent
    beat, too, which the relay called people to.

    Returns how many are either.
    """
    seen = set(ScheduleState.objects.values_list("name", flat=True))
    new = [name for name in schedule_queryset().values_list("name", flat=True) if name not in seen]
    ScheduleState.objects.bulk_create(
        [ScheduleState(name=name, since=now()) for name in new], ignore_conflicts=True
    )
    _clock_put_back()
    if beat_silent_s() is None:
        for incident in Incident.objects.filter(kind=SILENT, state=Incident.State.OPEN):
            incident_calm(incident.pk, actor="schedules", detail="jobs are sent again")
    rows = schedule_list()
    late = {row["name"]: row for row in rows if row["late_s"]}
    failing = {row["name"]: row for row in rows if row["is_failing"]}
    for name in _waiting(MISSED, late, over="runs again"):
        row = late[name]
        last = row["last_run_at"] or "never"
        _open(
            MISSED,
            row,
            f"the job {name} has not run for {row['late_s'] + row['every_s']:.0f} s (last: {last})",
            ("every_s", "late_s", "last_run_at"),
        )
    for name in _waiting(FAILING, failing, over="ended well, or is off"):
        row = failing[name]
        _open(
            FAILING,
            row,
            f"the job {name} failed {row['failures_in_row']} times in a row: {row['error']}",
            ("every_s", "failures_in_row", "failing_since", "error"),
        )
    return len(late.keys() | failing.keys())


def _clock_put_back() -> None:
    """What was noted in what is now the future says nothing of how long ago it was; count from now on."""
    moment = now()
    future = moment + timedelta(seconds=CLOCK_AHEAD_S)
    for name in ("since", "finished_at", "failing_since"):
        ScheduleState.objects.filter(**{f"{name}__gt": future}).update(**{name: moment})


def _waiting(kind: str, bad: Mapping[str, Row], *, over: str) -> list[str]:
    """Jobs that need an incident and have none; what is over is calm."""
    told = set()
    for incident in Incident.objects.filter(kind=kind, state=Incident.State.OPEN):
        name = incident.scope.partition(":")[2]
        if name in bad:
            told.add(name)
        else:
            incident_calm(incident.pk, actor="schedules", detail=f"{name} {over}")
    return [name for name in bad if name not in told]


def _open(kind: str, row: Row, title: str, evidence: tuple[str, ...]) -> None:
    incident_open(
        kind=kind,
        scope=f"job:{row['name']}",
        severity="warning",
        title=title,
        actor="schedules",
        evidence={name: row[name] for name in evidence},
    )


def schedules_unready() -> str | None:
    """Whether any beat is at work, for `/readyz`: the web process notices when no tick can say so itself.

    A job that is late while others are sent is a busy worker's: an incident, and no reason to take the pages away.
    """
    silent = beat_silent_s()
    if silent is None:
        return None
    return f"no periodic job was sent for {silent:.0f} s: no beat is at work"
