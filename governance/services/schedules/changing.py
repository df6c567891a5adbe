"""Changing how often a job runs: more often, or on again, is one person's; less often, or off, takes two.

So does a period so short that the job would fill its queue: what else waits there, guardians among it, would run less.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from governance.domain.schedules import ROOM
from governance.models import ScheduleState
from governance.selectors.schedules import every_s, schedule_queryset
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_create
from nautilus_site.common.services.turns import one_at_a_time

LONGEST_S = 86_400


@one_at_a_time
def schedule_change(
    *, schedule_id: int, values: Mapping[str, Any], actor: User, reason: str, expires_in_s: int | None = None
) -> PeriodicTask | ChangeRequest:
    """Change `every_s` or `is_enabled`, at once or as a request.

    Raises
    ------
    NotFound : UNKNOWN_SCHEDULE.  ApplicationError : INVALID_SCHEDULE, REASON_REQUIRED.  Conflict : NO_CHANGE.
    """
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    target = f"schedule:{schedule_id}"
    changed = change_clean(target, values)
    task = _task(target)
    if not changed:
        raise Conflict("NO_CHANGE", "that is the schedule in force")
    period = changed.get("every_s")
    rarer = period is not None and (period > every_s(task) or period < ROOM * _took_s(task))
    if not rarer and changed.get("is_enabled", True):
        return _store(task.pk, changed, actor=actor, reason=reason)
    before = {"every_s": every_s(task), "is_enabled": task.enabled}
    return change_request_create(
        kind="schedule.change",
        target=target,
        payload=changed,
        diff={
            "job": [task.name, task.name],
            **{name: [before[name], value] for name, value in changed.items()},
        },
        reason=reason,
        requester=actor,
        expires_in_s=expires_in_s,
    )


def change_clean(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What a proposed change holds, whichever way it was proposed."""
    task = _task(target)
    unknown = sorted(set(payload) - {"every_s", "is_enabled"})
    if unknown:
        raise ApplicationError("INVALID_SCHEDULE", f"a schedule has no {', '.join(unknown)} to change")
    changed: dict[str, Any] = {}
    if "every_s" in payload:
        value = payload["every_s"]
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LONGEST_S:
            raise ApplicationError("INVALID_SCHEDULE", f"every_s: expected whole seconds of 1 to {LONGEST_S}")
        if value != every_s(task):
            changed["every_s"] = value
    if "is_enabled" in payload:
        if not isinstance(payload["is_enabled"], bool):
            raise ApplicationError("INVALID_SCHEDULE", "is_enabled: expected true or false")
        if payload["is_enabled"] != task.enabled:
            changed["is_enabled"] = payload["is_enabled"]
    return changed


def change_snapshot(target: str) -> dict[str, Any]:
    """What must not change between a request and its approval."""
    task = _task(target)
    return {"every_s": every_s(task), "is_enabled": task.enabled}


def change_rows(target: str) -> Rows:
    """What that is read from."""
    return [PeriodicTask.objects.filter(pk=_task(target).pk)]


def change_effect(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """How often the job runs in a day, now and under the proposal."""
    task = _task(target)
    period = float(payload.get("every_s", every_s(task)))
    enabled = payload.get("is_enabled", task.enabled)
    return {
        "job": task.name,
        "runs_a_day_now": round(86_400 / every_s(task)) if task.enabled else 0,
        "runs_a_day_then": round(86_400 / period) if enabled else 0,
    }


def apply_change(request: ChangeRequest, approver: User) -> None:
    """Put the approved schedule in force; runs inside the approving transaction."""
    _store(_task(request.target).pk, request.payload, actor=approver, reason=request.reason)


@transaction.atomic
def _store(pk: int, changed: Mapping[str, Any], *, actor: User, reason: str) -> PeriodicTask:
    task = (
        PeriodicTask.objects.select_for_update(of=("self",), no_key=True)
        .select_related("interval")
        .get(pk=pk)
    )
    before = {"every_s": every_s(task), "is_enabled": task.enabled}
    if "every_s" in changed:
        task.interval, _ = IntervalSchedule.objects.get_or_create(
            every=changed["every_s"], period=IntervalSchedule.SECONDS
        )
        # A message is worthless once two more of it were due.
        task.expire_seconds = max(2, 2 * changed["every_s"])
    task.enabled = changed.get("is_enabled", task.enabled)
    task.save()  # its signal makes every beat read the table again
    ScheduleState.objects.filter(name=task.name).update(since=now())  # late by the new period, from now on
    audit_record(
        action="schedule.changed",
        target=f"schedule:{task.name}",
        actor=actor,
        reason=reason,
        before={name: before[name] for name in changed},
        after=dict(changed),
    )
    return task


def _took_s(task: PeriodicTask) -> float:
    """How long the last run took, 0 where it is not known."""
    found = ScheduleState.objects.filter(name=task.name).values_list("duration_s", flat=True).first()
    return found or 0.0


def _task(target: str) -> PeriodicTask:
    number = target.partition(":")[2]
    row = schedule_queryset().filter(pk=int(number)).first() if number.isdecimal() else None
    if row is None:
        raise NotFound("UNKNOWN_SCHEDULE", "no such schedule")
    return row
