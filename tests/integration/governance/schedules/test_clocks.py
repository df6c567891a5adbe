"""A clock that is put back holds up no job, and hides no beat that stands still."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from celery import current_app
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from governance.daemons.beat import ClaimingScheduler
from governance.models import Incident, ScheduleState
from governance.services.schedules import schedule_change, schedule_claim, schedule_finished
from governance.services.schedules.lateness import schedules_watch
from governance.services.schedules.silence import beat_silent_s
from nautilus_site.common.clock import now

HOUR = timedelta(hours=1)


@pytest.fixture
def jobs(db: None) -> list[PeriodicTask]:
    """Three jobs, every ten seconds and every minute."""
    PeriodicTask.objects.all().delete()
    made = []
    for name, every in (("one", 10), ("two", 10), ("three", 60)):
        interval, _ = IntervalSchedule.objects.get_or_create(every=every, period=IntervalSchedule.SECONDS)
        made.append(
            PeriodicTask.objects.create(
                name=name, task="governance.tasks.compliance_tick", queue="governance", interval=interval
            )
        )
    return made


def test_a_job_sent_in_what_is_now_the_future_is_sent_again(jobs: list[PeriodicTask]) -> None:
    assert schedule_claim(name="one", every_s=10, holder="a")
    ScheduleState.objects.update(sent_at=now() + timedelta(seconds=2))
    assert not schedule_claim(name="one", every_s=10, holder="b"), "clocks of two hosts differ by so much"
    ScheduleState.objects.update(sent_at=now() + HOUR)
    assert schedule_claim(name="one", every_s=10, holder="b")
    assert not schedule_claim(name="one", every_s=10, holder="a")


@pytest.mark.django_db(transaction=True)
def test_beat_goes_on_at_once_when_the_clock_was_put_back(
    jobs: list[PeriodicTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(
        "django_celery_beat.schedulers.DatabaseScheduler.apply_async",
        lambda self, entry, **_: sent.append(entry.name),
    )
    PeriodicTask.objects.update(last_run_at=now() + HOUR)
    PeriodicTasks.objects.update(last_update=now() + HOUR)  # the table was changed a moment before
    ScheduleState.objects.bulk_create(
        [ScheduleState(name=job.name, since=now() - HOUR, sent_at=now() + HOUR) for job in jobs]
    )
    scheduler = ClaimingScheduler(app=current_app, lazy=True)
    scheduler._finalize.cancel()  # it would write at exit, to a database that is gone
    waits = [scheduler.tick() for _ in range(8)]
    assert sorted(sent) == ["one", "three", "two"], waits
    # As after a step in the middle of the run: what the heap holds is of the clock of before.
    sent.clear()
    for event in scheduler._heap or ():
        event[2].last_run_at = now() + HOUR
    scheduler._heap = [event._replace(time=event.time + 3600) for event in scheduler._heap or ()]
    ScheduleState.objects.update(sent_at=now() + HOUR)
    for _ in range(8):
        scheduler.tick()
    assert sorted(sent) == ["one", "three", "two"]
    # The first change by the clock of now is noted earlier than the last one by the clock of before.
    jobs[1].enabled = False
    jobs[1].save()
    scheduler.tick()
    assert set(scheduler.schedule) == {"one", "three"}
    # And what a change does not tell is read every five minutes from now, not from when the clock has caught up.
    assert scheduler._last_full_sync is not None
    scheduler._last_full_sync += HOUR
    scheduler.tick()
    assert scheduler._last_full_sync < datetime.now() + timedelta(minutes=1)  # noqa: DTZ005


def test_a_beat_that_stands_still_is_missed_though_all_it_sent_lies_in_the_future(
    jobs: list[PeriodicTask],
) -> None:
    assert beat_silent_s() is None, "nothing was ever sent"
    ScheduleState.objects.create(name="one", since=now(), sent_at=now() + HOUR)
    assert beat_silent_s() is not None
    ScheduleState.objects.create(name="two", since=now(), sent_at=now() + timedelta(seconds=1))
    assert beat_silent_s() is None


def test_a_job_that_ended_in_the_future_is_late_three_periods_from_now(jobs: list[PeriodicTask]) -> None:
    schedule_finished(name="one", took_s=0.1)
    ScheduleState.objects.update(finished_at=now() + HOUR, since=now() + HOUR)
    assert schedules_watch() == 0
    row = ScheduleState.objects.get(name="one")
    assert row.finished_at is not None
    assert row.finished_at <= now()
    ScheduleState.objects.filter(name="one").update(
        finished_at=now() - timedelta(seconds=95), since=now() - HOUR
    )
    assert schedules_watch() == 1


def test_a_job_whose_schedule_was_changed_is_late_by_the_new_one_from_then_on(
    jobs: list[PeriodicTask], risk_officer: Any
) -> None:
    three = jobs[2]
    schedule_finished(name="three", took_s=0.1)
    ScheduleState.objects.update(finished_at=now() - timedelta(seconds=200), since=now() - HOUR)
    assert schedules_watch() == 0
    schedule_change(schedule_id=three.pk, values={"every_s": 10}, actor=risk_officer, reason="faster")
    assert schedules_watch() == 0, "200 s are late for every ten, but not since a moment ago"
    assert not Incident.objects.filter(kind="missed_run").exists()
    PeriodicTask.objects.filter(pk=three.pk).update(enabled=False)
    ScheduleState.objects.filter(name="three").update(
        finished_at=now() - timedelta(days=2), since=now() - timedelta(days=3)
    )
    schedule_change(schedule_id=three.pk, values={"is_enabled": True}, actor=risk_officer, reason="on again")
    assert schedules_watch() == 0
    ScheduleState.objects.filter(name="three").update(since=now() - timedelta(seconds=95))
    assert schedules_watch() == 1
