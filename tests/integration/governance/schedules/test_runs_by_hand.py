"""A job a person has run at once: one that raises no risk, one at a time, seen by everybody as it goes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from rest_framework.test import APIClient

from governance import receivers
from governance.domain.processes import REQUIRED, WORKER_OF
from governance.models import ScheduleRun, ScheduleState
from governance.services.schedules import asking, schedule_claim, schedule_run, schedule_runs_prune
from mlregistry.receivers import SCHEDULES as OF_THE_REGISTRY
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import AuditEntry, User
from tests.integration.governance.schedules.conftest import JOB
from trading.services import schedules
from trading.services.heartbeats import heartbeat

Clients = Callable[..., APIClient]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was sent to the broker, which takes everything."""
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(asking, "send_hint", lambda task, **how: told.append({"task": task, **how}) or True)
    return told


@pytest.fixture
def worker(db: None) -> None:
    heartbeat(kind="worker-jobs")


class Message:
    """What Celery's signals hand over: headers are members of the request."""

    name = JOB

    def __init__(self, headers: dict[str, Any]) -> None:
        self.request = type("Request", (), headers)()


def test_a_run_is_sent_once_and_everybody_sees_how_it_goes(
    job: PeriodicTask,
    worker: None,
    sent: list[dict[str, Any]],
    trader: User,
    risk_officer: User,
    token_client: Clients,
) -> None:
    client, path = token_client(trader), f"/api/v1/schedules/{job.pk}/run"

    def state() -> tuple[str, str]:
        (row,), (run,) = (client.get(f"/api/v1/schedules{end}").json()["results"] for end in ("", "/runs"))
        return row["in_hand"], run["state"]

    answer = client.post(path, {"reason": " the report is wanted "}, format="json")
    assert (answer.status_code, answer.json()["state"], answer.json()["asked_by"]) == (
        202,
        "queued",
        "trader",
    )
    (message,) = sent
    assert (message["task"], message["queue"], message["worthless_after_s"]) == (JOB, "governance", 60)
    assert message["headers"]["periodic_task_name"] == job.name
    assert not schedule_claim(name=job.name, every_s=10, holder="a"), "no beat sends another beside it"
    again = token_client(risk_officer).post(path, {"reason": "r"}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "RUN_IN_HAND")
    assert state() == ("queued", "queued")
    receivers.note_start(task_id="1", task=Message(message["headers"]))
    assert state() == ("running", "running")
    with pytest.raises(Conflict, match="is running already"):
        schedule_run(schedule_id=job.pk, actor=risk_officer, reason="r")
    receivers.note_end(task_id="1", task=Message(message["headers"]), state="FAILURE", retval=ValueError("x"))
    assert state() == ("", "failed")
    run = client.get("/api/v1/schedules/runs").json()["results"][0]
    assert (run["job"], run["reason"], run["error"]) == (
        job.name,
        "the report is wanted",
        "FAILURE: ValueError('x')",
    )
    assert run["duration_s"] is not None
    entry = AuditEntry.objects.get(action="schedule.run_asked")
    assert (entry.target, entry.actor, entry.reason) == (
        f"schedule:{job.name}",
        trader,
        "the report is wanted",
    )
    soon = token_client(risk_officer).post(path, {"reason": "r"}, format="json")
    assert (soon.status_code, soon.json()["code"]) == (429, "TOO_SOON")
    ScheduleRun.objects.update(asked_at=F("asked_at") - timedelta(seconds=61))
    assert token_client(risk_officer).post(path, {"reason": "r"}, format="json").status_code == 202
    assert len(sent) == 2


