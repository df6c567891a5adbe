"""A job that only fails is told of, whoever is left to tell."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from governance.models import Incident, ScheduleState
from governance.services.schedules import (
    schedule_finished,
)
from governance.services.schedules.lateness import schedules_watch
from nautilus_site.common.clock import now

JOB = "governance.tasks.compliance_tick"


def fails(job: PeriodicTask, times: int = 1) -> None:
    for _ in range(times):
        schedule_finished(name=job.name, took_s=0.1, error="FAILURE: ValueError('boom')")


def test_a_job_that_fails_every_time_is_an_incident_until_it_ends_well(job: PeriodicTask) -> None:
    """It is never late: each run that failed has ended, too."""
    fails(job, 2)
    ScheduleState.objects.update(failing_since=now() - timedelta(seconds=61))
    assert schedules_watch() == 0
    fails(job)
    assert schedules_watch() == 1
    assert schedules_watch() == 1
    incident = Incident.objects.get()
    assert (incident.kind, incident.scope, incident.state) == ("failing_job", "job:test job", "open")
    assert "failed 3 times in a row: FAILURE: ValueError('boom')" in incident.title
    assert incident.entries.count() == 1, "told once"
    schedule_finished(name=job.name, took_s=0.1)
    assert schedules_watch() == 0
    incident.refresh_from_db()
    assert incident.state == "calm"
    row = ScheduleState.objects.get()
    assert (row.failures, row.failures_in_row, row.failing_since) == (3, 0, None)
    fails(job)
    row.refresh_from_db()
    assert (row.failures, row.failures_in_row, row.failing_since is None) == (4, 1, False)


def test_a_daily_job_is_told_of_at_its_first_failure_and_no_longer_once_it_is_off(job: PeriodicTask) -> None:
    job.interval, _ = IntervalSchedule.objects.get_or_create(every=1, period=IntervalSchedule.DAYS)
    job.save()
    fails(job)
    assert schedules_watch() == 1
    PeriodicTask.objects.update(enabled=False)
    assert schedules_watch() == 0
    assert Incident.objects.get().state == "calm"


def test_failures_are_counted_for_dashboards_and_seen_on_the_page(
    job: PeriodicTask, client: Any, viewer: Any, token_client: Any
) -> None:
    from governance.selectors.schedules import schedule_gauges

    fails(job, 4)
    ScheduleState.objects.update(failing_since=now() - timedelta(seconds=61))
    samples = {s.name: s.value for metric in schedule_gauges() for s in metric.samples}
    assert (samples["schedule_failures_total"], samples["schedule_failures_in_row"]) == (4, 4)
    (row,) = token_client(viewer).get("/api/v1/schedules").json()["results"]
    assert (row["failures_in_row"], row["is_failing"]) == (4, True)
    client.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")
    (row,) = client.get("/state/schedules/").json()["schedules"]
    assert (row["lamp"], row["error"]) == (
        {"tone": "bad", "text": "failing"},
        "FAILURE: ValueError('boom')",
    )


def test_a_guardian_that_fails_is_told_by_the_relay_and_becomes_the_same_incident(
    job: PeriodicTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from governance.services.playbooks.incidents import incidents_consume
    from governance.services.schedules import silence
    from nautilus_site.common.models import OutboxEvent
    from nautilus_site.common.services import watches

    assert silence.guardian_watch in watches._watches, "the relay calls it"
    monkeypatch.setattr(silence, "send_hint", lambda *_, **__: None)
    PeriodicTask.objects.update(task="governance.tasks.guardian_tick")
    incidents_consume()
    for _ in range(2):
        fails(job, 3)
        ScheduleState.objects.update(failing_since=now() - timedelta(seconds=61))
        watches.watches_run()
        watches.watches_run()
        schedule_finished(name=job.name, took_s=0.1)
        watches.watches_run()
    told = OutboxEvent.objects.filter(topic="incidents")
    assert [event.data["title"] for event in told] == ["the job test job failed 3 times in a row"] * 2
    told.update(event_id=F("id") + 1_000_000)
    incidents_consume()
    incident = Incident.objects.get()
    assert (incident.kind, incident.scope) == ("failing_job", "job:test job")
