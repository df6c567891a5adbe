"""The market streams of one venue into bars, quotes and mark prices, and prices to the screens.

Quotes are taken from the stream as they come and written a few times a second; bars, connections and losses are
stored by a second task, in order. So a price never waits for a bar, a back-fill or a database that is slow.

A process that is not in charge of the venue takes everything in as well and writes nothing; when it takes over it
writes what it knows at once, and the bars that closed while nobody wrote.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from django.conf import settings
from django.db import DatabaseError

from nautilus_site.common.clock import now
from nautilus_site.common.live.groups import push_prices_async
from nautilus_site.common.services.hints import send_hint
from trading.daemons.charge import Charge
from trading.daemons.price_members import price_members, wall_time
from trading.daemons.price_updates import kline_record, mark_update, quote_update
from trading.daemons.storing import apart, in_database, kept
from trading.domain.clock import NS_PER_MS, interval_ns, ns_to_datetime
from trading.domain.errors import VenueError
from trading.domain.values import Market
from trading.models import Strategy, StrategyInstance
from trading.services.demo import demo_futures_install, demo_strategies_install
from universe.adapters.binance import Endpoints, MarketStream
from universe.adapters.binance.events import (
    BookTickerEvent,
    Connected,
    Disconnected,
    KlineEvent,
    MarkPriceEvent,
    StreamEvent,
)
from universe.adapters.binance.streams import stream_name
from universe.domain.market_clock import MarketClock
from universe.models import Bar, Instrument, Venue
from universe.services import (
    SPOT_VENUE,
    USDM_VENUE,
    bars_backfill,
    bars_store,
    configured_endpoints,
    instruments_sync,
    market_data_of,
    marks_store,
    quotes_store,
    stream_connected,
    stream_disconnected,
    stream_gap_closed,
    stream_heard,
    venue_ensure,
)

log = structlog.get_logger(__name__)

BASE_INTERVAL: Final = "1m"
HISTORY_BARS: Final = 500
QUOTE_FLUSH_S: Final = 0.2
BOOK_HINT_S: Final = 0.1
PRICE_PUSH_S: Final = 0.5
FOLLOW_S: Final = 10.0
PREPARE_RETRY_S: Final = 1.0
# Bars a process that stands by remembers; its take-over lasts seconds, not minutes.
REMEMBERED_BARS: Final = 2000

_BOOK: Final = "bookTicker"
_KLINES: Final = "klines"
_MARK: Final = "markPrice@1s"


@dataclass(frozen=True, slots=True)
class MarketSource:
    """One venue, and over which of its stream roots each kind of stream comes."""

    market: Market
    venue_name: str
    roots: Callable[[Endpoints], dict[str, tuple[str, ...]]]

    @property
    def stream(self) -> str:
        """What its streams are called where it is written how they stand."""
        return f"market:{self.venue_name}"


SPOT: Final = MarketSource(
    Market.spot, SPOT_VENUE, lambda endpoints: {endpoints.spot_streams: (_BOOK, _KLINES)}
)
USDM: Final = MarketSource(
    Market.usdm,
    USDM_VENUE,
    lambda endpoints: {
        f"{endpoints.futures_streams}/public": (_BOOK,),
        f"{endpoints.futures_streams}/market": (_KLINES, _MARK),
    },
)


class MarketFeed:
    """Everything the feed does for one venue's public data."""

    def __init__(self, source: MarketSource, charge: Charge) -> None:
        self._source = source
        self._charge = charge
        self._instruments: dict[str, Instrument] = {}
        self._intervals: set[str] = set()
        self._shortest = BASE_INTERVAL
        self._quotes: dict[str, BookTickerEvent] = {}
        self._changed: set[str] = set()
        self._marks: dict[str, MarkPriceEvent] = {}
        self._marks_changed: set[str] = set()
        self._bars: dict[tuple[str, str], KlineEvent] = {}
        self._clocks: dict[str, MarketClock] = {}
        self._watched: set[str] = set()
        self._to_store: asyncio.Queue[KlineEvent | Connected | Disconnected] = asyncio.Queue()
        self._remembered: deque[KlineEvent] = deque(maxlen=REMEMBERED_BARS)
        self._streams: dict[str, MarketStream] = {}
        self._up: set[str] = set()
        self._heard = 0.0

    @property
    def symbols(self) -> int:
        """How many symbols are followed."""
        return len(self._instruments)

    async def run(self) -> None:
        """Learn what there is to follow, then stream until cancelled."""
        await self._prepare()
        endpoints = configured_endpoints()
        for root in self._source.roots(endpoints):
            self._streams[root] = MarketStream(endpoints, self._stream_names(root), root=root)
        async with asyncio.TaskGroup() as group:
            for root, stream in self._streams.items():
                group.create_task(self._listen(root, stream))
            group.create_task(self._store())
            group.create_task(self._flush())
            group.create_task(self._watch_books())
            group.create_task(self._follow_universe())

    async def take_over(self) -> None:
        """Write what is known, as the process that is in charge from now on."""
        if not self._streams:
            return  # still preparing: the first connection does the same
        self._changed |= set(self._quotes)
        self._marks_changed |= set(self._marks)
        with contextlib.suppress(DatabaseError):  # the next flush tries again
            await self._store_quotes()
        waiting = list(self._remembered)
        self._remembered.clear()
        for bar in waiting:
            self._to_store.put_nowait(bar)
        moment = time.time_ns()
        if self._is_up:
            self._to_store.put_nowait(Connected(moment, 1, ()))
        else:
            self._to_store.put_nowait(Disconnected(moment, "taken over unconnected"))

    async def note_age(self, within_s: float) -> None:
        """Write down that the stream lives, if it was heard lately."""
        if self._charge.is_held and time.monotonic() - self._heard < within_s:
            await in_database(stream_heard, name=self._source.stream, at=now())

    @property
    def _is_up(self) -> bool:
        return bool(self._streams) and len(self._up) == len(self._streams)

    async def _prepare(self) -> None:
        """Wait for instruments: whoever is in charge fetches them, however long the venue takes to come up."""
        while True:
            try:
                if self._charge.is_held:
                    await apart(self._sync)
                await in_database(self._load)
            except (VenueError, DatabaseError) as error:
                log.warning("feed_waits_for_venue", venue=self._source.venue_name, error=str(error)[:200])
            if self._instruments:
                return
            await asyncio.sleep(PREPARE_RETRY_S)

    def _sync(self) -> None:
        market = self._source.market.value
        venue = venue_ensure(market=market, environment=settings.BINANCE_ENV)
        if not Venue.objects.filter(pk=venue.pk, last_synced_at__isnull=False).exists():
            instruments_sync(venue, market_data_of(market))
        if settings.BINANCE_ENV != "local":
            return
        if self._source.market is Market.spot:
            demo_strategies_install()
        else:
            demo_futures_install()
            # The feed's own key may not change settings; a worker's may.
            send_hint("trading.tasks.demo_futures", queue="control")

    def _load(self) -> None:
        tradable = Instrument.objects.filter(venue__name=self._source.venue_name, status="TRADING").order_by(
            "symbol"
        )
        self._instruments = {i.symbol: i for i in tradable}
        wanted = set(Strategy.objects.values_list("interval", flat=True))
        # A replay hurries through hours: its minutes would only be written, never looked at.
        self._intervals = wanted if settings.REPLAY and wanted else {BASE_INTERVAL, *wanted}

        self._shortest = min(self._intervals, key=interval_ns)
        self._watched = set(
            StrategyInstance.objects.filter(
                instrument__in=tradable, steps_at_books=True, is_enabled=True, strategy__is_enabled=True
            ).values_list("instrument__symbol", flat=True)
        )

    def _stream_names(self, root: str) -> list[str]:
        names = {
            _BOOK: [_BOOK],
            _MARK: [_MARK],
            _KLINES: [f"kline_{interval}" for interval in sorted(self._intervals)],
        }
        kinds = [n for kind in self._source.roots(configured_endpoints())[root] for n in names[kind]]
        return [stream_name(symbol, kind) for symbol in self._instruments for kind in kinds]

    async def _follow_universe(self) -> None:
        """At intervals: subscribe what was listed, let go of what is gone."""
        while True:
            await asyncio.sleep(FOLLOW_S)
            before = {root: set(self._stream_names(root)) for root in self._streams}
            try:
                await in_database(self._load)
            except DatabaseError as error:
                log.warning("universe_not_read", error=type(error).__name__)
                continue
            grown = False
            for root, stream in self._streams.items():
                after = set(self._stream_names(root))
                if after - before[root]:
                    grown = True
                    await stream.add(*sorted(after - before[root]))
                if before[root] - after:
                    await stream.remove(*sorted(before[root] - after))
            if grown and self._charge.is_held:
                await self._backfill_all()

    async def _listen(self, root: str, stream: MarketStream) -> None:
        async for event in stream.events():
            self._take(root, event)

    def _take(self, root: str, event: StreamEvent) -> None:
        """Take an event in: quotes and forming bars overwrite, the rest queues up to be stored."""
        match event:
            case BookTickerEvent():
                self._heard = time.monotonic()
                self._quotes[event.symbol] = event
                self._changed.add(event.symbol)
            case MarkPriceEvent():
                self._marks[event.symbol] = event
                self._marks_changed.add(event.symbol)
            case KlineEvent():
                self._heard = time.monotonic()
                self._bars[event.symbol, event.interval] = event
                if event.interval == self._shortest:
                    self._clocks.setdefault(event.symbol, MarketClock()).bar(
                        event.open_time_ms * NS_PER_MS,
                        (event.close_time_ms + 1) * NS_PER_MS,
                        event.received_ns,
                    )
                if event.closed:
                    self._to_store.put_nowait(event)
            case Connected():
                self._up.add(root)
                if self._is_up:
                    self._to_store.put_nowait(event)
            case Disconnected():
                self._up.discard(root)
                self._to_store.put_nowait(event)

    async def _store(self) -> None:
        while True:
            event = await self._to_store.get()
            if self._charge.is_held:
                await kept(self._store_event, event)
            elif isinstance(event, KlineEvent):
                self._remembered.append(event)

    async def _store_event(self, event: KlineEvent | Connected | Disconnected) -> None:
        name = self._source.stream
        match event:
            case KlineEvent():
                await self._bar_closed(event)
            case Connected():
                state = await in_database(stream_connected, name=name, at=wall_time(event.at_ns))
                since = state.gap_since
                await self._backfill_all()
                if since is not None:
                    await in_database(stream_gap_closed, name=name, since=since)
            case Disconnected():
                await in_database(
                    stream_disconnected, name=name, at=wall_time(event.at_ns), reason=event.reason
                )

    async def _bar_closed(self, event: KlineEvent) -> None:
        instrument = self._instruments.get(event.symbol)
        if instrument is None:
            return
        # The quote first: a decision about this bar is judged by a price at least as new as the bar.
        await self._store_quotes()
        await in_database(bars_store, instrument, event.interval, [kline_record(event)], Bar.Source.STREAM)
        await in_database(
            send_hint,
            "trading.tasks.bar_closed",
            queue="trading",
            instrument_id=instrument.pk,
            interval=event.interval,
        )

    async def _backfill_all(self) -> None:
        for instrument in list(self._instruments.values()):
            for interval in sorted(self._intervals):
                try:
                    await apart(_backfill, instrument, interval)
                except (VenueError, DatabaseError) as error:
                    log.warning(
                        "backfill_failed", symbol=instrument.symbol, interval=interval, error=str(error)[:200]
                    )

    async def _flush(self) -> None:
        """Write changed quotes a few times a second, and show prices to the screens."""
        pushed = 0.0
        while True:
            await asyncio.sleep(QUOTE_FLUSH_S)
            if not self._charge.is_held:
                continue
            try:
                await self._store_quotes()
            except DatabaseError as error:
                log.warning("quotes_not_stored", error=type(error).__name__)
            if time.monotonic() - pushed >= PRICE_PUSH_S:
                pushed = time.monotonic()
                await push_prices_async(
                    price_members(
                        self._source.market, self._quotes, self._marks, self._bars, self._market_time
                    )
                )

    async def _watch_books(self) -> None:
        """Tell of changed books where a strategy looks at them; the quote is stored first."""
        while True:
            await asyncio.sleep(BOOK_HINT_S)
            changed = self._watched & self._changed
            if not changed or not self._charge.is_held:
                continue
            try:
                await self._store_quotes(changed)
            except DatabaseError as error:
                log.warning("quotes_not_stored", error=type(error).__name__)
                continue
            for symbol in sorted(changed):
                await in_database(
                    send_hint,
                    "trading.tasks.book_changed",
                    queue="trading",
                    worthless_after_s=10 * BOOK_HINT_S,
                    instrument_id=self._instruments[symbol].pk,
                )

    async def _store_quotes(self, only: set[str] | None = None) -> None:
        changed = self._changed if only is None else self._changed & only
        self._changed = self._changed - changed
        batch = [
            quote_update(instrument.pk, quote, self._market_time(symbol))
            for symbol in changed
            if (instrument := self._instruments.get(symbol)) and (quote := self._quotes.get(symbol))
        ]
        if batch:
            await in_database(quotes_store, batch)
        moved, self._marks_changed = self._marks_changed, set()
        marks = [
            mark_update(instrument.pk, mark)
            for symbol in moved
            if (instrument := self._instruments.get(symbol)) and (mark := self._marks.get(symbol))
        ]
        if marks:
            await in_database(marks_store, marks)

    def _market_time(self, symbol: str) -> datetime | None:
        """Market time of the newest quote of a symbol, which carries none on spot; a new one borrows a clock."""
        quote, clocks = self._quotes.get(symbol), (self._clocks.get(symbol), *self._clocks.values())
        at = quote.received_ns if quote else time.time_ns()
        return next((ns_to_datetime(ns) for clock in clocks if clock and (ns := clock.now(at))), None)


def _backfill(instrument: Instrument, interval: str) -> None:
    bars_backfill(instrument, interval, market_data_of(instrument.market), count=HISTORY_BARS)
