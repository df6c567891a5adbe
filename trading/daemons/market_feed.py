"""The market streams into bars and quotes, and prices to the screens.

Quotes are taken from the stream as they come and written a few times a second; bars, connections and losses are
stored by a second task, in order. So a price never waits for a bar, a back-fill or a database that is slow.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import DatabaseError

from nautilus_site.common.clock import now
from nautilus_site.common.live.groups import push_prices_async
from nautilus_site.common.services.hints import send_hint
from trading.daemons.storing import apart, in_database, kept
from trading.domain.errors import VenueError
from trading.domain.ports import KlineRecord
from trading.models import Strategy
from trading.services.demo import demo_strategies_install
from universe.adapters.binance import MarketStream
from universe.adapters.binance.events import (
    BookTickerEvent,
    Connected,
    Disconnected,
    KlineEvent,
    StreamEvent,
)
from universe.adapters.binance.streams import stream_name
from universe.models import Bar, Instrument, Venue
from universe.services import (
    SPOT_VENUE,
    QuoteUpdate,
    bars_backfill,
    bars_store,
    configured_endpoints,
    instruments_sync,
    quotes_store,
    spot_market_data,
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
PRICE_PUSH_S: Final = 0.5
FOLLOW_S: Final = 30.0
STREAM: Final = f"market:{SPOT_VENUE}"


class MarketFeed:
    """Everything the feed does for the spot venue's public data."""

    def __init__(self) -> None:
        self._instruments: dict[str, Instrument] = {}
        self._intervals: set[str] = set()
        self._quotes: dict[str, BookTickerEvent] = {}
        self._changed: set[str] = set()
        self._bars: dict[tuple[str, str], KlineEvent] = {}
        self._market_time_ms: dict[str, int] = {}
        self._to_store: asyncio.Queue[KlineEvent | Connected | Disconnected] = asyncio.Queue()
        self._heard = 0.0

    @property
    def symbols(self) -> int:
        """How many symbols are followed."""
        return len(self._instruments)

    async def run(self) -> None:
        """Sync, fetch history, then stream until cancelled."""
        await self._prepare()
        market = MarketStream(configured_endpoints(), self._stream_names())
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(market))
            group.create_task(self._store())
            group.create_task(self._flush())
            group.create_task(self._follow_universe(market))

    async def note_age(self, within_s: float) -> None:
        """Write down that the stream lives, if it was heard lately."""
        if time.monotonic() - self._heard < within_s:
            await in_database(stream_heard, name=STREAM, at=now())

    async def _prepare(self) -> None:
        """Sync instruments and fetch history, however long the venue takes to come up."""
        while True:
            try:
                await apart(self._sync)
                break
            except (VenueError, DatabaseError) as error:
                log.warning("feed_waits_for_venue", error=str(error)[:200])
                await asyncio.sleep(1.0)
        await self._backfill_all()

    def _sync(self) -> None:
        venue = venue_ensure(market="spot", environment=settings.BINANCE_ENV)
        if not Venue.objects.filter(pk=venue.pk, last_synced_at__isnull=False).exists():
            instruments_sync(venue, spot_market_data())
        if settings.BINANCE_ENV == "local":
            demo_strategies_install()
        self._load(venue)

    def _load(self, venue: Venue) -> None:
        tradable = Instrument.objects.filter(venue=venue, status="TRADING").order_by("symbol")
        self._instruments = {i.symbol: i for i in tradable}
        wanted = set(Strategy.objects.values_list("interval", flat=True))
        # A replay hurries through hours: its minutes would only be written, never looked at.
        self._intervals = wanted if settings.REPLAY and wanted else {BASE_INTERVAL, *wanted}

    def _stream_names(self) -> list[str]:
        kinds = ["bookTicker", *(f"kline_{interval}" for interval in sorted(self._intervals))]
        return [stream_name(symbol, kind) for symbol in self._instruments for kind in kinds]

    async def _follow_universe(self, market: MarketStream) -> None:
        """At intervals: subscribe what was listed, let go of what is gone."""
        venue = await in_database(Venue.objects.get, name=SPOT_VENUE)
        while True:
            await asyncio.sleep(FOLLOW_S)
            before = set(self._stream_names())
            try:
                await in_database(self._load, venue)
            except DatabaseError as error:
                log.warning("universe_not_read", error=type(error).__name__)
                continue
            after = set(self._stream_names())
            if after - before:
                await market.add(*sorted(after - before))
                await self._backfill_all()
            if before - after:
                await market.remove(*sorted(before - after))

    async def _listen(self, market: MarketStream) -> None:
        async for event in market.events():
            self._take(event)

    def _take(self, event: StreamEvent) -> None:
        """Take an event in: quotes and forming bars overwrite, the rest queues up to be stored."""
        match event:
            case BookTickerEvent():
                self._heard = time.monotonic()
                self._quotes[event.symbol] = event
                self._changed.add(event.symbol)
            case KlineEvent():
                self._heard = time.monotonic()
                self._bars[event.symbol, event.interval] = event
                self._market_time_ms[event.symbol] = (
                    event.close_time_ms if event.closed else event.open_time_ms
                )
                if event.closed:
                    self._to_store.put_nowait(event)
            case Connected() | Disconnected():
                self._to_store.put_nowait(event)

    async def _store(self) -> None:
        while True:
            await kept(self._store_event, await self._to_store.get())

    async def _store_event(self, event: KlineEvent | Connected | Disconnected) -> None:
        match event:
            case KlineEvent():
                await self._bar_closed(event)
            case Connected():
                state = await in_database(stream_connected, name=STREAM, at=_at(event.at_ns))
                since = state.gap_since
                await self._backfill_all()
                if since is not None:
                    await in_database(stream_gap_closed, name=STREAM, since=since)
            case Disconnected():
                await in_database(stream_disconnected, name=STREAM, at=_at(event.at_ns), reason=event.reason)

    async def _bar_closed(self, event: KlineEvent) -> None:
        instrument = self._instruments.get(event.symbol)
        if instrument is None:
            return
        # The quote first: a decision about this bar is judged by a price at least as new as the bar.
        await self._store_quotes()
        await in_database(bars_store, instrument, event.interval, [_kline(event)], Bar.Source.STREAM)
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
            try:
                await self._store_quotes()
            except DatabaseError as error:
                log.warning("quotes_not_stored", error=type(error).__name__)
            if time.monotonic() - pushed >= PRICE_PUSH_S:
                pushed = time.monotonic()
                await push_prices_async(self._price_members())

    async def _store_quotes(self) -> None:
        changed, self._changed = self._changed, set()
        batch = [
            QuoteUpdate(
                instrument_id=instrument.pk,
                bid=quote.bid,
                bid_quantity=quote.bid_quantity,
                ask=quote.ask,
                ask_quantity=quote.ask_quantity,
                received_at=_at(quote.received_ns),
                market_time=self._market_time(symbol),
            )
            for symbol in changed
            if (instrument := self._instruments.get(symbol)) and (quote := self._quotes.get(symbol))
        ]
        if batch:
            await in_database(quotes_store, batch)

    def _market_time(self, symbol: str) -> datetime | None:
        ms = self._market_time_ms.get(symbol)
        return datetime.fromtimestamp(ms / 1000, UTC) if ms else None

    def _price_members(self) -> dict[str, Any]:
        prices: dict[str, Any] = {}
        for symbol, quote in self._quotes.items():
            if quote.bid is None or quote.ask is None:
                continue
            market_at = self._market_time(symbol)
            prices[symbol] = {
                "bid": _plain(quote.bid),
                "ask": _plain(quote.ask),
                "mid": _plain((quote.bid + quote.ask) / 2),
                "market_at": market_at.isoformat() if market_at else None,
                "received_at": _at(quote.received_ns).isoformat(),
                "bars": {},
            }
        for (symbol, interval), bar in self._bars.items():
            if symbol in prices:
                prices[symbol]["bars"][interval] = {
                    "time": bar.open_time_ms // 1000,
                    "open": _plain(bar.open),
                    "high": _plain(bar.high),
                    "low": _plain(bar.low),
                    "close": _plain(bar.close),
                    "volume": _plain(bar.volume),
                    "closed": bar.closed,
                }
        return prices


def _backfill(instrument: Instrument, interval: str) -> None:
    bars_backfill(instrument, interval, spot_market_data(), count=HISTORY_BARS)


def _at(ns: int) -> datetime:
    return datetime.fromtimestamp(ns / 1e9, UTC)


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _kline(event: KlineEvent) -> KlineRecord:
    return KlineRecord(
        open_time_ms=event.open_time_ms,
        open=event.open,
        high=event.high,
        low=event.low,
        close=event.close,
        volume=event.volume,
        close_time_ms=event.close_time_ms,
        quote_volume=event.quote_volume,
        trades=event.trades,
        taker_base=event.taker_base,
        taker_quote=event.taker_quote,
    )
