"""One stream of events for one watcher: in order, without gaps or repeats, whatever the broker does.

The hub only makes it fast. What the hub does not hold, or silence, sends the feed to Postgres, where the numbered
events are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection

import structlog
from django.db import DatabaseError, InterfaceError

from nautilus_site.common.live.database import in_database
from nautilus_site.common.live.events import OUTSIDE_THE_PROMISE, PAGE, events_between, head, oldest_id
from nautilus_site.common.live.hub import hub
from nautilus_site.common.live.packets import Packet
from nautilus_site.common.metrics import LIVE_CONNECTIONS

log = structlog.get_logger(__name__)

POLL_S = 2.0


class EventFeed:
    """Use as `async with EventFeed(topics, resume=id) as feed: async for packet in feed.packets(): ...`.

    `cursor` is the id up to which everything has been delivered or does not concern the topics. `missed` says
    that the id to resume from is no longer kept (or never existed): the client must read state afresh.
    """

    def __init__(self, topics: Collection[str], *, resume: int | None = None) -> None:
        self.topics = frozenset(topics)
        self.resume = resume
        self.cursor = 0
        self.newest = 0
        self.missed = False
        self._hub = hub()
        self._moved = asyncio.Event()
        self._prices_version = self._hub.prices_version

    async def __aenter__(self) -> EventFeed:
        # Join before looking at Postgres: what is numbered in between is heard of twice and delivered once.
        await self._hub.enter(self._moved)
        try:
            await self._place_cursor()
        except BaseException:
            await self._hub.leave(self._moved)
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
        await self._hub.leave(self._moved)

    async def packets(self) -> AsyncIterator[Packet]:
        """Yield events for ever. Ends only by cancellation or a closed consumer."""
        async for packet in self._catch_up(self.newest):
            yield packet
        while True:
            self._moved.clear()
            held = self._hub.after(self.cursor)
            if held is None:
                async for packet in self._catch_up(self._hub.last):
                    yield packet
                continue
            for packet in held:
                self.cursor = packet.event["id"]
                if packet.topic in self.topics:
                    yield _unnumbered(packet) if packet.topic == OUTSIDE_THE_PROMISE else packet
            if "prices" in self.topics:
                prices = self._hub.prices_after(self._prices_version)
                self._prices_version = self._hub.prices_version
                if prices is not None:
                    yield prices
            if not await self._has_moved():
                async for packet in self._poll():
                    yield packet

    async def _has_moved(self) -> bool:
        """Wait until the hub heard something. False after a while of silence."""
        try:
            async with asyncio.timeout(POLL_S):
                await self._moved.wait()
        except TimeoutError:
            return False
        return True

    async def _poll(self) -> AsyncIterator[Packet]:
        """Nothing came for a while: see whether something should have."""
        try:
            newest = await head().newest()
        except (DatabaseError, InterfaceError) as error:
            log.warning("live_poll_failed", error=type(error).__name__)
            return
        async for packet in self._catch_up(newest):
            yield packet

    async def _catch_up(self, up_to: int) -> AsyncIterator[Packet]:
        while self.cursor < up_to:
            page = await in_database(events_between, self.cursor, up_to, self.topics)
            for event in page:
                self.cursor = event["id"]
                yield Packet(event)
            if len(page) < PAGE:
                self.cursor = up_to


def _unnumbered(packet: Packet) -> Packet:
    return Packet({**packet.event, "id": None})
