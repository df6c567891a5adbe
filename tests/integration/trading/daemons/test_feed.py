"""The feed stores what it hears, also across a database that is away for a moment."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError

from nautilus_site.common.errors import ApplicationError
from trading.adapters.binance import user_stream
from trading.daemons import price_members
from trading.daemons import user_feed as module
from trading.daemons.user_feed import UserFeed
from trading.models import ReconcileRun, VenueEvent
from trading.services import venue_events
from universe.adapters.binance.events import Connected, Disconnected
from universe.models import StreamState

if TYPE_CHECKING:
    from tests.factories.trading import Desk


class Script:
    """A user stream that yields what a test wrote down, one script per connection."""

    items: list[Any] = []

    def __init__(self, connect: Any) -> None:
        self.connect = connect
        self.heard_at = time.monotonic()

    async def events(self) -> AsyncIterator[Any]:
        while self.items:
            yield self.items.pop(0)
        await asyncio.sleep(3600)


class InCharge:
    """A charge that a test gives and takes."""

    def __init__(self, is_held: bool = True) -> None:
        self.is_held = is_held


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> type[Script]:
    Script.items = []
    monkeypatch.setattr(module, "UserStream", Script)
    monkeypatch.setattr(module, "STORE_RETRY_S", 0.02)
    monkeypatch.setattr(module, "credential_open", lambda **_: ("key-1", "secret"))
    return Script


async def follow(desk: Desk, until: Any, *, charge: InCharge | None = None) -> UserFeed:
    """Run the user stream of the account until something is true."""
    feed = UserFeed(desk.account, charge or InCharge())
    task = asyncio.create_task(feed.run())
    try:
        async with asyncio.timeout(10):
            while not await sync_to_async(until)():
                assert not task.done(), task.exception()
                await asyncio.sleep(0.02)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return feed


async def test_events_are_stored_before_anything_is_made_of_them(
    shared_desk: Desk, script: type[Script]
) -> None:
    script.items = [Connected(time.time_ns(), 1, ()), {"e": "executionReport", "E": 1}, {"e": "x", "E": 2}]
    await follow(shared_desk, lambda: VenueEvent.objects.count() == 2)
    rows = [row async for row in VenueEvent.objects.order_by("pk")]
    assert [(r.kind, r.settled_at) for r in rows] == [("executionReport", None), ("x", None)]
    assert await ReconcileRun.objects.filter(trigger="gap").acount() == 1


async def test_a_database_that_is_away_for_a_moment_loses_no_event_and_no_order(
    shared_desk: Desk, script: type[Script], monkeypatch: pytest.MonkeyPatch
) -> None:
    outages = iter([True, True, True])
    original = venue_events.venue_event_store

    def store(**kwargs: Any) -> bool:
        if next(outages, False):
            raise OperationalError("the connection is closed")
        return original(**kwargs)

    monkeypatch.setattr(module, "venue_event_store", store)
    script.items = [{"e": "x", "E": number} for number in range(5)]
    await follow(shared_desk, lambda: VenueEvent.objects.count() == 5)
    assert [row.payload["E"] async for row in VenueEvent.objects.order_by("pk")] == [0, 1, 2, 3, 4]


async def test_the_event_loop_goes_on_while_the_database_is_slow(
    shared_desk: Desk, script: type[Script], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The earlier system waited on its own loop and stood still (W44)."""
    in_store = threading.Event()

    def slow(**kwargs: Any) -> bool:
        in_store.set()
        time.sleep(0.3)
        return venue_events.venue_event_store(**kwargs)

    monkeypatch.setattr(module, "venue_event_store", slow)
    script.items = [{"e": "x", "E": 1}]
    task = asyncio.create_task(UserFeed(shared_desk.account, InCharge()).run())
    longest = 0.0
    async with asyncio.timeout(5):
        while not in_store.is_set():
            await asyncio.sleep(0.005)
    ended = time.monotonic() + 0.25
    while time.monotonic() < ended:
        before = time.monotonic()
        await asyncio.sleep(0.005)
        longest = max(longest, time.monotonic() - before)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert longest < 0.2
    await sync_to_async(lambda: None)()


