"""A user stream that stays up: back-off, and a new connection before the old one reaches the venue's limit.

Whoever consumes it reconciles after every `Connected`: what was missed while it was down is never sent again. While a
connection is renewed both are read, so some events come twice; they are told apart by their content.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Protocol

import structlog
from websockets.exceptions import WebSocketException

from trading.domain.errors import VenueError
from universe.adapters.binance.events import Connected, Disconnected

log = structlog.get_logger(__name__)

RENEW_AFTER_S: Final = 23 * 3600.0
LINGER_S: Final = 2.0
BACKOFF_MAX_S: Final = 15.0
_RENEWAL_RETRY_S: Final = 30.0


class LinkEnded(Exception):
    """A connection is of no more use; the message says why."""


LINK_FAILURES: Final = (OSError, TimeoutError, WebSocketException, VenueError, LinkEnded)


class UserLink(Protocol):
    """One subscribed connection."""

    heard_at: float

    def events(self) -> AsyncIterator[dict[str, Any]]:
        """Yield events until the connection ends, by one of LINK_FAILURES or by returning."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


UserEvent = Connected | Disconnected | dict[str, Any]


class UserStream:
    """One account's events: `async for item in stream.events()` yields Connected, Disconnected and event dicts."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[UserLink]],
        *,
        renew_after_s: float = RENEW_AFTER_S,
        linger_s: float = LINGER_S,
    ) -> None:
        self._connect = connect
        self._renew_after_s = renew_after_s
        self._linger_s = linger_s
        self._queue: asyncio.Queue[UserEvent] = asyncio.Queue()
        self._link: UserLink | None = None
        self.connections = 0

    @property
    def heard_at(self) -> float:
        """When the other side was last known to be there, by `time.monotonic`."""
        return self._link.heard_at if self._link is not None else float("-inf")

    async def cut(self) -> None:
        """Let go of the connection there is; whether another opens is up to `connect`."""
        if self._link is not None:
            await self._link.close()

    async def events(self) -> AsyncIterator[UserEvent]:
        """Yield for ever; the network's failures become Disconnected items."""
        keeper = asyncio.create_task(self._keep())
        try:
            while True:
                getting = asyncio.create_task(self._queue.get())
                await asyncio.wait({getting, keeper}, return_when=asyncio.FIRST_COMPLETED)
                if not getting.done():
                    getting.cancel()
                    keeper.result()  # a defect of ours: raised here rather than waited for
                yield getting.result()
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def _keep(self) -> None:
        failures = 0
        while True:
            try:
                link = await self._connect()
            except LINK_FAILURES as error:
                reason = f"{type(error).__name__}: {error}"
            else:
                failures = 0
                self.connections += 1
                await self._queue.put(Connected(time.time_ns(), self.connections, ()))
                reason = await self._follow(link)
            log.warning("user_stream_ended", reason=reason)
            await self._queue.put(Disconnected(time.time_ns(), reason))
            failures += 1
            await asyncio.sleep(min(BACKOFF_MAX_S, 0.25 * 2**failures) * random.uniform(0.5, 1.0))

    async def _follow(self, link: UserLink) -> str:
        """Read a connection, and the ones that renew it, until one ends. Returns why."""
        reader = asyncio.create_task(self._read(link))
        try:
            renew_at = self._next_renewal()
            while True:
                self._link = link
                await asyncio.wait({reader}, timeout=max(0.0, renew_at - time.monotonic()))
                if reader.done():
                    return reader.result()
                try:
                    fresh = await self._connect()
                except LINK_FAILURES as error:
                    log.warning("user_stream_not_renewed", error=str(error)[:200])
                    renew_at = time.monotonic() + min(_RENEWAL_RETRY_S, self._renew_after_s)
                    continue
                old_reader, old = reader, link
                link, reader = fresh, asyncio.create_task(self._read(fresh))
                self.connections += 1
                # What is on its way over the old connection still arrives there.
                await asyncio.wait({old_reader}, timeout=self._linger_s)
                await _end(old_reader, old)
                renew_at = self._next_renewal()
        finally:
            self._link = None
            await _end(reader, link)

    def _next_renewal(self) -> float:
        # Jitter keeps several processes from renewing in the same second.
        return time.monotonic() + self._renew_after_s * random.uniform(0.95, 1.0)

    async def _read(self, link: UserLink) -> str:
        try:
            async for event in link.events():
                await self._queue.put(event)
        except LINK_FAILURES as error:
            return f"{type(error).__name__}: {error}"
        return "ended by the venue"


async def _end(reader: asyncio.Task[str], link: UserLink) -> None:
    reader.cancel()
    # wait, not await: the reader's own end is of no interest, but our caller's cancellation must pass.
    await asyncio.wait({reader})
    await link.close()