def test_a_run_of_beats_is_waited_for_as_well(
    job: PeriodicTask, worker: None, sent: list[dict[str, Any]], trader: User
) -> None:
    assert schedule_claim(name=job.name, every_s=10, holder="a")
    with pytest.raises(Conflict, match="is queued already"):
        schedule_run(schedule_id=job.pk, actor=trader, reason="r")
    receivers.note_start(task_id="1", task=Message({"periodic_task_name": job.name}))
    ScheduleState.objects.update(sent_at=now() - timedelta(minutes=5))
    with pytest.raises(Conflict, match="is running already"):
        schedule_run(schedule_id=job.pk, actor=trader, reason="r")
    ScheduleState.objects.update(started_at=now() - timedelta(minutes=4))
    assert schedule_run(schedule_id=job.pk, actor=trader, reason="r").pk, "its worker was killed"
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"task": "governance.tasks.capital_tick"}, "NOT_BY_HAND"),
        ({"task": "somebody.elses"}, "NOT_BY_HAND"),
        ({"enabled": False}, "SCHEDULE_OFF"),
        ({"queue": "trading"}, "WORKER_SILENT"),
        ({"interval": None}, "UNKNOWN_SCHEDULE"),
    ],
)
def test_what_must_not_or_cannot_run_is_refused(
    job: PeriodicTask,
    worker: None,
    sent: list[dict[str, Any]],
    trader: User,
    change: dict[str, Any],
    code: str,
) -> None:
    PeriodicTask.objects.update(**change)
    with pytest.raises(ApplicationError) as refused:
        schedule_run(schedule_id=job.pk, actor=trader, reason="r")
    assert (refused.value.code, sent, ScheduleRun.objects.count()) == (code, [], 0)


def test_a_broker_that_takes_nothing_leaves_the_job_to_the_beats(
    job: PeriodicTask, worker: None, trader: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "send_hint", lambda *_, **__: False)
    for _ in range(2):
        with pytest.raises(ApplicationError) as refused:
            schedule_run(schedule_id=job.pk, actor=trader, reason="r")
        assert (refused.value.code, refused.value.status) == ("NOT_SENT", 503)
    assert schedule_claim(name=job.name, every_s=10, holder="a")
    assert {run.error for run in ScheduleRun.objects.all()} == {"the broker did not take the message"}


def test_a_run_nobody_takes_up_is_lost_and_old_ones_are_forgotten(
    job: PeriodicTask, worker: None, sent: list[dict[str, Any]], trader: User, token_client: Clients
) -> None:
    schedule_run(schedule_id=job.pk, actor=trader, reason="r")
    ScheduleRun.objects.update(worthless_at=now())
    assert token_client(trader).get("/api/v1/schedules/runs").json()["results"][0]["state"] == "lost"
    assert schedule_runs_prune() == 0
    ScheduleRun.objects.update(asked_at=now() - timedelta(days=91))
    assert schedule_runs_prune() == 1


@pytest.mark.django_db(transaction=True)
def test_of_beats_and_people_at_one_moment_one_sends(
    sent: list[dict[str, Any]], worker: None, trader: User
) -> None:
    interval, _ = IntervalSchedule.objects.get_or_create(every=10, period=IntervalSchedule.SECONDS)
    job = PeriodicTask.objects.create(name="test job", task=JOB, queue="governance", interval=interval)
    gate, claims = threading.Barrier(4), []

    def person() -> None:
        gate.wait(10)
        try:
            schedule_run(schedule_id=job.pk, actor=trader, reason="r")
        except Conflict:
            pass
        finally:
            connection.close()

    def beat() -> None:
        gate.wait(10)
        claims.append(schedule_claim(name=job.name, every_s=10, holder="beat"))
        connection.close()

    threads = [threading.Thread(target=target) for target in (person, beat, person, beat)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(sent) + sum(claims) == 1


def test_of_every_job_it_is_known_whether_people_may_run_it() -> None:
    jobs = {task for _, task, *_ in (*schedules.SCHEDULES, *receivers.SCHEDULES, *OF_THE_REGISTRY)}
    assert set(schedules._by_hand) == jobs, "a new job needs a line in BY_HAND, with the reason"
    queues = {queue for _, _, queue, *_ in (*schedules.SCHEDULES, *receivers.SCHEDULES, *OF_THE_REGISTRY)}
    assert queues == set(WORKER_OF), "and a worker for its queue, or nobody can tell that it is silent"
    assert set(WORKER_OF.values()) <= set(REQUIRED)
    assert {task.rpartition(".")[2] for task in jobs if schedules.by_hand(task).may} == {
        *("housekeeping", "research_tick", "instruments_sync_task", "funding_follow_task"),
        *("bars_prune_task", "compliance_tick", "prune_tick", "truth_tick"),
    }
