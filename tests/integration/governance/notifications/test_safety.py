"""What a receiver can do to us: nothing. It may hang, redirect, flood, lie about its address, or be gone."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from governance.adapters import notify_child
from governance.models import NotificationChannel, NotificationDelivery
from governance.services.notifications import sending
from governance.tasks import notifications_tick
from nautilus_site.common.models import AuditEntry, ChangeRequest
from nautilus_site.common.services.outbox import publish
from tests.factories.receivers import HttpReceiver, http_receiver
from tests.factories.trading import trading_desk
from trading.domain.orders import OrderStatus

Tell = Callable[..., None]
KILL = {"scope": "global", "level": 3, "level_name": "CANCEL", "reason": "drill", "changed_by": "risk"}


@pytest.mark.long
def test_a_hanging_receiver_holds_up_neither_orders_nor_the_queue_nor_other_channels(
    hook: NotificationChannel,
    receiver: HttpReceiver,
    tell: Tell,
    add_channel: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nautilus_site.common.services.hints.send_hint", lambda *args, **kwargs: True)
    monkeypatch.setattr(sending, "DEADLINE_S", 4)
    receiver.pause_s = 60
    desk = trading_desk()
    with http_receiver() as well:
        add_channel("well", "webhook", url=f"{well.url}/")
        publish("trading_state", KILL)
        tell(rounds=1)
        took = []
        for _ in range(20):
            began = time.monotonic()
            notifications_tick()
            took.append(time.monotonic() - began)
            order = desk.send(desk.submit("BUY", "0.001", price="50000"))
            assert order.status == OrderStatus.NEW
        assert max(took) < 1.0, "a tick waits for nobody"
        tell()
        assert well.texts()[0].splitlines()[0].endswith("every working order is cancelled")
    row = NotificationDelivery.objects.get(channel=hook)
    assert row.state == "waiting"
    assert row.error
    hook.refresh_from_db()
    assert hook.failures == 1


def test_a_child_that_says_nothing_is_ended_by_its_alarm_and_settled(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "DEADLINE_S", 1)
    monkeypatch.setattr(sending, "SETTLE_AFTER_S", 1)
    receiver.pause_s = 2.5
    publish("trading_state", KILL)
    tell()
    assert NotificationDelivery.objects.get().error == "no answer within 1 s"


def test_nobody_listening_costs_a_failed_attempt_and_nothing_else(add_channel: Any, tell: Tell) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        add_channel("gone", "webhook", url=f"http://127.0.0.1:{unused.getsockname()[1]}/")
        publish("trading_state", KILL)
        tell()
    assert NotificationDelivery.objects.get().state == "waiting"


def test_a_redirect_is_not_followed(hook: NotificationChannel, receiver: HttpReceiver, tell: Tell) -> None:
    with http_receiver() as elsewhere:
        receiver.status, receiver.location = 302, f"{elsewhere.url}/stolen"
        publish("trading_state", KILL)
        tell()
        assert len(receiver.requests) == 1
        assert elsewhere.requests == []
    assert NotificationDelivery.objects.get().state == "waiting"


def test_an_answer_of_more_than_64_kib_is_not_read(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell
) -> None:
    receiver.flood_bytes = 50_000_000
    publish("trading_state", KILL)
    tell()
    row = NotificationDelivery.objects.get()
    assert row.state == "waiting"
    assert row.error


@pytest.mark.long
def test_an_answer_that_drips_is_hung_up_on(receiver: HttpReceiver) -> None:
    """Each byte came within three seconds; all of it would never have."""
    receiver.drip_s = 0.2
    began = time.monotonic()
    (told,) = child(webhook_task("127.0.0.1", receiver.port, private=True))
    assert told["ok"] is False
    assert len(receiver.requests) == 1
    assert time.monotonic() - began < 10, "six seconds, and the start of the process"


def test_a_torn_or_foreign_line_of_a_child_stops_no_other_channel(tmp_path: Path) -> None:
    from governance.adapters.notify import child_outcomes

    answers = tmp_path / "x.jsonl"
    good = json.dumps({"n": 1, "ok": True, "at": "2026-11-30T00:00:00+00:00", "error": ""})
    answers.write_text(f'{{"n": 0, "ok"\n[]\nnull\n{{"n": "x"}}\n{good}\n{{"n": 2')
    assert {number: outcome.sent for number, outcome in child_outcomes(answers).items()} == {1: True}


def test_what_a_plugin_says_is_told_without_the_secret_however_it_is_spelled() -> None:
    members = {"path": "/in/abc def", "query": "key=open%20sesame&x=1", "authorization": "Bearer t0ken+/="}
    warning = notify_child.LastWarning(sorted(notify_child._secrets(members), key=len, reverse=True))
    for text in ("key=open%20sesame&x=1", "open sesame", "/in/abc%20def", "t0ken+/=", "t0ken%2B%2F%3D"):
        warning.say(f"refused: {text} at the host")
        assert warning.text == "refused: … at the host", text


def child(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Run the sending process on a task, as a worker does."""
    done = subprocess.run(
        [sys.executable, "-m", "governance.adapters.notify_child"],
        input=json.dumps(task).encode(),
        capture_output=True,
        cwd=django_settings.BASE_DIR,
        timeout=30,
        check=False,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def webhook_task(host: str, port: int, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "webhook",
        "host": host,
        "shown": {"scheme": "http", "port": port},
        "secret": {"path": "/", "query": "", "authorization": ""},
        "private": False,
        "proxy": "",
        "deadline_s": 10,
        "messages": [{"key": "k" * 32, "title": "t", "body": "b", "severity": "info"}],
        **changes,
    }


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "127.1"])
def test_the_process_itself_refuses_a_private_address_however_it_was_stored(
    host: str, receiver: HttpReceiver
) -> None:
    (told,) = child(webhook_task(host, receiver.port))
    assert told["ok"] is False
    assert receiver.requests == []


