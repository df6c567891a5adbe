"""`/ws/live/`: who may open it, what it promises, and what it does with those who misbehave."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from channels.routing import URLRouter
from django.urls import path
from redis.exceptions import ConnectionError as BrokerDown

from nautilus_site.common.live import consumer, feed
from nautilus_site.common.live.consumer import LiveConsumer
from nautilus_site.common.live.groups import push_async, push_prices_async
from nautilus_site.common.live.handshake import LiveHandshake
from nautilus_site.common.live.protocol import MessageRate, ProtocolError
from nautilus_site.common.models import ApiToken, OutboxEvent, User
from nautilus_site.common.services.tokens import token_create, token_revoke
from tests.integration.common.live_client import Header, SocketClient, numbered

pytestmark = pytest.mark.django_db(transaction=True)

application = LiveHandshake(URLRouter([path("ws/live/", LiveConsumer.as_asgi())]))  # type: ignore[arg-type]
HOST = (b"host", b"testserver")
OWN_ORIGIN = (b"origin", b"http://testserver")


@pytest.fixture
def token(viewer: User) -> Header:
    return (b"authorization", f"Bearer {token_create(user=viewer, name='t', actor=viewer)}".encode())


@pytest.fixture
def cookie(viewer: User, session_client: Callable[..., Any]) -> Header:
    return (b"cookie", f"sessionid={session_client(viewer).cookies['sessionid'].value}".encode())


def socket(*headers: Header) -> SocketClient:
    return SocketClient(application, "/ws/live/", headers=[HOST, *headers])


@asynccontextmanager
async def subscribed(
    headers: tuple[Header, ...], topics: list[str], resume: int | None = None, **more: bool
) -> AsyncIterator[tuple[SocketClient, dict[str, Any]]]:
    opened = socket(*headers)
    assert (await opened.connect())[0]
    try:
        await opened.send_json({"subscribe": topics, "resume": resume, **more})
        yield opened, await opened.next_json()
    finally:
        with contextlib.suppress(Exception):
            await opened.disconnect()


async def opens(*headers: Header) -> bool:
    opened = socket(*headers)
    accepted, code = await opened.connect()
    if accepted:
        await opened.disconnect()
    else:
        assert code == 4403
    return bool(accepted)


async def test_a_browser_needs_its_session_and_our_own_origin(cookie: Header) -> None:
    assert await opens(cookie, OWN_ORIGIN)
    assert not await opens(cookie)
    for foreign in (
        b"null",
        b"http://evil.example",
        b"http://app.testserver",
        b"http://testserver.evil.example",
        b"http://testserver:8001",
        b"ftp://testserver",
        b"testserver",
        b"",
        b"http://testserver/page",
    ):
        assert not await opens(cookie, (b"origin", foreign)), foreign


async def test_a_token_may_leave_out_the_origin_but_not_name_a_foreign_one(token: Header) -> None:
    assert await opens(token)
    assert await opens(token, OWN_ORIGIN)
    assert not await opens(token, (b"origin", b"http://evil.example"))


async def test_without_good_credentials_nothing_opens(viewer: User, token: Header, cookie: Header) -> None:
    assert not await opens(OWN_ORIGIN)
    assert not await opens((b"cookie", b"sessionid=forged"), OWN_ORIGIN)
    for text in (b"Bearer nhmm_wrong", b"Bearer ", b"Basic dXNlcjpwYXNz", b"Bearer a b"):
        assert not await opens((b"authorization", text)), text
    await User.objects.filter(pk=viewer.pk).aupdate(is_active=False)
    assert not await opens(token)
    assert not await opens(cookie, OWN_ORIGIN)


async def test_a_foreign_host_header_is_refused(token: Header) -> None:
    opened = SocketClient(application, "/ws/live/", headers=[(b"host", b"rebound.example"), token])
    assert not (await opened.connect())[0]


async def test_a_narrowed_token_watches_only_its_topics(viewer: User) -> None:
    text = await sync_to_async(token_create)(user=viewer, name="t", actor=viewer, scopes=["read:fills"])
    header = (b"authorization", f"Bearer {text}".encode())
    async with subscribed((header,), ["fills"]) as (_, answer):
        assert answer["subscribed"] == ["fills"]
    async with closing(header) as opened:
        await opened.send_json({"subscribe": ["fills", "orders"]})
        assert (await opened.next_close())["code"] == 4403


@asynccontextmanager
async def closing(*headers: Header) -> AsyncIterator[SocketClient]:
    opened = socket(*headers)
    assert (await opened.connect())[0]
    yield opened
    with contextlib.suppress(Exception):
        await opened.disconnect()


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("not json", 4400),
        ("[]", 4400),
        ('{"subscribe": "fills"}', 4400),
        ('{"subscribe": []}', 4400),
        ('{"subscribe": ["secrets"]}', 4400),
        ('{"subscribe": ["fills"], "resume": "7"}', 4400),
        ('{"subscribe": ["fills"], "resume": -1}', 4400),
        ('{"subscribe": ["fills"], "order": {}}', 4400),
        ('{"subscribe": ["fills"], "batch": 1}', 4400),
        ("[" * 4000, 4400),
        ('{"subscribe": ["fills"]}' + " " * 4096, 1009),
    ],
)
async def test_a_malformed_or_large_frame_closes_with_a_reason(token: Header, frame: str, code: int) -> None:
    async with closing(token) as opened:
        await opened.send_text(frame)
        closed = await opened.next_close()
        assert (closed["type"], closed["code"]) == ("websocket.close", code)
        assert closed["reason"]


async def test_binary_frames_close_the_socket(token: Header) -> None:
    async with closing(token) as opened:
        await opened.send_input({"type": "websocket.receive", "bytes": b"\x00\x01"})
        assert (await opened.next_close())["code"] == 4400


async def test_the_sixth_message_within_a_second_closes_the_socket(token: Header) -> None:
    async with closing(token) as opened:
        for _ in range(6):
            await opened.send_json({"pong": 1})
        assert (await opened.next_close())["code"] == 4429


def test_five_messages_a_second_are_allowed() -> None:
    rate = MessageRate()
    for n in range(50):
        rate.count(n * 0.2001)
    for n in range(4):
        rate.count(100 + n / 1000)
    rate.count(100.5)
    with pytest.raises(ProtocolError):
        rate.count(100.9)


async def test_events_arrive_once_in_order_and_only_of_the_topics(token: Header) -> None:
    async with subscribed((token,), ["fills", "orders"]) as (opened, answer):
        assert answer == {"subscribed": ["fills", "orders"], "last_id": 0}
        first = await numbered({"n": 1}, {"n": 2})
        hidden = await numbered({"n": 3}, topic="incidents")
        last = await numbered({"n": 4}, topic="orders")
        for batch in (first, first, hidden, last, first):  # repeats as after a relay's retry
            await push_async(batch)
        received = [await opened.next_json() for _ in range(3)]
        assert [(event["id"], event["topic"], event["data"]["n"]) for event in received] == [
            (1, "fills", 1),
            (2, "fills", 2),
            (4, "orders", 4),
        ]
        assert set(received[0]) == {"id", "topic", "at", "data"}
        assert await opened.receive_nothing(0.3)


async def test_who_asks_for_batches_gets_as_many_events_in_a_message_as_there_are(token: Header) -> None:
    await numbered({"n": 1}, {"n": 2}, {"n": 3})
    async with subscribed((token,), ["fills"], resume=1, batch=True) as (opened, answer):
        assert answer == {"subscribed": ["fills"], "last_id": 3}
        received = await opened.next_json()
        assert set(received) == {"events"}
        assert [(event["id"], event["data"]["n"]) for event in received["events"]] == [(2, 2), (3, 3)]
        await push_async(await numbered({"n": 4}))
        assert [event["id"] for event in (await opened.next_json())["events"]] == [4]


async def test_a_lost_push_is_made_up_from_postgres_before_the_next_event(token: Header) -> None:
    async with subscribed((token,), ["fills"]) as (opened, _):
        await numbered(*({"n": n} for n in range(1, 8)))  # never pushed
        await push_async(await numbered({"n": 8}))
        received = [await opened.next_json() for _ in range(8)]
        assert [event["id"] for event in received] == list(range(1, 9))


async def test_silence_after_a_lost_push_is_ended_by_the_poll(
    token: Header, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "POLL_S", 0.2)
    async with subscribed((token,), ["fills"]) as (opened, _):
        await numbered({"n": 1})
        assert (await opened.next_json())["id"] == 1


async def test_a_client_resumes_where_it_was_even_over_several_pages(token: Header) -> None:
    await numbered(*({"n": n} for n in range(1, 401)))
    await numbered(*({"n": n} for n in range(401, 801)))
    async with subscribed((token,), ["fills"], resume=150) as (opened, answer):
        assert answer["last_id"] == 800
        await push_async(await numbered({"n": 801}))
        received = [(await opened.next_json())["id"] for _ in range(651)]
        assert received == list(range(151, 802))


@pytest.mark.parametrize(("resume", "missed"), [(3, True), (4, False), (10, False), (11, True)])
async def test_a_client_learns_when_what_it_missed_is_gone(token: Header, resume: int, missed: bool) -> None:
    await numbered(*({"n": n} for n in range(10)))
    await OutboxEvent.objects.filter(event_id__lt=5).adelete()
    async with subscribed((token,), ["fills"], resume=resume) as (_, answer):
        assert answer.get("missed", False) is missed


async def test_without_the_broker_events_still_arrive(token: Header, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(*_: Any, **__: Any) -> None:
        raise BrokerDown("connection refused")

    monkeypatch.setattr(feed, "POLL_S", 0.2)
    layer = get_channel_layer()
    for name in ("group_add", "group_send"):
        monkeypatch.setattr(layer, name, down)
    async with subscribed((token,), ["fills"]) as (opened, _):
        assert await push_async(await numbered({"n": 1})) is False
        assert (await opened.next_json())["id"] == 1


async def test_prices_are_coalesced_and_carry_no_id(token: Header) -> None:
    async with subscribed((token,), ["prices"]) as (opened, _):
        await push_prices_async({"BTCUSDT": {"mid": "1"}})
        first = await opened.next_json()
        assert (first["id"], first["topic"], first["data"]) == (None, "prices", {"BTCUSDT": {"mid": "1"}})
        for n in range(50):
            await push_prices_async({"BTCUSDT": {"mid": str(n)}, "ETHUSDT": {"mid": "5"}})
        messages = [await opened.next_json()]
        while not await opened.receive_nothing(0.4):
            messages.append(await opened.next_json())
        assert len(messages) <= 5
        assert messages[-1]["data"]["BTCUSDT"] == {"mid": "49"}


async def test_the_socket_closes_soon_after_its_token_is_revoked(
    token: Header, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "RECHECK_S", 0.1)
    async with subscribed((token,), ["fills"]) as (opened, _):
        revoked = await ApiToken.objects.aget()
        await sync_to_async(token_revoke)(token_id=revoked.pk, actor=viewer)
        assert (await opened.next_close())["code"] == 4403


async def test_a_heartbeat_tells_the_page_that_the_stream_is_alive(
    token: Header, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "RECHECK_S", 0.05)
    monkeypatch.setattr(consumer, "HEARTBEAT_S", 0.1)
    async with subscribed((token,), ["fills"]) as (opened, _):
        assert isinstance((await opened.next_json())["ping"], int)


async def test_a_reader_that_takes_nothing_is_closed(token: Header, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "SLOW_READER_S", 0.2)
    monkeypatch.setattr(consumer, "RECHECK_S", 0.1)
    sent: list[dict[str, Any]] = []

    async def stuck(self: LiveConsumer, text: str) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(LiveConsumer, "_send", stuck)
    async with closing(token) as opened:
        await opened.send_json({"subscribe": ["fills"]})
        sent.append(await opened.next_close())
    assert sent[0]["code"] == 4408


async def test_one_person_cannot_open_sockets_without_end(
    token: Header, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "SOCKETS_PER_USER", 2)
    async with closing(token), closing(token):
        third = socket(token)
        assert not (await third.connect())[0]
    async with closing(token):
        pass
