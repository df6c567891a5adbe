"""`/ws/live/`: events pushed to one socket."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from typing import Any

import structlog
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import DatabaseError, InterfaceError

from nautilus_site.common.clock import now_ms
from nautilus_site.common.live.credentials import Credentials, Watcher, watcher_now
from nautilus_site.common.live.feed import EventFeed
from nautilus_site.common.live.packets import batch_text, compact
from nautilus_site.common.live.protocol import (
    NOT_PERMITTED,
    SLOW,
    TOO_MANY,
    UNAVAILABLE,
    MessageRate,
    ProtocolError,
    Subscribe,
    parse_frame,
)

log = structlog.get_logger(__name__)

HEARTBEAT_S = 10.0
RECHECK_S = 5.0
SLOW_READER_S = 10.0
SOCKETS_PER_USER = 40

_open_sockets: Counter[int] = Counter()


class LiveConsumer(AsyncWebsocketConsumer):
    """Reads one subscription, then writes events; the feed behind it guarantees order and completeness.

    Nothing is buffered per socket: a slow reader makes its feed fall behind, and what the hub no longer holds by
    then is fetched from Postgres. A reader that takes nothing for ten seconds is closed.
    """

    watcher: Watcher
    credentials: Credentials

    async def connect(self) -> None:
        self.watcher = self.scope["watcher"]
        self.credentials = self.scope["credentials"]
        self._rate = MessageRate()
        self._feeding: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._sending = asyncio.Lock()
        self._sending_since: float | None = None
        self._counted = _open_sockets[self.watcher.user_id] < SOCKETS_PER_USER
        if not self._counted:
            await self.close(code=TOO_MANY, reason="too many open sockets")
            return
        _open_sockets[self.watcher.user_id] += 1
        await self.accept()
        self._keeping = asyncio.create_task(self._keep())

    async def disconnect(self, code: int) -> None:
        if getattr(self, "_counted", False):
            self._counted = False
            _open_sockets[self.watcher.user_id] -= 1
            if _open_sockets[self.watcher.user_id] <= 0:
                del _open_sockets[self.watcher.user_id]
        for task in (self._feeding, self._keeping):
            await _stop(task)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        try:
            self._rate.count()
            wanted = parse_frame(text_data)
            if wanted is None:
                return
            for topic in wanted.topics:
                if not self.watcher.may_watch(topic):
                    raise ProtocolError(NOT_PERMITTED, f"you may not watch {topic}")
        except ProtocolError as error:
            await self.close(code=error.code, reason=error.reason)
            return
        await _stop(self._feeding)
        self._feeding = asyncio.create_task(self._feed(wanted))

    async def _feed(self, wanted: Subscribe) -> None:
        try:
            async with EventFeed(wanted.topics, resume=wanted.resume) as feed:
                answer: dict[str, Any] = {"subscribed": list(wanted.topics), "last_id": feed.newest}
                if feed.missed:
                    answer["missed"] = True
                await self._write(compact(answer))
                async for packets in feed.batches():
                    if wanted.batched:
                        await self._write(batch_text(packets))
                        continue
                    for packet in packets:
                        await self._write(packet.text)
        except (DatabaseError, InterfaceError) as error:
            log.warning("live_feed_failed", error=type(error).__name__)
            await self._finish(UNAVAILABLE, "try again")

    async def _keep(self) -> None:
        """Heartbeats, and a look whether this person may still watch."""
        since_ping = 0.0
        while True:
            await asyncio.sleep(RECHECK_S)
            since_ping += RECHECK_S
            if self._sending_since is not None and time.monotonic() - self._sending_since >= SLOW_READER_S:
                await self._finish(SLOW, "the reader is too slow")
            try:
                watcher = await watcher_now(self.credentials)
            except (DatabaseError, InterfaceError) as error:
                # Not an answer about the person; events cannot be read either until Postgres is back.
                log.warning("live_recheck_failed", error=type(error).__name__)
                watcher = self.watcher
            if watcher is None:
                await self._finish(NOT_PERMITTED, "the log-in has ended")
                return
            self.watcher = watcher
            if since_ping >= HEARTBEAT_S:
                since_ping = 0.0
                try:
                    async with asyncio.timeout(SLOW_READER_S):
                        await self._write(compact({"ping": now_ms()}))
                except TimeoutError:
                    await self._finish(SLOW, "the reader is too slow")

    async def _write(self, text: str) -> None:
        """Send one message; `_keep` ends a reader that holds it up, as a timer for each would cost a fifth more."""
        async with self._sending:
            self._sending_since = time.monotonic()
            await self._send(text)
            self._sending_since = None

    async def _send(self, text: str) -> None:
        await self.base_send({"type": "websocket.send", "text": text})

    async def _finish(self, code: int, reason: str) -> None:
        """Close from within one of our own tasks; a peer that reads nothing cannot hold us here either."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SLOW_READER_S):
                await self.close(code=code, reason=reason)
        other = self._keeping if asyncio.current_task() is self._feeding else self._feeding
        await _stop(other)
        raise asyncio.CancelledError


async def _stop(task: asyncio.Task[None] | None) -> None:
    if task is None or task is asyncio.current_task():
        return
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task