async def test_a_process_that_stands_by_stores_events_and_says_nothing_of_the_stream(
    shared_desk: Desk, script: type[Script]
) -> None:
    await StreamState.objects.all().adelete()
    script.items = [Connected(time.time_ns(), 1, ()), {"e": "executionReport", "E": 1}]
    charge = InCharge(is_held=False)
    feed = await follow(shared_desk, lambda: VenueEvent.objects.count() == 1, charge=charge)
    assert not await StreamState.objects.filter(name=f"user:{shared_desk.account.name}").aexists()
    assert not await ReconcileRun.objects.filter(trigger="gap").aexists()
    charge.is_held = True
    await feed.take_over()
    state = await StreamState.objects.aget(name=f"user:{shared_desk.account.name}")
    assert state.connected_at is not None
    assert await ReconcileRun.objects.filter(trigger="gap").acount() == 1


async def test_taking_over_without_a_connection_shows_the_stream_as_down(
    shared_desk: Desk, script: type[Script]
) -> None:
    script.items = [Connected(time.time_ns(), 1, ()), Disconnected(time.time_ns(), "closed"), {"e": "x"}]
    feed = await follow(shared_desk, lambda: VenueEvent.objects.count() == 1, charge=InCharge(is_held=False))
    await feed.take_over()
    state = await StreamState.objects.aget(name=f"user:{shared_desk.account.name}")
    assert state.connected_at is None
    assert state.gap_since is not None


async def test_two_processes_that_hear_the_same_store_it_once(
    shared_desk: Desk, script: type[Script]
) -> None:
    events = [{"e": "executionReport", "E": number, "T": number} for number in range(4)]
    script.items = [*events, *reversed(events), {"e": "end"}]
    await follow(shared_desk, lambda: VenueEvent.objects.filter(kind="end").exists())
    assert await VenueEvent.objects.filter(kind="executionReport").acount() == 4


async def test_the_key_in_force_is_taken_for_every_connection(
    shared_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rotated key takes over at the next connection; an account without one waits and ends nothing."""
    answers: list[Any] = [ApplicationError("NO_CREDENTIAL", "none"), ("key-1", "s"), ("key-2", "s")]
    opened: list[str] = []

    def open_key(**_: Any) -> tuple[str, str]:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    async def refuse(url: str, *, api_key: str, api_secret: str) -> Any:
        opened.append(api_key)
        raise OSError("refused")

    monkeypatch.setattr(module, "credential_open", open_key)
    monkeypatch.setattr(module.SpotLink, "open", refuse)
    monkeypatch.setattr(user_stream, "BACKOFF_MAX_S", 0.01)
    await follow(shared_desk, lambda: opened[:2] == ["key-1", "key-2"])


async def test_a_key_that_is_revoked_or_replaced_ends_its_connection(
    shared_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a stream opened with it would be heard for up to a day."""
    in_use = "key-1"
    opened: list[str] = []

    class Link:
        heard_at = 0.0

        def __init__(self) -> None:
            self.over = asyncio.Event()

        async def events(self) -> Any:
            await self.over.wait()
            return
            yield

        async def close(self) -> None:
            nonlocal in_use
            in_use = "key-2"
            self.over.set()

    async def connect(url: str, *, api_key: str, api_secret: str) -> Link:
        opened.append(api_key)
        return Link()

    def stands(*, api_key: str, **_: Any) -> bool:
        return api_key == "key-2"

    monkeypatch.setattr(module, "credential_open", lambda **_: (in_use, "s"))
    monkeypatch.setattr(module, "credential_stands", stands)
    monkeypatch.setattr(module.SpotLink, "open", connect)
    monkeypatch.setattr(module, "AGE_S", 0.02)
    monkeypatch.setattr(user_stream, "BACKOFF_MAX_S", 0.01)
    await follow(shared_desk, lambda: opened == ["key-1", "key-2"])


def test_times_on_the_wire_become_times_with_a_zone() -> None:
    assert module._at(1_500_000_000_000_000_000).tzinfo is not None
    assert price_members._plain(Decimal("1.500")) == "1.5"
