"""What happens when much is due, or when a receiver takes some messages and not others: nothing is lost or held up."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from governance.domain.notices import LONGEST_DEDUPE_S
from governance.models import NotificationChannel, NotificationDelivery, NotificationRoute
from governance.services.notifications import (
    deliveries_collect,
    deliveries_start,
    notice_raise,
    route_set,
    sending,
)
from governance.tasks import notifications_tick
from nautilus_site.common.clock import now
from nautilus_site.common.services.outbox import publish
from tests.factories.notifications import queue, waits_over
from tests.factories.receivers import HttpReceiver

Tell = Callable[..., None]
Refuse = Callable[[Collection[str]], list[list[str]]]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """A receiver that takes every message but those that end with a word; returns the titles, by child."""

    def replace(words: Collection[str]) -> list[list[str]]:
        children: list[list[str]] = []

        def start(task: Any, *, answers: Path, root: Path) -> None:
            titles = [message["title"] for message in task["messages"]]
            children.append(titles)
            answers.parent.mkdir(parents=True, exist_ok=True)
            answers.write_text(
                "".join(
                    json.dumps(
                        {
                            "n": n,
                            "ok": not title.endswith(tuple(words)),
                            "at": now().isoformat(),
                            "error": "" if not title.endswith(tuple(words)) else "refused",
                        }
                    )
                    + "\n"
                    for n, title in enumerate(titles)
                )
            )

        monkeypatch.setattr(sending, "child_start", start)
        return children

    return replace


def test_what_counts_as_sent_was_said_however_much_was_due(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell
) -> None:
    for number in range(60):
        title = f"account:{number} is at CANCEL: every working order of it is cancelled, number {number}."
        queue(hook, title, kind="kill.cancel", severity="critical")
    for number in range(60):
        queue(hook, f"breaker spread of symbol:NUMBER{number} opened, which is a warning, number w{number}.")
    tell()
    assert set(NotificationDelivery.objects.values_list("state", flat=True)) == {"sent"}
    said = "\n".join(receiver.texts())
    assert [n for n in range(60) if f"number {n}." not in said or f"number w{n}." not in said] == []
    assert len(receiver.requests) <= 5
    assert receiver.requests[0].body["type"] == "failure"


def test_what_is_critical_goes_before_any_number_of_warnings(
    hook: NotificationChannel, refuse: Refuse
) -> None:
    children = refuse(["nothing"])
    for number in range(sending.MOST_DELIVERIES + 50):
        queue(hook, f"warning {number}")
    queue(hook, "test", kind="test", severity="info")
    queue(hook, "kill", severity="critical")
    deliveries_start()
    assert children[0][0].endswith("CRITICAL: kill")
    assert children[0][1].endswith("INFO: test")


def test_a_message_that_is_refused_holds_up_only_itself(hook: NotificationChannel, refuse: Refuse) -> None:
    children = refuse(["poison"])
    poison = queue(hook, "poison")
    for number in range(3):
        queue(hook, f"good {number}")
    waits = []
    for number in range(8):
        queue(hook, f"new {number}")
        deliveries_start()
        deliveries_collect()
        hook.refresh_from_db()
        poison.refresh_from_db()
        assert (hook.failures, hook.retry_at, hook.last_error) == (0, None, "refused")
        assert poison.retry_at is not None
        waits.append((poison.retry_at - now()).total_seconds())
        NotificationDelivery.objects.filter(pk=poison.pk).update(retry_at=None)
        deliveries_start()  # alone, and refused again
        deliveries_collect()
        hook.refresh_from_db()
        assert hook.retry_at is None, "what comes next does not wait for it"
        NotificationDelivery.objects.filter(pk=poison.pk).update(retry_at=None)
    assert waits[0] < waits[1] < waits[2]
    assert waits[-1] > 1500
    assert set(NotificationDelivery.objects.exclude(pk=poison.pk).values_list("state", flat=True)) == {"sent"}
    assert len(children) == 16


def test_a_refused_message_rests_while_others_go(hook: NotificationChannel, refuse: Refuse) -> None:
    children = refuse(["poison"])
    queue(hook, "poison")
    queue(hook, "good")
    for _ in range(3):
        deliveries_start()
        deliveries_collect()
    assert len(children) == 1
    queue(hook, "new")
    deliveries_start()
    assert [title[-3:] for title in children[1]] == ["new"]


def test_when_a_receiver_is_back_what_failed_meanwhile_goes_at_once(
    hook: NotificationChannel, refuse: Refuse
) -> None:
    children = refuse(["old", "new"])
    old = queue(hook, "old")
    for _ in range(7):
        waits_over()
        deliveries_start()
        deliveries_collect()
    hook.refresh_from_db()
    old.refresh_from_db()
    assert hook.failures == 7
    assert hook.retry_at is not None
    assert old.retry_at is not None
    assert hook.retry_at <= now() + timedelta(seconds=300), "a new message waits no longer"
    assert old.retry_at > now() + timedelta(seconds=1500)
    refuse(["nothing"])
    queue(hook, "new")
    NotificationChannel.objects.update(retry_at=now())
    for _ in range(2):
        deliveries_start()
        deliveries_collect()
    assert set(NotificationDelivery.objects.values_list("state", flat=True)) == {"sent"}
    assert len(children) == 7


def test_what_was_held_back_for_a_day_is_tried_for_a_day(hook: NotificationChannel, refuse: Refuse) -> None:
    refuse(["held"])
    held = queue(hook, "held", created_at=now() - timedelta(hours=24, seconds=3), is_digest=True)
    deliveries_start()
    deliveries_collect()
    held.refresh_from_db()
    assert (held.state, held.attempts) == ("waiting", 1)
    NotificationDelivery.objects.update(due_at=now() - timedelta(hours=24, seconds=3), retry_at=None)
    waits_over()
    deliveries_start()
    deliveries_collect()
    held.refresh_from_db()
    assert held.state == "failed"


def test_the_same_news_is_counted_for_as_long_as_a_route_may_say(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell, risk_officer: Any
) -> None:
    NotificationRoute.objects.filter(kind="*").update(dedupe_s=LONGEST_DEDUPE_S)
    breaker = {"name": "spread", "scope": "global", "state": "open", "reason": "r"}
    publish("breakers", breaker)
    tell()
    NotificationDelivery.objects.update(created_at=now() - timedelta(seconds=LONGEST_DEDUPE_S - 60))
    publish("breakers", breaker)
    tell()
    assert NotificationDelivery.objects.get().repeats == 1
    with pytest.raises(Exception, match="dedupe_s"):
        route_set(
            channel="hook",
            kind="*",
            values={"dedupe_s": LONGEST_DEDUPE_S + 1},
            actor=risk_officer,
            reason="r",
        )


def test_an_event_that_cannot_be_read_is_told_as_that_and_stops_none_behind_it(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell
) -> None:
    publish("trading_state", {"scope": "global", "level_name": ["CANCEL"]})
    publish("approvals", {"kind": "password", "target": "desk", "by": [1, 2]})
    publish("breakers", {"name": "spread", "scope": "global", "state": "open", "reason": "r"})
    tell()
    told = receiver.texts()
    assert told[0].startswith("[LOCAL] CRITICAL: an event of trading_state cannot be read")
    assert told[1].startswith("[LOCAL] CRITICAL: an event of approvals cannot be read")
    assert told[2].startswith("[LOCAL] WARNING: breaker spread")
    rows = NotificationDelivery.objects.filter(kind="notifications.unreadable").order_by("event_id")
    assert [row.text.split(":")[0] for row in rows] == [f"event {row.event_id}" for row in rows]


def test_what_is_queued_goes_out_though_events_cannot_be_read_at_all(
    hook: NotificationChannel, receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch, refuse: Refuse
) -> None:
    from governance import tasks
    from governance.domain.notices import Notice, Severity

    def broken() -> int:
        raise RuntimeError("no events today")

    children = refuse(["nothing"])
    monkeypatch.setattr(tasks, "events_consume", broken)
    notice_raise(Notice("cli.note", Severity.warning, "by hand", "", "", "cli"))
    with pytest.raises(RuntimeError):
        notifications_tick()
    assert len(children) == 1
