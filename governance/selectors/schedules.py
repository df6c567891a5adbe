"""Periodic jobs with their last run, its result, the next one, and how late they are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.db.models import QuerySet
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from governance.domain.schedules import in_hand, is_failing, late_s
from governance.models import ScheduleRun, ScheduleState
from nautilus_site.common.clock import now
from trading.selectors.notation import utc_text
from trading.services.schedules import by_hand

_SECONDS = {
    IntervalSchedule.DAYS: 86_400.0,
    IntervalSchedule.HOURS: 3_600.0,
    IntervalSchedule.MINUTES: 60.0,
    IntervalSchedule.SECONDS: 1.0,
    IntervalSchedule.MICROSECONDS: 1e-6,
}

WORTHLESS_S: Final = 60
"""Of a job whose messages never are."""
_RUNS = 50


def worthless_s(task: PeriodicTask) -> int:
    """After how many seconds a message of a job is worthless."""
    return int(task.expire_seconds or WORTHLESS_S)


def longest_s() -> float:
    """No run takes longer: the worker ends it."""
    return float(settings.CELERY_TASK_TIME_LIMIT) + 10


def schedule_queryset() -> QuerySet[PeriodicTask]:
    """Periodic tasks that run at an interval: all of ours."""
    rows: QuerySet[PeriodicTask] = PeriodicTask.objects.filter(interval__isnull=False)
    return rows.select_related("interval").order_by("name")


def every_s(task: PeriodicTask) -> float:
    """The period of a task in seconds."""
    return float(task.interval.every) * _SECONDS[task.interval.period]


def states_by_name() -> dict[str, ScheduleState]:
    return {row.name: row for row in ScheduleState.objects.all()}


def run_queryset() -> QuerySet[ScheduleRun]:
    """Runs that people asked for, newest first."""
    return ScheduleRun.objects.select_related("asked_by").order_by("-id")


def run_members(run: ScheduleRun) -> dict[str, Any]:
    """A run that a person asked for, and how far it is."""
    return {
        "id": run.pk,
        "job": run.name,
        "state": _run_state(run),
        "asked_by": run.asked_by.username,
        "reason": run.reason,
        "asked_at": utc_text(run.asked_at),
        "started_at": utc_text(run.started_at),
        "finished_at": utc_text(run.finished_at),
        "duration_s": run.duration_s,
        "error": run.error,
    }


def _run_state(run: ScheduleRun) -> str:
    """`lost`: no worker took it up while it was worth it, or the one that did said nothing more."""
    if run.result:
        return run.result
    moment = now()
    if run.started_at is not None:
        return "running" if (moment - run.started_at).total_seconds() < longest_s() else "lost"
    return "queued" if moment < run.worthless_at else "lost"


def schedule_members(task: PeriodicTask, state: ScheduleState | None) -> dict[str, Any]:
    """One job: its period, its last run and the next, and whether a person may have it run now."""
    moment, period = now(), every_s(task)
    finished = state.finished_at if state is not None else None
    sent = state.sent_at if state is not None else None
    # One nobody has watched yet cannot be late: an upgrade would otherwise begin with false alarms.
    # Nor can one whose schedule was changed a moment ago: `since` is from then on.
    anchor = max((at for at in (finished, state.since if state is not None else None) if at), default=None)
    late = late_s(period, (moment - anchor).total_seconds()) if task.enabled and anchor is not None else 0.0
    in_row = state.failures_in_row if state is not None else 0
    since = state.failing_since if state is not None else None
    failing_s = (moment - since).total_seconds() if since is not None else 0.0
    judged = by_hand(task.task)
    return {
        "id": task.pk,
        "name": task.name,
        "task": task.task,
        "queue": task.queue,
        "every_s": period,
        "is_enabled": task.enabled,
        "last_sent_at": utc_text(sent),
        "sent_by": state.sent_by if state is not None else "",
        "last_run_at": utc_text(finished),
        "duration_s": state.duration_s if state is not None else None,
        "result": (state.result if state is not None else "") or None,
        "error": state.error if state is not None else "",
        "runs": state.runs if state is not None else 0,
        "failures": state.failures if state is not None else 0,
        "failures_in_row": in_row,
        "failing_since": utc_text(since),
        "is_failing": task.enabled and is_failing(period, in_row, failing_s),
        "refused": state.refused if state is not None else 0,
        "next_at": utc_text(sent + timedelta(seconds=period)) if sent is not None and task.enabled else None,
        "late_s": round(late, 1),
        "in_hand": in_hand(
            sent_at=sent,
            started_at=state.started_at if state is not None else None,
            finished_at=finished,
            moment=moment,
            worthless_s=worthless_s(task),
            longest_s=longest_s(),
        )
        if judged.may
        else "",
        "may_run_by_hand": judged.may,
        "by_hand": judged.why,
    }


def schedule_list() -> list[dict[str, Any]]:
    """Every job, by name."""
    states = states_by_name()
    return [schedule_members(task, states.get(task.name)) for task in schedule_queryset()]


def schedule_gauges() -> Iterable[Metric]:
    """Lateness, last duration and failures of each job, whichever process is asked."""
    late = GaugeMetricFamily("schedule_late_seconds", "By how much a periodic job is late.", labels=["job"])
    took = GaugeMetricFamily("schedule_duration_seconds", "How long its last run took.", labels=["job"])
    failed = CounterMetricFamily(
        "schedule_failures_total", "Runs of a periodic job that failed.", labels=["job"]
    )
    in_row = GaugeMetricFamily(
        "schedule_failures_in_row", "Runs that failed since the last one that ended well.", labels=["job"]
    )
    for row in schedule_list():
        failed.add_metric([row["name"]], row["failures"])
        in_row.add_metric([row["name"]], row["failures_in_row"] if row["is_enabled"] else 0)
        late.add_metric([row["name"]], row["late_s"])
        if row["duration_s"] is not None:
            took.add_metric([row["name"]], row["duration_s"])
    yield from (late, took, failed, in_row)


def schedules_state() -> dict[str, Any]:
    """The state of the page."""
    from governance.selectors.shell import shell_state

    rows = schedule_list()
    return {
        **shell_state(),
        "schedules": [{**row, "lamp": _lamp(row)} for row in rows],
        "runs": [run_row(run_members(run)) for run in run_queryset()[:_RUNS]],
        "by_hand": [
            {**{name: row[name] for name in ("id", "name", "by_hand")}, "may": _MAY[row["may_run_by_hand"]]}
            for row in rows
        ],
    }


def run_row(run: dict[str, Any]) -> dict[str, Any]:
    """A run as a table row."""
    return {**run, "lamp": {"tone": _TONES[run["state"]], "text": run["state"]}}


_MAY = {True: {"tone": "good", "text": "yes"}, False: {"tone": "off", "text": "no"}}
_TONES = {"queued": "warn", "running": "warn", "ok": "good", "failed": "bad", "lost": "bad"}


def _lamp(row: dict[str, Any]) -> dict[str, str]:
    if not row["is_enabled"]:
        return {"tone": "warn", "text": "off"}
    if row["late_s"]:
        return {"tone": "bad", "text": "missed"}
    if row["is_failing"]:
        return {"tone": "bad", "text": "failing"}
    if row["result"] == "failed":
        return {"tone": "bad", "text": "failed"}
    if row["in_hand"]:
        return {"tone": "good", "text": row["in_hand"]}
    return {"tone": "good", "text": "on time" if row["last_run_at"] else "not run yet"}
