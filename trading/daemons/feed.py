"""The feed: market streams into bars and quotes, user streams into the journal, gaps closed after every loss.

One process holds the lease; another one may stand by. It decides nothing: it stores and hints.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.live.groups import push_prices_async
from nautilus_site.common.services.hints import send_hint
from nautilus_site.common.services.leases import Held, lease_acquire, lease_release, lease_renew
from trading.adapters.binance.user_stream import UserStream
from trading.domain.errors import VenueError
from trading.domain.ports import KlineRecord
from trading.models import Account, Credential, Strategy
from trading.services.credentials import credential_open
from trading.services.demo import demo_strategies_install
from trading.services.heartbeats import heartbeat
from trading.services.reconcile import reconcile_request
from trading.services.venue_events import venue_event_store
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

BASE_INTERVAL = "1m"
HISTORY_BARS = 500
QUOTE_FLUSH_S = 0.2
PRICE_PUSH_S = 0.5
LEASE_RENEW_S = 2.0
STORE_RETRY_S = 0.5
KEY_RETRY_S = 5.0


class Feed:
    """Everything one feed process does for the spot venue and its accounts."""

    def __init__(self) -> None:
        self._stopping = asyncio.Event()
        self._held: Held | None = None
        self._instruments: dict[str, Instrument] = {}
        self._intervals: set[str] = {BASE_INTERVAL}
        self._quotes: dict[str, BookTickerEvent] = {}
        self._changed: set[str] = set()
        self._bars: dict[tuple[str, str], KlineEvent] = {}
        self._market_time_ms: dict[str, int] = {}
        self._market_name = f"market:{SPOT_VENUE}"
        self._heard_market = 0.0

    async def run(self) -> None:
        """Run until stopped: wait for the lease, prepare, then stream."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        holder = f"{socket.gethostname()}:{os.getpid()}"
        while not self._stopping.is_set() and self._held is None:
            self._held = await _db(lease_acquire, name="feed:spot", holder=holder)
            if self._held is None:
                await self._pause(1.0)
        if self._held is None:
            return
        tasks = [asyncio.create_task(self._keep_lease()), asyncio.create_task(self._work())]
        stop = asyncio.create_task(self._stopping.wait())
        try:
            done, _ = await asyncio.wait({stop, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stop}:
                task.result()
        finally:
            for task in (*tasks, stop):
                task.cancel()
            await asyncio.gather(*tasks, stop, return_exceptions=True)
            await _db(lease_release, self._held)

    async def _keep_lease(self) -> None:
        assert self._held is not None
        while True:
            await asyncio.sleep(LEASE_RENEW_S)
            try:
                if not await _db(lease_renew, self._held):
                    raise RuntimeError("the feed's lease was taken by another process")
                await _db(heartbeat, kind="feed", detail={"symbols": len(self._instruments)})
                if time.monotonic() - self._heard_market < LEASE_RENEW_S:
                    await _db(stream_heard, name=self._market_name, at=now())
            except DatabaseError as error:
                log.warning("feed_lease_not_renewed", error=type(error).__name__)

    async def _work(self) -> None:
        await self._prepare()
        accounts = await _db(_accounts)
        market = MarketStream(configured_endpoints(), self._stream_names())
        async with asyncio.TaskGroup() as group:
            group.create_task(self._market(market))
            group.create_task(self._flush())
            group.create_task(self._follow_universe(market))
            for account in accounts:
                group.create_task(self._user(account))

    async def _prepare(self) -> None:
        """Sync instruments and fetch history, however long the venue takes to come up."""
        while True:
            try:
                await _db(self._sync)
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
        self._intervals = {BASE_INTERVAL, *Strategy.objects.values_list("interval", flat=True)}

    def _stream_names(self) -> list[str]:
        kinds = ["bookTicker", *(f"kline_{interval}" for interval in sorted(self._intervals))]
        return [stream_name(symbol, kind) for symbol in self._instruments for kind in kinds]

    async def _follow_universe(self, market: MarketStream) -> None:
        """Every 30 seconds: subscribe what was listed, let go of what is gone."""
        venue = await _db(Venue.objects.get, name=SPOT_VENUE)
        while True:
            await asyncio.sleep(30)
            before = set(self._stream_names())
            try:
                await _db(self._load, venue)
            except DatabaseError as error:
                log.warning("universe_not_read", error=type(error).__name__)
                continue
            after = set(self._stream_names())
            if after - before:
                await market.add(*sorted(after - before))
                await self._backfill_all()
            if before - after:
                await market.remove(*sorted(before - after))

    async def _market(self, market: MarketStream) -> None:
        async for event in market.events():
            await self._kept(self._market_event, event)

    async def _market_event(self, event: StreamEvent) -> None:
        match event:
            case BookTickerEvent():
                self._heard_market = time.monotonic()
                self._quotes[event.symbol] = event
                self._changed.add(event.symbol)
            case KlineEvent():
                self._heard_market = time.monotonic()
                self._bars[event.symbol, event.interval] = event
                self._market_time_ms[event.symbol] = (
                    event.close_time_ms if event.closed else event.open_time_ms
                )
                if event.closed:
                    await self._bar_closed(event)
            case Connected():
                state = await _db(stream_connected, name=self._market_name, at=_at(event.at_ns))
                since = state.gap_since
                await self._backfill_all()
                if since is not None:
                    await _db(stream_gap_closed, name=self._market_name, since=since)
            case Disconnected():
                await _db(
                    stream_disconnected, name=self._market_name, at=_at(event.at_ns), reason=event.reason
                )

    async def _bar_closed(self, event: KlineEvent) -> None:
        instrument = self._instruments.get(event.symbol)
        if instrument is None:
            return
        # The quote first: a decision about this bar is judged by a price at least as new as the bar.
        await self._store_quotes()
        await _db(bars_store, instrument, event.interval, [_kline(event)], Bar.Source.STREAM)
        await _db(
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
                    await _db(_backfill, instrument, interval)
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
            await _db(quotes_store, batch)

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

    async def _user(self, account: Account) -> None:
        """Follow an account's events for ever; a rotated key takes over at the next connection."""
        name = f"user:{account.name}"
        while True:
            try:
                key = await _db(credential_open, account=account, purpose=Credential.Purpose.FEED)
            except (ApplicationError, DatabaseError) as error:
                # One account without a key must not end the market's streams; its reconciliation still runs.
                log.error("user_stream_without_key", account=account.name, error=str(error)[:200])
                await asyncio.sleep(KEY_RETRY_S)
                continue
            stream = UserStream(configured_endpoints().spot_ws_api, api_key=key[0], api_secret=key[1])
            age = asyncio.create_task(self._user_age(name, stream))
            try:
                async for item in stream.events():
                    await self._kept(self._user_item, account, name, item)
                    if isinstance(item, Disconnected) and await self._key_changed(account, key):
                        break
            finally:
                age.cancel()

    async def _kept(self, store: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Store an event however long the database is away: it is kept, not dropped."""
        while True:
            try:
                return await store(*args)
            except (DatabaseError, InterfaceError) as error:
                log.error("event_waits_for_database", error=type(error).__name__)
                await asyncio.sleep(STORE_RETRY_S)

    async def _key_changed(self, account: Account, key: tuple[str, str]) -> bool:
        try:
            return bool(await _db(credential_open, account=account, purpose=Credential.Purpose.FEED) != key)
        except (ApplicationError, DatabaseError):
            return False

    async def _user_item(
        self, account: Account, name: str, item: Connected | Disconnected | dict[str, Any]
    ) -> None:
        match item:
            case Connected():
                await _db(stream_connected, name=name, at=_at(item.at_ns))
                # Whatever happened while nobody listened: the reconciliation closes the gap when it is clean.
                await _db(reconcile_request, account=account, actor="feed", trigger="gap")
            case Disconnected():
                await _db(stream_disconnected, name=name, at=_at(item.at_ns), reason=item.reason)
            case _:
                await _db(venue_event_store, account_id=account.pk, event=item)

    async def _user_age(self, name: str, stream: UserStream) -> None:
        while True:
            await asyncio.sleep(2)
            if time.monotonic() - stream.heard_at < 10:
                with contextlib.suppress(DatabaseError):
                    await _db(stream_heard, name=name, at=now())

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


def _accounts() -> list[Account]:
    return list(Account.objects.select_related("venue").filter(is_active=True, venue__name=SPOT_VENUE))


def _backfill(instrument: Instrument, interval: str) -> None:
    bars_backfill(instrument, interval, spot_market_data(), count=HISTORY_BARS)


async def _db(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Run blocking database work in the one database thread of this process."""

    def call() -> Any:
        close_old_connections()
        return function(*args, **kwargs)

    return await sync_to_async(call, thread_sensitive=True)()


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
