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
from trading.daemons import market_feed
from trading.daemons import user_feed as module
from trading.daemons.user_feed import UserFeed
from trading.models import ReconcileRun, VenueEvent
from trading.services import venue_events
from universe.adapters.binance.events import Connected, Disconnected

if TYPE_CHECKING:
    from tests.factories.trading import Desk


class Script:
    """A user stream that yields what a test wrote down, one script per connection key."""

    items: list[Any] = []
    keys: list[str] = []

    def __init__(self, url: str, *, api_key: str, api_secret: str) -> None:
        self.keys.append(api_key)
        self.heard_at = time.monotonic()

    async def events(self) -> AsyncIterator[Any]:
        while self.items:
            yield self.items.pop(0)
        await asyncio.sleep(3600)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> type[Script]:
    Script.items, Script.keys = [], []
    monkeypatch.setattr(module, "UserStream", Script)
    monkeypatch.setattr(module, "STORE_RETRY_S", 0.02)
    monkeypatch.setattr(module, "KEY_RETRY_S", 0.02)
    monkeypatch.setattr(module, "credential_open", lambda **_: ("key-1", "secret"))
    return Script


async def follow(desk: Desk, until: Any) -> None:
    """Run the user stream of the account until something is true."""
    task = asyncio.create_task(UserFeed(desk.account).run())
    try:
        async with asyncio.timeout(10):
            while not await sync_to_async(until)():
                assert not task.done(), task.exception()
                await asyncio.sleep(0.02)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


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
    task = asyncio.create_task(UserFeed(shared_desk.account).run())
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


async def test_a_key_that_was_rotated_takes_over_at_the_next_connection(
    shared_desk: Desk, script: type[Script], monkeypatch: pytest.MonkeyPatch
) -> None:
    script.items = [Connected(time.time_ns(), 1, ()), Disconnected(time.time_ns(), "closed")]
    opened = iter([("key-1", "s")])
    monkeypatch.setattr(module, "credential_open", lambda **_: next(opened, ("key-2", "s")))
    await follow(shared_desk, lambda: script.keys == ["key-1", "key-2"])


async def test_an_account_without_a_key_waits_for_one_and_ends_nothing(
    shared_desk: Desk, script: type[Script], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Any] = [ApplicationError("NO_CREDENTIAL", "none"), ("key-3", "s")]

    def open_key(**_: Any) -> tuple[str, str]:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    monkeypatch.setattr(module, "credential_open", open_key)
    await follow(shared_desk, lambda: script.keys == ["key-3"])


def test_times_on_the_wire_become_times_with_a_zone() -> None:
    assert module._at(1_500_000_000_000_000_000).tzinfo is not None
    assert market_feed._plain(Decimal("1.500")) == "1.5"
