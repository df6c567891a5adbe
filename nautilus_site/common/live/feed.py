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
    """Use as `async with EventFeed(topics, resume=id) as feed: async for packets in feed.batches(): ...`.

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

    async def batches(self) -> AsyncIterator[list[Packet]]:
        """Yield what there is, at least one and at most a page, for ever: who is behind gets more at once.

        Ends only by cancellation or a closed consumer.
        """
        async for page in self._catch_up(self.newest):
            yield page
        while True:
            self._moved.clear()
            held = self._hub.after(self.cursor)
            if held is None:
                async for page in self._catch_up(self._hub.last):
                    yield page
                continue
            fresh = [*self._of_topics(held), *self._prices()]
            for start in range(0, len(fresh), PAGE):
                yield fresh[start : start + PAGE]
            if not await self._has_moved():
                async for page in self._poll():
                    yield page

    def _of_topics(self, held: list[Packet]) -> list[Packet]:
        if held:
            self.cursor = held[-1].event["id"]
        return [
            _unnumbered(packet) if packet.topic == OUTSIDE_THE_PROMISE else packet
            for packet in held
            if packet.topic in self.topics
        ]

    def _prices(self) -> list[Packet]:
        if "prices" not in self.topics:
            return []
        prices = self._hub.prices_after(self._prices_version)
        self._prices_version = self._hub.prices_version
        return [] if prices is None else [prices]

    async def _has_moved(self) -> bool:
        """Wait until the hub heard something. False after a while of silence."""
        try:
            async with asyncio.timeout(POLL_S):
                await self._moved.wait()
        except TimeoutError:
            return False
        return True

    async def _poll(self) -> AsyncIterator[list[Packet]]:
        """Nothing came for a while: see whether something should have."""
        try:
            newest = await head().newest()
        except (DatabaseError, InterfaceError) as error:
            log.warning("live_poll_failed", error=type(error).__name__)
            return
        async for page in self._catch_up(newest):
            yield page

    async def _catch_up(self, up_to: int) -> AsyncIterator[list[Packet]]:
        while self.cursor < up_to:
            page = await in_database(events_between, self.cursor, up_to, self.topics)
            self.cursor = page[-1]["id"] if len(page) == PAGE else up_to
            if page:
                yield [Packet(event) for event in page]


def _unnumbered(packet: Packet) -> Packet:
    return Packet({**packet.event, "id": None})
