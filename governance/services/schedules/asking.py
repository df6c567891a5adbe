"""Having a job run at once: what raises no risk, one at a time, by one person."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction
from django_celery_beat.models import PeriodicTask

from governance.domain.processes import REQUIRED, WORKER_OF
from governance.domain.schedules import in_hand, pause_s
from governance.models import ScheduleRun, ScheduleState
from governance.selectors.schedules import longest_s, worthless_s
from governance.services.schedules.running import ASKED
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.hints import send_hint
from trading.models import ProcessHeartbeat
from trading.services.schedules import by_hand

KEPT: Final = timedelta(days=90)
_NOT_SENT: Final = "the broker did not take the message"


def schedule_run(*, schedule_id: int, actor: User, reason: str) -> ScheduleRun:
    """Send one message for a job now. It takes the claim that beats take, so that none sends another beside it.

    Raises
    ------
    NotFound : UNKNOWN_SCHEDULE.  ApplicationError : REASON_REQUIRED; TOO_SOON (429); WORKER_SILENT, NOT_SENT (503).
    Conflict : NOT_BY_HAND; SCHEDULE_OFF, since two people have decided so; RUN_IN_HAND.
    """
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    with transaction.atomic():
        task = _task_locked(schedule_id)
        _check_job(task)
        ScheduleState.objects.get_or_create(name=task.name, defaults={"since": now()})
        state = ScheduleState.objects.select_for_update(no_key=True).get(pk=task.name)
        moment = _database_now()  # workers and beats write theirs by the same clock
        _check_idle(state, task, moment)
        run = ScheduleRun.objects.create(
            name=task.name,
            asked_by=actor,
            reason=reason.strip(),
            asked_at=moment,
            worthless_at=moment + timedelta(seconds=worthless_s(task)),
        )
        before = state.sent_at, state.sent_by
        state.sent_at, state.sent_by = moment, f"asked by {actor}"[:80]
        state.save(update_fields=["sent_at", "sent_by"])
        audit_record(
            action="schedule.run_asked",
            target=f"schedule:{task.name}",
            actor=actor,
            reason=reason.strip(),
            after={"run": run.pk},
        )
    sent = send_hint(
        task.task,
        queue=task.queue,
        worthless_after_s=worthless_s(task),
        headers={"periodic_task_name": task.name, ASKED: run.pk},
    )
    if not sent:
        _give_up(run, before)
        raise ApplicationError("NOT_SENT", f"{_NOT_SENT}: {task.name} does not run", status=503)
    return run


def schedule_runs_prune() -> int:
    """Forget runs people asked for long ago; the audit trail keeps that they did. Returns how many."""
    return ScheduleRun.objects.filter(asked_at__lt=now() - KEPT).delete()[0]


def _task_locked(schedule_id: int) -> PeriodicTask:
    rows = PeriodicTask.objects.select_for_update(no_key=True).filter(interval__isnull=False, pk=schedule_id)
    task: PeriodicTask | None = rows.first()
    if task is None:
        raise NotFound("UNKNOWN_SCHEDULE", "no such schedule")
    return task


def _check_job(task: PeriodicTask) -> None:
    judged = by_hand(task.task)
    if not judged.may:
        raise Conflict("NOT_BY_HAND", f"{task.name} is not run by hand: {judged.why}")
    if not task.enabled:
        raise Conflict("SCHEDULE_OFF", f"two people have switched {task.name} off: switch it on first")
    worker = WORKER_OF.get(task.queue or "")
    sign = ProcessHeartbeat.objects.filter(kind=worker).order_by("-beat_at").first() if worker else None
    if sign is None or worker is None or now() - sign.beat_at > REQUIRED[worker].after:
        raise ApplicationError(
            "WORKER_SILENT", f"{worker or 'no worker'} gives no sign of life: it would not run", status=503
        )


def _check_idle(state: ScheduleState, task: PeriodicTask, moment: datetime) -> None:
    doing = in_hand(
        sent_at=state.sent_at,
        started_at=state.started_at,
        finished_at=state.finished_at,
        moment=moment,
        worthless_s=worthless_s(task),
        longest_s=longest_s(),
    )
    if doing:
        raise Conflict("RUN_IN_HAND", f"a run of {task.name} is {doing} already")
    last = ScheduleRun.objects.filter(name=task.name).exclude(error=_NOT_SENT).order_by("-id").first()
    if last is None:
        return
    wait = (last.asked_at - moment).total_seconds() + pause_s(state.duration_s)
    if wait > 0:
        raise ApplicationError(
            "TOO_SOON",
            f"{last.asked_by} had it run a moment ago: wait {wait:.0f} s",
            status=429,
            extra={"retry_after": max(1, round(wait))},
        )


def _give_up(run: ScheduleRun, before: tuple[datetime | None, str]) -> None:
    """Write down that nothing was sent, and leave the claim to the beats, unless one has taken it since."""
    ScheduleRun.objects.filter(pk=run.pk).update(finished_at=run.asked_at, result="failed", error=_NOT_SENT)
    ScheduleState.objects.filter(name=run.name, sent_at=run.asked_at).update(
        sent_at=before[0], sent_by=before[1]
    )


def _database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
        return moment
