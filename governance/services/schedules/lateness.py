"""The alarm for jobs that did not run: an incident while ticks run at all, and readiness when none does."""

from __future__ import annotations

from typing import Any

from governance.models import Incident, ScheduleState
from governance.selectors.schedules import schedule_list, schedule_queryset
from governance.services.playbooks.incidents import incident_calm, incident_open
from governance.services.schedules.silence import beat_silent_s
from nautilus_site.common.clock import now

KIND = "missed_run"


def schedules_late() -> list[dict[str, Any]]:
    """Jobs that are late now."""
    return [row for row in schedule_list() if row["late_s"]]


def schedules_watch() -> int:
    """Open an incident for each job that is late, and calm those that run again. Returns how many are late."""
    seen = set(ScheduleState.objects.values_list("name", flat=True))
    new = [name for name in schedule_queryset().values_list("name", flat=True) if name not in seen]
    ScheduleState.objects.bulk_create(
        [ScheduleState(name=name, since=now()) for name in new], ignore_conflicts=True
    )
    late = {row["name"]: row for row in schedules_late()}
    known = Incident.objects.filter(kind=KIND, state=Incident.State.OPEN)
    waiting = set()
    for incident in known:
        name = incident.scope.partition(":")[2]
        if name in late:
            waiting.add(name)
        else:
            incident_calm(incident.pk, actor="schedules", detail=f"{name} runs again")
    for name, row in late.items():
        if name not in waiting:
            last = row["last_run_at"] or "never"
            incident_open(
                kind=KIND,
                scope=f"job:{name}",
                severity="warning",
                title=f"the job {name} has not run for {row['late_s'] + row['every_s']:.0f} s (last: {last})",
                actor="schedules",
                evidence={
                    "every_s": row["every_s"],
                    "late_s": row["late_s"],
                    "last_run_at": row["last_run_at"],
                },
            )
    return len(late)


def schedules_unready() -> str | None:
    """Whether any beat is at work, for `/readyz`: the web process notices when no tick can say so itself.

    A job that is late while others are sent is a busy worker's: an incident, and no reason to take the pages away.
    """
    silent = beat_silent_s()
    if silent is None:
        return None
    return f"no periodic job was sent for {silent:.0f} s: no beat is at work"
