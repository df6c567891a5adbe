"""Periodic jobs with their last run, its result, the next one, and how late they are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from governance.domain.schedules import is_failing, late_s
from governance.models import ScheduleState
from nautilus_site.common.clock import now
from trading.selectors.notation import utc_text

_SECONDS = {
    IntervalSchedule.DAYS: 86_400.0,
    IntervalSchedule.HOURS: 3_600.0,
    IntervalSchedule.MINUTES: 60.0,
    IntervalSchedule.SECONDS: 1.0,
    IntervalSchedule.MICROSECONDS: 1e-6,
}


def schedule_queryset() -> QuerySet[PeriodicTask]:
    """Periodic tasks that run at an interval: all of ours."""
    rows: QuerySet[PeriodicTask] = PeriodicTask.objects.filter(interval__isnull=False)
    return rows.select_related("interval").order_by("name")


def every_s(task: PeriodicTask) -> float:
    """The period of a task in seconds."""
    return float(task.interval.every) * _SECONDS[task.interval.period]


def states_by_name() -> dict[str, ScheduleState]:
    return {row.name: row for row in ScheduleState.objects.all()}


def schedule_members(task: PeriodicTask, state: ScheduleState | None) -> dict[str, Any]:
    """One job: its period, its last run and the next."""
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

    return {**shell_state(), "schedules": [{**row, "lamp": _lamp(row)} for row in schedule_list()]}


def _lamp(row: dict[str, Any]) -> dict[str, str]:
    if not row["is_enabled"]:
        return {"tone": "warn", "text": "off"}
    if row["late_s"]:
        return {"tone": "bad", "text": "missed"}
    if row["is_failing"]:
        return {"tone": "bad", "text": "failing"}
    if row["result"] == "failed":
        return {"tone": "bad", "text": "failed"}
    return {"tone": "good", "text": "on time" if row["last_run_at"] else "not run yet"}
