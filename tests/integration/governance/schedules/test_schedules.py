"""Periodic jobs: sent once however many beats there are, written down by workers, told when late, changed by two."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from governance import receivers
from governance.models import Incident, ScheduleState
from governance.services.schedules import (
    schedule_change,
    schedule_claim,
    schedule_finished,
)
from governance.services.schedules.lateness import schedules_unready, schedules_watch
from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, ChangeRequest
from nautilus_site.common.services.change_requests import change_request_approve

JOB = "governance.tasks.compliance_tick"


def silent_for(job: PeriodicTask, seconds: float) -> None:
    schedule_finished(name=job.name, took_s=0.1)
    ScheduleState.objects.update(
        finished_at=now() - timedelta(seconds=seconds), since=now() - timedelta(days=1)
    )


@pytest.mark.django_db(transaction=True)
def test_of_many_beats_at_one_moment_one_sends() -> None:
    gate, won = threading.Barrier(8), []

    def beat(number: int) -> None:
        try:
            gate.wait(10)
            for _ in range(5):
                if schedule_claim(name="the job", every_s=60, holder=f"beat {number}"):
                    won.append(number)
        finally:
            connection.close()

    threads = [threading.Thread(target=beat, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(won) == 1
    row = ScheduleState.objects.get(name="the job")
    assert (row.sent_by, row.refused) == (f"beat {won[0]}", 39)


def test_a_job_is_sent_again_once_nine_tenths_of_its_period_are_over(job: PeriodicTask) -> None:
    assert schedule_claim(name=job.name, every_s=10, holder="a")
    assert not schedule_claim(name=job.name, every_s=10, holder="b")
    ScheduleState.objects.update(sent_at=now() - timedelta(seconds=8.9))
    assert not schedule_claim(name=job.name, every_s=10, holder="b")
    ScheduleState.objects.update(sent_at=now() - timedelta(seconds=9.1))
    assert schedule_claim(name=job.name, every_s=10, holder="b")
    assert ScheduleState.objects.get().sent_by == "b"


@pytest.mark.django_db(transaction=True)
def test_two_real_beats_send_a_job_as_often_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two schedulers as beat runs them, against the same tables, for some seconds."""
    from celery import current_app

    from governance.daemons.beat import ClaimingScheduler

    PeriodicTask.objects.all().delete()
    interval, _ = IntervalSchedule.objects.get_or_create(every=1, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.create(name="each second", task=JOB, queue="governance", interval=interval)
    sent: list[float] = []

    class Sent:
        id = "message"

    from governance.tasks import compliance_tick

    task = compliance_tick._get_current_object()
    monkeypatch.setattr(
        type(task), "apply_async", lambda self, *args, **kwargs: sent.append(time.monotonic()) or Sent()
    )
    until = time.monotonic() + 6.0

    def beat() -> None:
        try:
            scheduler = ClaimingScheduler(app=current_app, lazy=True)
            scheduler.setup_schedule()
            while time.monotonic() < until:
                time.sleep(min(max(scheduler.tick(), 0.01), 0.2))
            scheduler._finalize.cancel()  # its last words belong to the end of a beat, not to that of the tests
        finally:
            connection.close()

    threads = [threading.Thread(target=beat) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    gaps = [later - earlier for earlier, later in pairwise(sent)]
    assert 4 <= len(sent) <= 7, sent
    assert min(gaps) > 0.8, gaps
    assert ScheduleState.objects.get(name="each second").refused > 0


def test_without_the_database_nothing_is_sent(job: PeriodicTask, monkeypatch: pytest.MonkeyPatch) -> None:
    from celery import current_app
    from django.db import OperationalError

    from governance.daemons import beat

    def gone(**_: Any) -> bool:
        raise OperationalError

    monkeypatch.setattr(beat, "schedule_claim", gone)
    monkeypatch.setattr(beat, "close_old_connections", lambda: None)
    scheduler = beat.ClaimingScheduler(app=current_app, lazy=True)
    scheduler._finalize.cancel()
    assert scheduler.apply_async(scheduler.Entry(job, app=current_app)) is None


class Task:
    """What Celery's signals hand over."""

    def __init__(self, name: str | None) -> None:
        self.request = type("Request", (), {"periodic_task_name": name} if name else {})()


@pytest.mark.parametrize(
    ("state", "result", "error"),
    [("SUCCESS", "ok", ""), ("FAILURE", "failed", "FAILURE: ZeroDivisionError()")],
)
def test_a_worker_writes_down_how_a_run_ended(job: PeriodicTask, state: str, result: str, error: str) -> None:
    receivers.note_start(task_id="1")
    time.sleep(0.02)
    receivers.note_end(task_id="1", task=Task(job.name), state=state, retval=ZeroDivisionError())
    row = ScheduleState.objects.get(name=job.name)
    assert (row.result, row.error, row.runs, row.failures) == (result, error, 1, int(bool(error)))
    assert row.duration_s is not None
    assert 0.02 <= row.duration_s < 5


def test_a_task_that_is_no_periodic_one_leaves_no_trace(job: PeriodicTask) -> None:
    receivers.note_start(task_id="1")
    receivers.note_end(task_id="1", task=Task(None), state="SUCCESS")
    assert ScheduleState.objects.count() == 0


def test_a_missed_run_is_an_incident_until_it_runs_again(job: PeriodicTask) -> None:
    silent_for(job, 89)
    assert schedules_watch() == 0
    silent_for(job, 91)
    assert schedules_watch() == 1
    assert schedules_watch() == 1
    incident = Incident.objects.get()
    assert (incident.kind, incident.scope, incident.state) == ("missed_run", "job:test job", "open")
    assert incident.entries.count() == 1, "told once"
    schedule_finished(name=job.name, took_s=0.1)
    assert schedules_watch() == 0
    incident.refresh_from_db()
    assert incident.state == "calm"


def test_the_incident_of_a_silent_beat_is_over_once_jobs_are_sent_again(job: PeriodicTask) -> None:
    incident = Incident.objects.create(
        kind="beat_silent", scope="global", severity="critical", title="no beat is at work", opened_at=now()
    )
    schedule_claim(name=job.name, every_s=10, holder="a")
    for ago, state in ((40, "open"), (0, "calm")):
        ScheduleState.objects.update(sent_at=now() - timedelta(seconds=ago))
        schedules_watch()
        incident.refresh_from_db()
        assert incident.state == state


def test_a_job_nobody_has_watched_yet_is_late_only_after_it_was_watched_for_a_while(
    job: PeriodicTask,
) -> None:
    PeriodicTask.objects.update(date_changed=now() - timedelta(days=30))
    assert schedules_watch() == 0, "an upgrade begins without alarms"
    ScheduleState.objects.update(since=now() - timedelta(seconds=91))
    assert schedules_watch() == 1


def test_a_job_that_is_off_is_not_late(job: PeriodicTask) -> None:
    silent_for(job, 4000)
    PeriodicTask.objects.update(enabled=False)
    assert schedules_watch() == 0


def test_readiness_says_so_when_no_tick_can(job: PeriodicTask, client: Any) -> None:
    from django.core.cache import cache

    assert schedules_unready() is None, "nothing was ever sent: the platform is starting"
    schedule_claim(name=job.name, every_s=10, holder="a")
    assert schedules_unready() is None
    ScheduleState.objects.update(sent_at=now() - timedelta(seconds=31))
    cache.clear()
    answer = client.get("/readyz").json()
    assert answer["checks"]["schedules"].endswith(" s: no beat is at work")
    assert "schedules" in answer["failing"]


def test_a_silent_beat_is_told_by_the_relay_once_and_workers_are_sent_to_tell_it_on(
    job: PeriodicTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from governance.services.schedules import silence
    from nautilus_site.common.models import OutboxEvent
    from nautilus_site.common.services import watches

    assert silence.beat_watch in watches._watches, "the relay calls it"
    sent: list[tuple[str, str]] = []
    monkeypatch.setattr(silence, "send_hint", lambda task, *, queue, **_: sent.append((task, queue)))
    watches.watches_run()
    schedule_claim(name=job.name, every_s=10, holder="a")
    watches.watches_run()
    assert sent == []
    ScheduleState.objects.update(sent_at=now() - timedelta(seconds=31))
    watches.watches_run()
    watches.watches_run()
    ticks = [
        ("governance.tasks.guardian_tick", "control"),
        ("governance.tasks.notifications_tick", "governance"),
    ]
    assert sent == ticks * 2, "again and again, for as long as nobody else does"
    event = OutboxEvent.objects.get(topic="incidents")
    assert (event.data["kind"], event.data["severity"]) == ("beat_silent", "critical")
    ScheduleState.objects.update(sent_at=now())
    watches.watches_run()
    ScheduleState.objects.update(sent_at=now() - timedelta(seconds=40))
    watches.watches_run()
    assert OutboxEvent.objects.filter(topic="incidents").count() == 2, "each silence is told"


def test_a_tick_the_relay_asks_for_exists_on_the_queue_it_names() -> None:
    from governance import tasks
    from governance.receivers import SCHEDULES
    from governance.services.schedules import silence

    queues = {task: queue for _, task, queue, *_ in SCHEDULES}
    for task, queue in silence._TICKS:
        assert getattr(tasks, task.rpartition(".")[2]).name == task
        assert queues[task] == queue


@pytest.mark.parametrize("values", [{"crontab": "61 * * * *"}, {"crontab": "* * * * *"}, {"interval": 3}])
def test_a_crontab_is_no_schedule_here_broken_or_not(
    job: PeriodicTask, trader: Any, token_client: Any, values: dict[str, Any]
) -> None:
    """A job has a period and nothing else, so that every lateness can be reckoned."""
    answer = token_client(trader).put(f"/api/v1/schedules/{job.pk}", {**values, "reason": "r"})
    assert answer.status_code == 400
    job.refresh_from_db()
    assert (job.interval.every, job.crontab) == (10, None)


def test_more_often_applies_at_once_and_less_often_takes_two(
    job: PeriodicTask, trader: Any, risk_officer: Any, token_client: Any
) -> None:
    api = token_client(trader)
    path = f"/api/v1/schedules/{job.pk}"
    assert api.put(path, {"every_s": 5, "reason": "r"}).json()["every_s"] == 5
    job.refresh_from_db()
    assert (job.interval.every, job.expire_seconds) == (5, 10)
    for values in ({"every_s": 60}, {"is_enabled": False}):
        answer = api.put(path, {**values, "reason": "r"})
        assert answer.status_code == 202
        before = job.interval.every, job.enabled
        job.refresh_from_db()
        assert (job.interval.every, job.enabled) == before
        change_request_approve(request_id=answer.json()["id"], approver=risk_officer)
        job.refresh_from_db()
    job.refresh_from_db()
    assert (job.interval.every, job.enabled) == (60, False)
    assert api.put(path, {"is_enabled": True, "reason": "r"}).status_code == 200
    assert AuditEntry.objects.filter(action="schedule.changed", target="schedule:test job").count() == 4
    # So often that a worker does nothing else: what waits behind it would run less often.
    schedule_finished(name="test job", took_s=4)
    answers = [api.put(path, {"every_s": every_s, "reason": "r"}).status_code for every_s in (7, 8)]
    assert answers == [202, 200]


@pytest.mark.parametrize(
    "values",
    [{"every_s": 0}, {"every_s": 86_401}, {"every_s": True}, {"is_enabled": 1}, {"task": "os.system"}],
)
def test_a_bad_schedule_is_refused(
    job: PeriodicTask, trader: Any, token_client: Any, values: dict[str, Any]
) -> None:
    answer = token_client(trader).put(f"/api/v1/schedules/{job.pk}", {**values, "reason": "r"})
    assert answer.status_code == 400
    job.refresh_from_db()
    assert job.interval.every == 10


def test_a_request_is_void_once_the_schedule_has_changed(
    job: PeriodicTask, trader: Any, risk_officer: Any
) -> None:
    from nautilus_site.common.errors import Conflict

    asked = schedule_change(schedule_id=job.pk, values={"every_s": 60}, actor=trader, reason="r")
    assert isinstance(asked, ChangeRequest)
    assert asked.effect == {"job": "test job", "runs_a_day_now": 8640, "runs_a_day_then": 1440}
    schedule_change(schedule_id=job.pk, values={"every_s": 5}, actor=trader, reason="r")
    with pytest.raises(Conflict, match="changed after"):
        change_request_approve(request_id=asked.pk, approver=risk_officer)


def test_the_admin_switches_no_job_off_by_itself(job: PeriodicTask, client: Any, risk_officer: Any) -> None:
    client.force_login(risk_officer, backend="django.contrib.auth.backends.ModelBackend")
    client.post(f"/admin/django_celery_beat/periodictask/{job.pk}/change/", {"reason": "quiet"})
    job.refresh_from_db()
    assert job.enabled
    assert ChangeRequest.objects.filter(kind="schedule.change", state="pending").count() == 1
    assert client.get("/admin/django_celery_beat/intervalschedule/").status_code == 404


def test_the_page_and_the_api_show_the_last_run_and_the_next(
    job: PeriodicTask, client: Any, viewer: Any, token_client: Any
) -> None:
    schedule_claim(name=job.name, every_s=10, holder="host:1")
    schedule_finished(name=job.name, took_s=0.25)
    (row,) = token_client(viewer).get("/api/v1/schedules").json()["results"]
    assert (row["result"], row["duration_s"], row["runs"], row["sent_by"]) == ("ok", 0.25, 1, "host:1")
    assert row["next_at"] > row["last_sent_at"]
    client.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")
    assert "test job" in client.get("/schedules/").content.decode()
    assert client.get("/state/schedules/").json()["schedules"][0]["lamp"]["text"] == "on time"
    assert (
        token_client(viewer).put(f"/api/v1/schedules/{job.pk}", {"every_s": 1, "reason": "r"}).status_code
        == 403
    )
