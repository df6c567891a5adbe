"""A market stream that stays up: back-off, staleness watchdog, overlapping renewal before 24 hours.

Source: Binance spot documentation, "WebSocket streams" (24-hour limit, 5 control messages a second,
1024 streams per connection).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final

import structlog

from universe.adapters.binance.connection import ConnectionEnded, StreamConnection
from universe.adapters.binance.endpoints import Endpoints
from universe.adapters.binance.events import (
    BookTickerEvent,
    Connected,
    Disconnected,
    KlineEvent,
    MarketEvent,
    MarkPriceEvent,
    StreamEvent,
    SubscriptionRefused,
    TradeEvent,
    parse_market_event,
)

log = structlog.get_logger(__name__)

MAX_STREAMS: Final = 1024
MAX_AGE_S: Final = 23 * 3600.0
STALE_AFTER_S: Final = 15.0
BACKOFF_FIRST_S: Final = 0.5
BACKOFF_MAX_S: Final = 30.0
_HEALTHY_AFTER_S: Final = 30.0
_QUEUE: Final = 20_000


def stream_name(symbol: str, kind: str) -> str:
    """Return e.g. `btcusdt@kline_1m` for ("BTCUSDT", "kline_1m")."""
    return f"{symbol.lower()}@{kind}"


class MarketStream:
    """One logical subscription to a set of streams over one (while renewing: two) connections.

    Of spot by default; `root` names another address, such as one of the roots USD-M splits its streams over.
    Use from one event loop: `async for event in stream.events()`. `add` and `remove` change the set at
    any time. A renewal overlaps, so it yields no Disconnected; what both connections deliver is given
    once. After a Disconnected the consumer back-fills.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        streams: Iterable[str] = (),
        *,
        root: str | None = None,
        stale_after_s: float = STALE_AFTER_S,
        max_age_s: float = MAX_AGE_S,
        backoff_first_s: float = BACKOFF_FIRST_S,
        clock_ns: Callable[[], int] = time.time_ns,
        rng: random.Random | None = None,
    ) -> None:
        self._url = f"{root or endpoints.spot_streams}/stream"
        self._wanted: dict[str, None] = dict.fromkeys(streams)
        self._check_size()
        self._stale_after_s = stale_after_s
        self._max_age_s = max_age_s
        self._backoff_first_s = backoff_first_s
        self._clock_ns = clock_ns
        self._rng = rng or random.Random()
        self._queue: asyncio.Queue[StreamEvent] = asyncio.Queue(_QUEUE)
        self._current: StreamConnection | None = None
        self._connections = 0
        self._closed = asyncio.Event()
        self._last_message = 0.0
        self._seen: dict[tuple[str, str], int] = {}
        self.malformed = 0

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams asked for, in the order they were added."""
        return tuple(self._wanted)

    async def add(self, *streams: str) -> None:
        """Subscribe more streams; kept for every later connection.

        Raises
        ------
        ValueError : more than 1024 streams in all.
        """
        new = [name for name in streams if name not in self._wanted]
        self._check_size(len(new))
        self._wanted.update(dict.fromkeys(new))
        if new and self._current is not None:
            with contextlib.suppress(ConnectionEnded):  # the next connection subscribes the whole set
                await self._note_refused(await self._current.control("SUBSCRIBE", new))

    async def remove(self, *streams: str) -> None:
        """Stop streams; unknown names are ignored."""
        gone = [name for name in streams if name in self._wanted]
        for name in gone:
            del self._wanted[name]
        if gone and self._current is not None:
            with contextlib.suppress(ConnectionEnded):
                await self._current.control("UNSUBSCRIBE", gone)

    async def close(self) -> None:
        """End `events` and every connection."""
        self._closed.set()

    async def events(self) -> AsyncIterator[StreamEvent]:
        """Yield events until `close`; reconnects for ever, never raises for the network's sake."""
        keeper = asyncio.create_task(self._keep_connected())
        closing = asyncio.create_task(self._closed.wait())
        try:
            while not self._closed.is_set():
                if not self._queue.empty():
                    yield self._queue.get_nowait()
                    continue
                getting = asyncio.create_task(self._queue.get())
                await asyncio.wait({getting, closing, keeper}, return_when=asyncio.FIRST_COMPLETED)
                if getting.done():
                    yield getting.result()
                else:
                    getting.cancel()
                if keeper.done():
                    keeper.result()  # a defect of ours: raise it here rather than wait for ever
        finally:
            for task in (keeper, closing):
                task.cancel()
            await asyncio.gather(keeper, closing, return_exceptions=True)

    async def _keep_connected(self) -> None:
        failures = 0
        while not self._closed.is_set():
            started = time.monotonic()
            try:
                await self._run_until_broken()
            except ConnectionEnded as ended:
                log.warning("market_stream_ended", reason=str(ended))
                await self._queue.put(Disconnected(self._clock_ns(), str(ended)))
            failures = 0 if time.monotonic() - started > _HEALTHY_AFTER_S else failures + 1
            ceiling = min(BACKOFF_MAX_S, self._backoff_first_s * 2 ** min(failures, 10))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ceiling * (0.5 + self._rng.random() / 2)):
                    await self._closed.wait()

    async def _run_until_broken(self) -> None:
        """Hold a connection, renewing it before the venue's limit, until it breaks."""
        self._seen.clear()  # a restarted venue may count from the start again
        reader, connection = await self._connected()
        streams = self.streams
        await self._queue.put(Connected(self._clock_ns(), self._connections, streams))
        wait_s = self._max_age_s
        try:
            while True:
                self._current = connection
                # Jitter keeps several processes from renewing in the same second.
                await self._watch(reader, time.monotonic() + wait_s * (1 - 0.05 * self._rng.random()))
                old_reader, old = reader, connection
                try:
                    reader, connection = await self._connected()
                except ConnectionEnded as failed:
                    log.warning("market_stream_renewal_failed", reason=str(failed))
                    wait_s = min(BACKOFF_MAX_S, self._max_age_s)
                    continue
                wait_s = self._max_age_s
                await _end(old_reader, old)
        finally:
            self._current = None
            await _end(reader, connection)

    async def _connected(self) -> tuple[asyncio.Task[None], StreamConnection]:
        connection = await StreamConnection.open(self._url)
        self._last_message = time.monotonic()
        reader = asyncio.create_task(self._read(connection))
        try:
            subscribed = self.streams
            await self._note_refused(await connection.control("SUBSCRIBE", subscribed))
            # Streams added while the first subscription was under way.
            late = [name for name in self.streams if name not in set(subscribed)]
            await self._note_refused(await connection.control("SUBSCRIBE", late))
        except BaseException:
            await _end(reader, connection)
            raise
        self._connections += 1
        return reader, connection

    async def _watch(self, reader: asyncio.Task[None], renew_at: float) -> None:
        """Return when it is time to renew.

        Raises
        ------
        ConnectionEnded : the connection broke, or fell silent.
        """
        while True:
            now = time.monotonic()
            silent = now - self._last_message
            if self._wanted and silent >= self._stale_after_s:
                raise ConnectionEnded(f"no message for {silent:.0f} s")
            if now >= renew_at:
                return
            pause = min(renew_at - now, max(self._stale_after_s - silent, 0.01))
            done, _ = await asyncio.wait({reader}, timeout=pause)
            if done:
                reader.result()  # raises ConnectionEnded

    async def _read(self, connection: StreamConnection) -> None:
        async for data in connection.messages():
            self._last_message = time.monotonic()
            try:
                event = parse_market_event(data, self._clock_ns())
            except (KeyError, TypeError, ValueError) as error:
                self.malformed += 1
                log.warning("market_event_malformed", kind=data.get("e"), error=str(error))
                continue
            if event is not None and self._is_new(event):
                await self._queue.put(event)

    def _is_new(self, event: MarketEvent) -> bool:
        """Drop what the other connection of an overlap already delivered, or delivered later."""
        match event:
            case BookTickerEvent():
                key, number = (event.symbol, "book"), event.update_id
            case TradeEvent():
                key, number = (event.symbol, "trade"), event.trade_id
            case MarkPriceEvent():
                return True  # the newest overwrites, whichever connection it came by
            case KlineEvent():
                # Open updates of one bar repeat by nature; its closing message comes once.
                key, number = (event.symbol, event.interval), event.open_time_ms * 2 + int(event.closed)
                last = self._seen.get(key, -1)
                if number < last or (event.closed and number == last):
                    return False
                self._seen[key] = number
                return True
        if number <= self._seen.get(key, -1):
            return False
        self._seen[key] = number
        return True

    async def _note_refused(self, refused: list[tuple[tuple[str, ...], str]]) -> None:
        for names, message in refused:
            for name in names:
                self._wanted.pop(name, None)
            log.warning("market_stream_refused", streams=len(names), message=message)
            await self._queue.put(SubscriptionRefused(self._clock_ns(), names, message))

    def _check_size(self, more: int = 0) -> None:
        if len(self._wanted) + more > MAX_STREAMS:
            raise ValueError(f"at most {MAX_STREAMS} streams per connection")


async def _end(reader: asyncio.Task[None], connection: StreamConnection) -> None:
    reader.cancel()
    # wait, not await: the reader's own end is of no interest, but our caller's cancellation must pass.
    await asyncio.wait({reader})
    await connection.close()
