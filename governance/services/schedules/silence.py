"""The alarms no tick can ring: for a beat that is silent, and for a guardian that fails. The relay rings them."""

from __future__ import annotations

import time
from datetime import timedelta

from django.db.models import Max

from governance.domain.schedules import CLOCK_AHEAD_S
from governance.models import ScheduleState
from nautilus_site.common.clock import now
from nautilus_site.common.services.hints import send_hint
from nautilus_site.common.services.outbox import publish

BEAT_SILENT_S = 30.0
"""The shortest period is a second; a restart of beat takes less."""
KIND, FAILING = "beat_silent", "failing_job"
# Without beat nobody would send these two, and what the relay tells would reach no person.
_TICKS = (
    ("governance.tasks.guardian_tick", "control"),
    ("governance.tasks.notifications_tick", "governance"),
)
_MEANS = "Nothing is judged until it ends well; what works at the venue stays."
_told: set[str] = set()
_patient_until: dict[str, float] = {}


def beat_silent_s() -> float | None:
    """For how long no periodic job was sent, once that is too long. None before the first one was.

    What was sent in what is now the future was sent before the clock was put back: beat sends it again at once, and
    until it does nothing tells that any beat is at work.
    """
    sent = ScheduleState.objects.filter(sent_at__isnull=False)
    newest = sent.filter(sent_at__lte=now() + timedelta(seconds=CLOCK_AHEAD_S)).aggregate(at=Max("sent_at"))[
        "at"
    ]
    if newest is None:
        return 2 * BEAT_SILENT_S if sent.exists() else None
    if (silent := (now() - newest).total_seconds()) <= BEAT_SILENT_S:
        return None
    return float(silent)


def beat_watch() -> None:
    """While beat is silent: call people once, and have workers do what brings the call to them."""
    silent = beat_silent_s()
    if silent is None:
        _told.discard(KIND)
        _patient_until[KIND] = 0.0
        return
    # Whoever has just begun to look may have started together with beat.
    if time.monotonic() < _patient_until.setdefault(KIND, time.monotonic() + BEAT_SILENT_S):
        return
    if KIND not in _told:
        publish(
            "incidents",
            {
                "kind": KIND,
                "severity": "critical",
                "title": f"no periodic job was sent for {silent:.0f} s: no beat is at work",
                "reason": "Nothing is decided until it is back; what works at the venue stays. See Schedules.",
            },
        )
        _told.add(KIND)
    _hint()


def guardian_watch() -> None:
    """While the job that tells of jobs that are late or fail is late or fails itself: call people once."""
    from governance.selectors.schedules import schedule_members, schedule_queryset

    for task in schedule_queryset().filter(task=_TICKS[0][0]):
        row = schedule_members(task, ScheduleState.objects.filter(name=task.name).first())
        if row["is_failing"]:
            said = f"failed {row['failures_in_row']} times in a row"
        elif row["late_s"] and beat_silent_s() is None:  # without beat all of them are late, which is told
            said = f"has not run for {row['late_s'] + row['every_s']:.0f} s"
        else:
            _told.discard(task.name)
            continue
        if task.name not in _told:
            publish(
                "incidents",
                {
                    "kind": FAILING,
                    "severity": "critical",
                    "subject": f"job:{task.name}",
                    "title": f"the job {task.name} {said}",
                    "reason": f"{row['error']} {_MEANS}".strip(),
                },
            )
            _told.add(task.name)


def _hint() -> None:
    for task, queue in _TICKS:
        send_hint(task, queue=queue, worthless_after_s=5.0)
