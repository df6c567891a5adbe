"""A process that dies is told of by one that lives: the relay of the workers, a worker of the relay."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from governance.domain.processes import CONFIRM, REQUIRED
from governance.models import Incident, NotificationChannel, ScheduleState
from governance.services.playbooks import incidents_consume
from governance.services.processes import silence
from governance.services.processes.incidents import processes_calm, relay_watch
from governance.services.schedules import silence as beat
from nautilus_site.common.clock import now
from nautilus_site.common.models import OutboxEvent
from nautilus_site.common.services import watches
from tests.factories.receivers import HttpReceiver
from trading.models import ProcessHeartbeat
from trading.services.heartbeats import heartbeat

Tell = Callable[..., None]


@pytest.fixture
def platform(db: None, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Every process at work for an hour. Returns the messages the relay sends to workers."""
    sent: list[tuple[str, str]] = []
    monkeypatch.setattr(silence, "send_hint", lambda task, *, queue, **_: sent.append((task, queue)))
    monkeypatch.setattr(beat, "send_hint", lambda task, *, queue, **_: sent.append((task, queue)))
    ScheduleState.objects.create(name="control tick", since=now(), sent_at=now())
    for kind in REQUIRED:
        heartbeat(kind=kind)
    ProcessHeartbeat.objects.update(started_at=now() - timedelta(hours=1))
    incidents_consume()  # from here on events open incidents
    return sent


def silent(kind: str, seconds: float | None = None, *, seen: bool = True) -> None:
    """The last sign is so old; `seen`: that was noted long enough ago."""
    age = timedelta(seconds=seconds) if seconds is not None else REQUIRED[kind].after + timedelta(seconds=1)
    note = {"silence": {"since": (now() - CONFIRM).isoformat()}} if seen else {}
    ProcessHeartbeat.objects.filter(name=kind).update(beat_at=now() - age, detail=note)


def told() -> list[tuple[str, str]]:
    events = OutboxEvent.objects.filter(topic="incidents").order_by("pk")
    return [(event.data["scope"], event.data["severity"]) for event in events]


@pytest.mark.parametrize("kind", [kind for kind in REQUIRED if kind != "relay"])
def test_the_relay_tells_once_of_each_process_that_is_silent(
    kind: str, platform: list[tuple[str, str]]
) -> None:
    assert silence.processes_watch in watches._watches, "the relay calls it"
    watches.watches_run()
    silent(kind, REQUIRED[kind].after.total_seconds() - 2, seen=False)
    watches.watches_run()
    watches.watches_run()
    assert told() == []
    silent(kind, seen=False)
    watches.watches_run()
    watches.watches_run()
    assert told() == [], "a silence is looked at for a while: after an outage all signs are old"
    silent(kind)
    watches.watches_run()
    watches.watches_run()
    assert told() == [(f"process:{kind}", REQUIRED[kind].severity)]


def test_people_hear_of_a_dead_control_worker_and_of_its_return(
    platform: list[tuple[str, str]], hook: NotificationChannel, receiver: HttpReceiver, tell: Tell
) -> None:
    silent("worker-control")
    watches.watches_run()
    tell()
    assert receiver.texts()[0].startswith(
        "[LOCAL] CRITICAL: worker-control has given no sign of life for 21 s\nno playbook acts"
    )
    heartbeat(kind="worker-control")
    ProcessHeartbeat.objects.filter(name="worker-control").update(started_at=now())
    incidents_consume()
    assert processes_calm() == 0, "it may be between two crashes"
    ProcessHeartbeat.objects.filter(name="worker-control").update(started_at=now() - timedelta(seconds=31))
    assert processes_calm() == 1
    tell()
    assert len(receiver.requests) == 2
    assert "no sign of life for 21 s (calm)" in receiver.texts()[1]
    silent("worker-control")
    watches.watches_run()
    tell()
    assert len(receiver.requests) == 3, "a second death is told as well"


def test_a_restart_is_not_told(platform: list[tuple[str, str]]) -> None:
    silent("worker-control", seen=False)
    watches.watches_run()
    heartbeat(kind="worker-control")
    silent("worker-control", seen=False)
    watches.watches_run()
    assert told() == []


def test_while_beat_is_silent_no_worker_is_blamed_for_it(platform: list[tuple[str, str]]) -> None:
    watches.watches_run()
    ScheduleState.objects.update(sent_at=now() - timedelta(seconds=40))
    silent("worker-control", 40)
    silent("watchdog")
    watches.watches_run()
    events = OutboxEvent.objects.filter(topic="incidents").order_by("pk")
    assert [event.data.get("scope") or event.data["kind"] for event in events] == [
        "beat_silent",
        "process:watchdog",
    ]
    ScheduleState.objects.update(sent_at=now())
    watches.watches_run()
    assert len(told_scopes()) == 1, "the first tick after it has not run yet"


def told_scopes() -> list[str]:
    events = OutboxEvent.objects.filter(topic="incidents", data__has_key="scope")
    return [event.data["scope"] for event in events]


def test_a_relay_that_starts_together_with_beat_does_not_miss_it(
    platform: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beat, "_patient_until", {})
    monkeypatch.setattr(beat, "_told", set())
    ScheduleState.objects.update(sent_at=now() - timedelta(hours=8))
    watches.watches_run()
    assert not OutboxEvent.objects.filter(topic="incidents").exists()
    monkeypatch.setattr(beat, "_patient_until", {beat.KIND: time.monotonic() - 1})
    watches.watches_run()
    assert OutboxEvent.objects.get(topic="incidents").data["kind"] == "beat_silent"


def test_when_the_worker_that_sends_is_dead_another_one_is_asked_to(platform: list[tuple[str, str]]) -> None:
    silent("worker-jobs")
    watches.watches_run()
    watches.watches_run()
    assert platform == [("governance.tasks.notifications_tick", "control")] * 2


def test_a_silent_relay_is_told_of_past_it_with_whatever_else_is_silent(
    platform: list[tuple[str, str]], hook: NotificationChannel, receiver: HttpReceiver
) -> None:
    from governance.tasks import notifications_tick

    notifications_tick()
    silent("watchdog")
    assert relay_watch() == 0, "the relay tells of others"
    silent("relay", seen=False)
    assert relay_watch() == 0
    silent("relay")
    notifications_tick()
    notifications_tick()
    assert sorted(Incident.objects.values_list("scope", "state")) == [
        ("process:relay", "open"),
        ("process:watchdog", "open"),
    ]
    assert not OutboxEvent.objects.filter(topic="incidents").exists(), "nobody would number it"
    assert hook.deliveries.filter(kind="incident.process_silent", severity="critical").count() == 2
    watches.watches_run()  # a relay is back
    ProcessHeartbeat.objects.update(started_at=now() - timedelta(hours=1))
    assert processes_calm() == 1
    assert not OutboxEvent.objects.filter(data__state="open").exists(), "told once"


def test_what_has_been_gone_for_a_day_is_no_part_of_the_platform_any_more(
    platform: list[tuple[str, str]],
) -> None:
    silent("exporter", 25 * 3600)
    ProcessHeartbeat.objects.filter(name="feed").delete()
    watches.watches_run()
    assert told() == []
