"""Events reach real receivers, once, through Apprise in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from governance.models import EventCursor, NotificationChannel, NotificationDelivery, NotificationRoute
from governance.services.notifications import channel_mute, events_consume
from nautilus_site.common.clock import now
from nautilus_site.common.models import OutboxEvent
from nautilus_site.common.services.event_numbering import events_number
from nautilus_site.common.services.leases import Held
from nautilus_site.common.services.outbox import publish
from tests.factories.notifications import waits_over
from tests.factories.receivers import (
    HttpReceiver,
    certificate,
    connect_proxy,
    header_of,
    http_receiver,
    smtp_receiver,
    text_of,
)

Tell = Callable[..., None]
KILL = {"scope": "global", "level": 3, "level_name": "CANCEL", "reason": "drill", "changed_by": "risk"}


def breaker(state: str = "open", name: str = "spread") -> None:
    publish("breakers", {"name": name, "scope": "symbol:BTCUSDT", "state": state, "reason": "160 bps"})


def test_a_kill_arrives_with_its_severity_reason_and_link(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell
) -> None:
    publish("trading_state", KILL)
    tell()
    (told,) = receiver.requests
    assert told.body["title"] == "[LOCAL] CRITICAL: global is at CANCEL: every working order is cancelled"
    assert "drill (by risk)" in told.body["message"]
    assert "http://dashboard.test/risk/" in told.body["message"]
    assert told.body["type"] == "failure"
    assert (told.path, told.headers["Authorization"]) == ("/alerts?key=sesame", "Bearer s3cret")
    row = NotificationDelivery.objects.get()
    assert (row.state, row.attempts, row.error) == ("sent", 1, "")
    assert row.sent_at is not None
    assert timedelta(0) <= row.sent_at - row.event_at < timedelta(seconds=20)
    measured = REGISTRY.get_sample_value("notification_lag_seconds_count", {"channel": "hook"})
    assert measured is not None
    assert measured >= 1


def test_the_address_of_a_webhook_arrives_as_it_was_given(
    add_channel: Any, receiver: HttpReceiver, tell: Tell
) -> None:
    """A signature covers every character: what was escaped stays so, what stands twice comes twice, in its order."""
    given = "/al%20x/%2Fy?token=abc%2Fdef%3D&x=1&x=2&sig=a%2Bb+c&empty=&flag&z=%C3%A9"
    add_channel("signed", "webhook", url=f"{receiver.url}{given}")
    publish("trading_state", KILL)
    tell()
    assert [request.path for request in receiver.requests] == [given]


def test_an_event_is_told_once_however_often_it_is_read(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell
) -> None:
    breaker()
    tell()
    EventCursor.objects.update(event_id=0)  # a reader that crashed before its cursor was stored
    tell()
    assert len(receiver.requests) == 1
    assert NotificationDelivery.objects.count() == 1


def test_the_cursor_moves_with_what_it_led_to_or_not_at_all(
    hook: NotificationChannel, relay: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaker()
    breaker(name="drawdown")
    events_number(relay)
    from governance.services.notifications import consuming

    plain = consuming.notice_deliver

    def break_at_the_second(notice: Any, **fields: Any) -> int:
        if notice.kind == "breaker.drawdown":
            raise RuntimeError("the process dies here")
        return plain(notice, **fields)

    monkeypatch.setattr(consuming, "notice_deliver", break_at_the_second)
    with pytest.raises(RuntimeError):
        events_consume()
    assert NotificationDelivery.objects.count() == 0
    monkeypatch.undo()
    assert events_consume() == 2
    assert EventCursor.objects.get().event_id == OutboxEvent.objects.latest("event_id").event_id


def test_the_same_news_is_counted_not_repeated_until_other_news_came_between(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell
) -> None:
    for level in ("CANCEL", "CANCEL", "CANCEL", "ACTIVE", "CANCEL"):
        publish("trading_state", {**KILL, "level_name": level})
        tell()
    assert [r.body["title"].split(" is at ")[1].split(":")[0] for r in receiver.requests] == [
        "CANCEL",
        "ACTIVE",
        "CANCEL",
    ]
    assert NotificationDelivery.objects.earliest("pk").repeats == 2


def test_after_the_window_the_same_news_is_told_with_how_often_it_came(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell
) -> None:
    for _ in range(3):
        breaker()
    tell()
    NotificationDelivery.objects.update(created_at=now() - timedelta(seconds=301))
    breaker()
    tell()
    assert len(receiver.requests) == 2
    assert "heard 2 more times" in receiver.texts()[1]


def test_a_digest_collects_and_what_is_critical_goes_at_once(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell
) -> None:
    NotificationRoute.objects.update(digest_s=600)
    breaker(name="spread")
    breaker(name="drawdown")
    publish("trading_state", KILL)
    tell()
    assert len(receiver.requests) == 1
    assert "CRITICAL" in receiver.requests[0].body["title"]
    assert (
        len(set(NotificationDelivery.objects.filter(state="waiting").values_list("due_at", flat=True))) == 1
    )
    NotificationDelivery.objects.filter(state="waiting").update(due_at=now())
    tell()
    assert receiver.requests[1].body["title"].startswith("[LOCAL] 2 notices")
    assert "breaker spread" in receiver.texts()[1]
    assert "breaker drawdown" in receiver.texts()[1]
    assert set(NotificationDelivery.objects.values_list("state", flat=True)) == {"sent"}


def test_a_narrow_route_that_is_switched_off_silences_its_kind(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell
) -> None:
    publish("approvals", {"id": "1", "kind": "limit.loosen", "target": "x", "state": "pending"})
    breaker()
    tell()
    assert [r.body["title"].split(": ")[1][:7] for r in receiver.requests] == ["breaker"]


def test_a_burst_becomes_one_message(hook: NotificationChannel, receiver: HttpReceiver, tell: Tell) -> None:
    for number in range(30):
        breaker(name=f"measure{number}")
    tell()
    assert len(receiver.requests) == 1
    assert NotificationDelivery.objects.filter(state="sent").count() == 30


def test_a_muted_channel_still_hears_what_is_critical_and_the_rest_afterwards(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell, risk_officer: Any
) -> None:
    channel_mute(name="hook", minutes=30, actor=risk_officer, reason="maintenance")
    breaker()
    publish("trading_state", KILL)
    tell()
    assert [r.body["type"] for r in receiver.requests] == ["failure"]
    channel_mute(name="hook", minutes=0, actor=risk_officer, reason="over")
    tell()
    assert "breaker spread" in receiver.texts()[1]


def test_an_error_is_retried_quietly_with_growing_waits_until_it_goes_through(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell
) -> None:
    receiver.status = 503
    breaker()
    waits = []
    for _ in range(3):
        waits_over()
        tell()
        hook.refresh_from_db()
        assert hook.retry_at is not None
        waits.append((hook.retry_at - now()).total_seconds())
    assert waits[0] < waits[1] < waits[2] < 110
    row = NotificationDelivery.objects.get()
    assert (row.state, row.attempts) == ("waiting", 3)
    assert "503" in row.error
    receiver.status = 200
    tell(rounds=3)
    assert len(receiver.requests) == 3, "it does not ask before its wait is over"
    waits_over()
    tell()
    hook.refresh_from_db()
    assert (hook.failures, hook.retry_at, hook.last_error) == (0, None, "")
    assert NotificationDelivery.objects.get().state == "sent"


def test_after_a_day_a_message_is_given_up_and_the_other_channels_are_told(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell, add_channel: Any
) -> None:
    with http_receiver() as second:
        add_channel("second", "webhook", url=f"{second.url}/")
        receiver.status = 500
        breaker()
        tell()
        NotificationDelivery.objects.filter(channel=hook).update(due_at=now() - timedelta(hours=25))
        waits_over()
        tell()
        tell()
        assert NotificationDelivery.objects.filter(channel=hook).get().state == "failed"
        assert any("channel hook could not be told for a day" in text for text in second.texts())


def test_a_gap_in_the_events_is_told(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell, relay: Held
) -> None:
    for number in range(5):
        publish("fills", {"n": number})
    events_number(relay)
    first = OutboxEvent.objects.earliest("event_id").event_id or 0
    EventCursor.objects.update(event_id=first)
    OutboxEvent.objects.filter(event_id__lte=first + 3).delete()
    tell()
    assert "3 events were deleted before they could be told" in receiver.texts()[0]


def test_mail_arrives_at_every_recipient(add_channel: Any, tell: Tell) -> None:
    with smtp_receiver() as server:
        add_channel(
            "mail",
            "email",
            host="127.0.0.1",
            port=server.port,
            security="insecure",
            sender="nautilus@example.com",
            recipients=["risk@example.com", "desk@example.com"],
        )
        publish("trading_state", KILL)
        tell()
        assert sorted(to for _, recipients, _ in server.mails for to in recipients) == [
            "desk@example.com",
            "risk@example.com",
        ]
        sender, _, mail = server.mails[0]
        assert sender == "nautilus@example.com"
        assert header_of(mail, "Subject").startswith("[LOCAL] CRITICAL: global is at CANCEL")
        assert "drill (by risk)" in text_of(mail)


def test_a_mail_server_that_refuses_is_retried(add_channel: Any, tell: Tell) -> None:
    with smtp_receiver() as server:
        server.refuses = True
        add_channel(
            "mail",
            "email",
            host="127.0.0.1",
            port=server.port,
            security="insecure",
            sender="nautilus@example.com",
            recipients=["risk@example.com"],
        )
        publish("trading_state", KILL)
        tell()
        assert NotificationDelivery.objects.get().state == "waiting"
        server.refuses = False
        waits_over()
        tell()
        assert NotificationDelivery.objects.get().state == "sent"


@pytest.mark.parametrize(
    ("kind", "members", "path", "said"),
    [
        (
            "slack",
            {"url": "https://hooks.slack.com/services/T0123456789/B0123456789/abcdefghijklmnopqrstuvwx"},
            "/services/T0123456789/B0123456789/abcdefghijklmnopqrstuvwx",
            lambda body: body["attachments"][0]["title"] + body["attachments"][0]["text"],
        ),
        (
            "telegram",
            {"bot_token": "123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc", "chat_ids": ["-1001234"]},
            "/bot123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc/sendMessage",
            lambda body: f"{body['chat_id']} {body['text']}",
        ),
        (
            "discord",
            {"url": "https://discord.com/api/webhooks/123456789012345678/" + "a" * 68},
            "/api/webhooks/123456789012345678/" + "a" * 68,
            lambda body: str(body),
        ),
    ],
)
def test_slack_telegram_and_discord_are_reached_over_tls_through_the_proxy(
    kind: str,
    members: dict[str, Any],
    path: str,
    said: Callable[[Any], str],
    add_channel: Any,
    tell: Tell,
    settings: Any,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ssl

    public, private = certificate(home, "hooks.slack.com", "api.telegram.org", "discord.com")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(public))
    with http_receiver(context) as server, connect_proxy(server.port) as (address, asked):
        settings.NOTIFY_PROXY = address
        if kind == "slack":
            server.answer = b"ok"  # an incoming webhook's answer is no JSON
        channel = add_channel("desk", kind, **members)
        publish("trading_state", KILL)
        tell()
        row = NotificationDelivery.objects.get()
        assert (row.state, row.error) == ("sent", "")
        assert asked == [f"{channel.host}:443"]
        assert server.requests[0].path.partition("?")[0] == path
        assert "global is at CANCEL" in said(server.requests[0].body)
        assert "drill" in said(server.requests[0].body)


def test_a_second_kill_is_told_though_the_resume_between_was_below_the_route(
    add_channel: Any, receiver: HttpReceiver, tell: Tell
) -> None:
    """From warnings on: a resume is good news, and nobody hears it. The kill after it is new all the same."""
    add_channel("desk", "webhook", url=f"{receiver.url}/")
    resume = {**KILL, "level": 0, "level_name": "ACTIVE"}
    for state in (KILL, KILL, resume, KILL):
        publish("trading_state", state)
        tell()
    assert len(receiver.requests) == 2
    first, second = NotificationDelivery.objects.order_by("pk")
    assert (first.repeats, first.is_over) == (1, True), "asked for twice is told once"
    assert (second.repeats, second.before, second.is_over) == (0, 0, False)


def test_what_is_critical_waits_for_no_long_pause(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell
) -> None:
    NotificationChannel.objects.update(failures=7, retry_at=now() + timedelta(minutes=30))
    breaker()
    tell(rounds=2)
    assert receiver.requests == [], "a warning waits until the receiver is tried again"
    receiver.status = 503
    publish("trading_state", KILL)
    tell(rounds=1)
    deadline = time.monotonic() + 20
    while NotificationDelivery.objects.filter(state="sending").exists():
        assert time.monotonic() < deadline
        tell(rounds=1)
    hook.refresh_from_db()
    assert hook.failures == 8
    assert hook.retry_at is not None
    assert hook.retry_at <= now() + timedelta(seconds=30), "and this one is tried again soon"
    receiver.status = 200
    waits_over()
    tell()
    assert len(receiver.requests) == 3
    assert set(NotificationDelivery.objects.values_list("state", flat=True)) == {"sent"}
