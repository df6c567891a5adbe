"""One stream of events for one watcher: in order, without gaps or repeats, whatever the broker does.

The channel layer only makes it fast. A message that does not continue where the last one ended, or silence,
sends the feed to Postgres, where the numbered events are.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from typing import Any

import structlog
from channels.layers import get_channel_layer
from django.db import DatabaseError, InterfaceError

from nautilus_site.common.clock import now
from nautilus_site.common.live.events import (
    OUTSIDE_THE_PROMISE,
    PAGE,
    events_between,
    head,
    in_database,
    oldest_id,
)
from nautilus_site.common.live.groups import EVENTS_GROUP, PRICES_GROUP, Event
from nautilus_site.common.metrics import LIVE_CONNECTIONS

log = structlog.get_logger(__name__)

POLL_S = 2.0
PRICE_INTERVAL_S = 0.25


class EventFeed:
    """Use as `async with EventFeed(topics, resume=id) as feed: async for event in feed.events(): ...`.

    `cursor` is the id up to which everything has been delivered or does not concern the topics. `missed` says
    that the id to resume from is no longer kept (or never existed): the client must read state afresh.
    """

    def __init__(self, topics: Collection[str], *, resume: int | None = None) -> None:
        self.topics = frozenset(topics)
        self.resume = resume
        self.cursor = 0
        self.newest = 0
        self.missed = False
        self._layer: Any = get_channel_layer()
        self._channel = ""
        self._receiving: asyncio.Task[dict[str, Any]] | None = None
        self._prices: dict[str, Any] = {}
        self._prices_sent_at = 0.0

    async def __aenter__(self) -> EventFeed:
        # Join before looking at Postgres: what is numbered in between arrives twice and is dropped once.
        await self._join()
        try:
            await self._place_cursor()
        except BaseException:
            await self._leave()
            raise
        LIVE_CONNECTIONS.inc()
        return self

    async def _place_cursor(self) -> None:
        self.newest = await head().newest(max_age_s=0)
        self.cursor = self.newest
        if self.resume is not None:
            kept_from = await in_database(oldest_id)
            self.missed = self.resume > self.newest or self.resume + 1 < kept_from
            self.cursor = self.newest if self.missed else self.resume

    async def __aexit__(self, *_: object) -> None:
        LIVE_CONNECTIONS.dec()
        await self._leave()

    async def events(self) -> AsyncIterator[Event]:
        """Yield events for ever. Ends only by cancellation or a closed consumer."""
        async for event in self._catch_up(self.newest):
            yield event
        while True:
            message = await self._next_message(self._patience_s())
            if message is None:
                async for event in self._poll():
                    yield event
            elif message["type"] == "live.prices":
                self._prices.update(message["prices"])
            elif message["type"] == "live.events":
                async for event in self._advance(message):
                    yield event
            for event in self._due_prices():
                yield event

    async def _advance(self, message: dict[str, Any]) -> AsyncIterator[Event]:
        if message["last"] <= self.cursor:
            return
        if message["first"] > self.cursor + 1:
            async for event in self._catch_up(message["last"]):
                yield event
            return
        for event in message["events"]:
            number = event["id"]
            if number > self.cursor:
                self.cursor = number
                if event["topic"] in self.topics:
                    yield {**event, "id": None} if event["topic"] == OUTSIDE_THE_PROMISE else event

    async def _poll(self) -> AsyncIterator[Event]:
        """Nothing came for a while: see whether something should have, and whether the broker is back."""
        if not self._channel:
            await self._join()
        try:
            newest = await head().newest()
        except (DatabaseError, InterfaceError) as error:
            log.warning("live_poll_failed", error=type(error).__name__)
            return
        async for event in self._catch_up(newest):
            yield event

    async def _catch_up(self, up_to: int) -> AsyncIterator[Event]:
        while self.cursor < up_to:
            page = await in_database(events_between, self.cursor, up_to, self.topics)
            for event in page:
                self.cursor = event["id"]
                yield event
            if len(page) < PAGE:
                self.cursor = up_to

    async def _next_message(self, patience_s: float) -> dict[str, Any] | None:
        if not self._channel:
            await asyncio.sleep(patience_s)
            return None
        # A task of its own, because cancelling `receive` would unsubscribe the channel.
        if self._receiving is None:
            self._receiving = asyncio.ensure_future(self._layer.receive(self._channel))
        done, _ = await asyncio.wait({self._receiving}, timeout=patience_s)
        if not done:
            return None
        finished, self._receiving = self._receiving, None
        try:
            return finished.result()
        except Exception as error:  # noqa: BLE001  any failure of the broker's client means: poll until it is back
            log.warning("live_receive_failed", error=type(error).__name__)
            self._channel = ""
            await asyncio.sleep(patience_s)
            return None

    def _patience_s(self) -> float:
        if not self._prices:
            return POLL_S
        return max(0.001, self._prices_sent_at + PRICE_INTERVAL_S - time.monotonic())

    def _due_prices(self) -> list[Event]:
        if not self._prices or time.monotonic() - self._prices_sent_at < PRICE_INTERVAL_S:
            return []
        data, self._prices = self._prices, {}
        self._prices_sent_at = time.monotonic()
        return [{"id": None, "topic": "prices", "at": now().isoformat(), "data": data}]

    async def _join(self) -> None:
        channel = ""
        try:
            channel = await self._layer.new_channel()
            await self._layer.group_add(EVENTS_GROUP, channel)
            if "prices" in self.topics:
                await self._layer.group_add(PRICES_GROUP, channel)
        except Exception as error:  # noqa: BLE001  as above: without the broker the feed polls
            log.warning("live_join_failed", error=type(error).__name__)
            channel = ""
        self._channel = channel

    async def _leave(self) -> None:
        if not self._channel:
            return
        with suppress(Exception):
            await self._layer.group_discard(EVENTS_GROUP, self._channel)
            if "prices" in self.topics:
                await self._layer.group_discard(PRICES_GROUP, self._channel)
        # The layer drops a channel when a running `receive` on it is cancelled, and only then.
        if self._receiving is None:
            self._receiving = asyncio.ensure_future(self._layer.receive(self._channel))
            await asyncio.sleep(0)
        self._receiving.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self._receiving
        self._receiving, self._channel = None, ""