def test_the_same_address_is_reached_where_it_is_allowed(receiver: HttpReceiver) -> None:
    (told,) = child(webhook_task("127.0.0.1", receiver.port, private=True))
    assert told["ok"] is True
    assert len(receiver.requests) == 1


def test_a_name_that_changes_its_address_after_the_check_leads_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = iter(["93.184.215.14", "127.0.0.1"])

    def rebinding(host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    guard = notify_child.Guard("hooks.example.com", private=False)
    monkeypatch.setattr(guard, "_lookup", rebinding)
    assert guard.getaddrinfo("hooks.example.com", 443)[0][4][0] == "93.184.215.14"
    assert guard.getaddrinfo("hooks.example.com", 443)[0][4][0] == "93.184.215.14", "looked up once"
    with pytest.raises(notify_child.Refused):
        guard.getaddrinfo("hooks.example.com", 8443)
    with pytest.raises(notify_child.Refused, match="not the host of this channel"):
        guard.getaddrinfo("evil.example.com", 443)


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    def mixed(host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("93.184.215.14", "169.254.169.254")
        ]

    guard = notify_child.Guard("hooks.example.com", private=True)
    monkeypatch.setattr(guard, "_lookup", mixed)
    with pytest.raises(notify_child.Refused, match=r"169\.254\.169\.254"):
        guard.getaddrinfo("hooks.example.com", 443)


def test_no_secret_is_stored_shown_logged_or_left_on_disk(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell, home: Path, token_client: Any, viewer: Any
) -> None:
    receiver.status = 401
    publish("trading_state", KILL)
    tell()
    stored = io.StringIO()
    for model in (NotificationChannel, NotificationDelivery, ChangeRequest, AuditEntry):
        for row in model.objects.values():
            stored.write(str(row))
    api = token_client(viewer)
    for route in ("notifications/channels", "notifications/deliveries", "approvals", "notifications/routes"):
        stored.write(api.get(f"/api/v1/{route}").content.decode())
    left = [path.read_bytes().decode(errors="replace") for path in home.rglob("*.jsonl")]
    for secret in ("sesame", "s3cret"):
        assert secret not in stored.getvalue()
        assert not any(secret in text for text in left)
    assert list((home / "notifications").iterdir()) == []


def test_the_web_process_cannot_open_an_address(
    hook: NotificationChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nautilus_site.common.errors import ApplicationError
    from trading.services import credentials

    monkeypatch.setattr(credentials, "process_kind", lambda: "web")
    with pytest.raises(ApplicationError, match="may not open"):
        credentials.secret_open(bytes(hook.sealed))
