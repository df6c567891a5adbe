"""Who sends may die at any moment: each message arrives at least once, and one that came twice has the same name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from governance.adapters import notify
from governance.models import NotificationChannel, NotificationDelivery
from nautilus_site.common.clock import now
from nautilus_site.common.services.outbox import publish
from tests.factories.notifications import waits_over
from tests.factories.receivers import HttpReceiver, header_of, smtp_receiver

Tell = Callable[..., None]
KILL = {"scope": "global", "level": 3, "level_name": "CANCEL", "reason": "drill", "changed_by": "risk"}


def breakers(count: int) -> None:
    for number in range(count):
        publish("breakers", {"name": f"b{number}", "scope": "global", "state": "open", "reason": "r"})


def time_is_over(channel: NotificationChannel) -> None:
    """The claim of a child that says nothing has run out, and the pause after its failure."""
    NotificationChannel.objects.filter(pk=channel.pk).update(
        claimed_until=now() - timedelta(seconds=1), retry_at=None
    )
    NotificationDelivery.objects.update(retry_at=None)


def arrived(receiver: HttpReceiver, count: int) -> None:
    deadline = time.monotonic() + 20
    while len(receiver.requests) < count:
        assert time.monotonic() < deadline, receiver.requests
        time.sleep(0.02)


def kill_the_child() -> None:
    child = notify._children[-1]
    os.kill(child.pid, signal.SIGKILL)
    child.wait(10)


def test_a_child_killed_between_messages_loses_none_and_repeats_only_what_was_under_way(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell
) -> None:
    breakers(3)
    receiver.pause_s = 0.7
    tell(rounds=1)
    arrived(receiver, 2)  # the first was answered; the second has been heard and not answered yet
    kill_the_child()
    receiver.pause_s = 0.0
    time_is_over(hook)
    tell(rounds=1)  # what the child had said counts; the rest waits again
    assert sorted(NotificationDelivery.objects.values_list("state", flat=True)) == [
        "sent",
        "waiting",
        "waiting",
    ]
    waits_over()
    tell()
    assert set(NotificationDelivery.objects.values_list("state", flat=True)) == {"sent"}
    keys = [request.headers["Idempotency-Key"] for request in receiver.requests]
    titles = [request.body["title"] for request in receiver.requests]
    assert len(set(titles)) == len(set(keys)) == 3, "nothing is lost"
    assert len(keys) == 4, "one came twice"
    assert dict(zip(titles, keys, strict=True)) == dict(zip(titles[::-1], keys[::-1], strict=True)), (
        "by one name"
    )


def test_a_message_whose_answer_was_lost_with_the_worker_comes_again_by_the_same_name(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell, home: Path
) -> None:
    publish("trading_state", KILL)
    tell(rounds=1)
    arrived(receiver, 1)
    notify._children[-1].wait(20)
    for answers in (home / "notifications").iterdir():
        answers.unlink()  # the disk of that machine is gone
    time_is_over(hook)
    tell(rounds=1)
    waits_over()
    tell()
    one, other = receiver.requests
    assert one.headers["Idempotency-Key"] == other.headers["Idempotency-Key"]
    assert NotificationDelivery.objects.get().state == "sent"


def test_a_worker_that_dies_before_it_started_the_child_leaves_the_message_waiting(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    from governance.services.notifications import sending

    def dies(*args: Any, **kwargs: Any) -> None:
        raise SystemExit

    publish("trading_state", KILL)
    with monkeypatch.context() as patch:
        patch.setattr(sending, "child_start", dies)
        with pytest.raises(SystemExit):
            tell(rounds=1)
    assert NotificationDelivery.objects.get().state == "sending"
    time_is_over(hook)
    tell(rounds=1)
    waits_over()
    tell()
    assert len(receiver.requests) == 1
    assert NotificationDelivery.objects.get().state == "sent"


def test_a_channel_whose_secret_cannot_be_read_is_told_of_without_it_and_stops_no_other(
    hook: NotificationChannel,
    receiver: HttpReceiver,
    tell: Tell,
    add_channel: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from governance.services.notifications import sending

    add_channel("well", "webhook", url=f"{receiver.url}/well")
    opened = sending.secret_open
    monkeypatch.setattr(
        sending, "secret_open", lambda sealed: "sesame{" if sealed == bytes(hook.sealed) else opened(sealed)
    )
    publish("trading_state", KILL)
    tell(rounds=3)
    arrived(receiver, 1)
    assert receiver.requests[0].path == "/well"
    out = capsys.readouterr()
    assert "sesame" not in out.out + out.err


def test_a_mail_that_comes_twice_has_one_message_id(add_channel: Any, tell: Tell, home: Path) -> None:
    with smtp_receiver() as server:
        mail = add_channel(
            "mail", "email", host="127.0.0.1", port=server.port, security="insecure",
            sender="nautilus@example.com", recipients=["risk@example.com"],
        )  # fmt: skip
        publish("trading_state", KILL)
        tell(rounds=1)
        notify._children[-1].wait(20)
        for answers in (home / "notifications").iterdir():
            answers.unlink()
        time_is_over(mail)
        tell(rounds=1)
        waits_over()
        tell()
    ids = [header_of(text, "Message-ID") for _, _, text in server.mails]
    assert len(ids) == 2
    assert ids[0] == ids[1]
