"""Turns events of the spot market into stream payloads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testnet.api.call import Venue
from testnet.candle_json import candle_json
from testnet.klines import INTERVALS, ONE_SECOND, Bar
from testnet.listing import Listing
from testnet.seconds import SECOND_MS
from testnet.spot.api.public import aggregate_json, depth_json
from testnet.tape import Aggregate, Trade
from testnet.web.depth_pace import PARTIAL_LEVELS, DepthPace, changes
from testnet.web.hub import Hub
from testnet.web.spot_payloads import (
    WINDOWS,
    average_json,
    mini_ticker_json,
    ticker_json,
    window_json,
)

SPOT = "spot"
SLOW_MS = 1_000
# The names of each pace.
_PACES = ((100, ("@100ms",)), (1_000, ("", "@1000ms")))
Render = Callable[[Listing, int, int], dict[str, Any]]


class _Sent:
    """What one symbol's streams have sent so far."""

    __slots__ = ("paces", "second_at", "ticker_at", "top")

    def __init__(self, listing: Listing, market_ms: int) -> None:
        symbol, update_id = listing.instrument.symbol.lower(), listing.book.update_id
        self.top: tuple[Any, Any] | None = None
        self.ticker_at = 0
        self.second_at = market_ms // SECOND_MS * SECOND_MS  # seconds before it have been sent
        self.paces = [
            DepthPace(
                every_ms,
                tuple(f"{symbol}@depth{name}" for name in names),
                tuple((n, f"{symbol}@depth{n}{name}") for n in PARTIAL_LEVELS for name in names),
                update_id,
            )
            for every_ms, names in _PACES
        ]


class MarketStreams:
    """Listens to the exchange and publishes; nothing is encoded that nobody reads."""

    def __init__(self, venue: Venue, hub: Hub) -> None:
        self._venue = venue
        self._hub = hub
        self._sent: dict[str, _Sent] = {}
        self._slow_at = 0

    # -- events ----------------------------------------------------------------------------

    def trade(self, listing: Listing, trade: Trade) -> None:
        """Publish one trade."""
        instrument = listing.instrument
        stream = f"{instrument.symbol.lower()}@trade"
        if instrument.market != SPOT or not self._hub.wants(stream):
            return
        payload = {
            "e": "trade",
            "E": self._venue.server_ms(),
            "s": instrument.symbol,
            "t": trade.trade_id,
            "p": instrument.price_text(trade.price),
            "q": instrument.qty_text(trade.steps),
            "T": trade.time_ms,
            "m": trade.buyer_is_maker,
            "M": True,
        }
        self._hub.publish(stream, payload, "trade", instrument.symbol)

    def aggregates(self, listing: Listing, aggregates: list[Aggregate]) -> None:
        """Publish the aggregates of one taker."""
        instrument = listing.instrument
        stream = f"{instrument.symbol.lower()}@aggTrade"
        if instrument.market != SPOT or not self._hub.wants(stream):
            return
        for aggregate in aggregates:
            payload = {
                "e": "aggTrade",
                "E": self._venue.server_ms(),
                "s": instrument.symbol,
                **aggregate_json(instrument, aggregate),
            }
            self._hub.publish(stream, payload, "aggTrade", instrument.symbol)

    def bars_closed(self, listing: Listing, closed: list[tuple[str, Bar]]) -> None:
        """Publish the final state of every candle that closed."""
        if listing.instrument.market == SPOT:
            for interval, bar in closed:
                self._kline(listing, interval, bar, is_closed=True)

    def _kline(self, listing: Listing, interval: str, bar: Bar, *, is_closed: bool) -> None:
        instrument = listing.instrument
        stream = f"{instrument.symbol.lower()}@kline_{interval}"
        if not self._hub.wants(stream):
            return
        payload = {
            "e": "kline",
            "E": self._venue.server_ms(),
            "s": instrument.symbol,
            "k": {"s": instrument.symbol}
            | candle_json(instrument, interval, bar, listing.tape.trade_id, is_closed=is_closed),
        }
        self._hub.publish(stream, payload, "kline", instrument.symbol)

    # -- timers ----------------------------------------------------------------------------

    def tick(self, wall_ms: int) -> None:
        """Publish what is due; called about every 100 ms of wall time."""
        is_slow = wall_ms - self._slow_at >= SLOW_MS
        if is_slow:
            self._slow_at = wall_ms
        for listing in list(self._venue.exchange.spot.listings.values()):
            sent = self._of(listing)
            self._book_ticker(listing, sent)
            self._depth(listing, sent, wall_ms)
            if is_slow:
                self._slow(listing, sent)
        if is_slow:
            self._all_symbols()

    def forget(self, symbol: str) -> None:
        """Drop what is known of a delisted symbol."""
        self._sent.pop(symbol, None)

    def _of(self, listing: Listing) -> _Sent:
        found = self._sent.get(listing.instrument.symbol)
        if found is None:
            found = _Sent(listing, self._venue.exchange.now_ms())
            self._sent[listing.instrument.symbol] = found
        return found

    def _book_ticker(self, listing: Listing, sent: _Sent) -> None:
        """Publish best bid and ask if they changed since the last time."""
        symbol = listing.instrument.symbol
        top = (listing.book.bids.top(1), listing.book.asks.top(1))
        if top == sent.top:
            return
        sent.top = top
        stream = f"{symbol.lower()}@bookTicker"
        if not self._hub.wants(stream) and not self._hub.wants("!bookTicker"):
            return
        instrument = listing.instrument
        bid, ask = (top[0] or [(0, 0)])[0], (top[1] or [(0, 0)])[0]
        payload = {
            "u": listing.book.update_id,
            "s": symbol,
            "b": instrument.price_text(bid[0]),
            "B": instrument.qty_text(bid[1]),
            "a": instrument.price_text(ask[0]),
            "A": instrument.qty_text(ask[1]),
        }
        self._hub.publish(stream, payload, "bookTicker", symbol)
        self._hub.publish("!bookTicker", payload, "bookTicker", symbol)

    def _depth(self, listing: Listing, sent: _Sent, wall_ms: int) -> None:
        book = listing.book
        bids, asks = book.bids.touched, book.asks.touched
        for pace in sent.paces:
            diffs = [name for name in pace.diff_names if self._hub.wants(name)]
            partials = [row for row in pace.partial_names if self._hub.wants(row[1])]
            if not diffs and not partials:
                pace.skip(book.update_id)
                continue
            pace.touch(bids, asks)
            if (pace.bids or pace.asks) and pace.is_due(wall_ms):
                self._send_depth(listing, pace, diffs, partials)
                pace.begin(book.update_id, wall_ms)
        bids.clear()
        asks.clear()

    def _send_depth(
        self, listing: Listing, pace: DepthPace, diffs: list[str], partials: list[tuple[int, str]]
    ) -> None:
        instrument, book = listing.instrument, listing.book
        if diffs:
            bids, asks = changes(instrument, book, pace)
            payload = {
                "e": "depthUpdate",
                "E": self._venue.server_ms(),
                "s": instrument.symbol,
                "U": pace.last_id + 1,
                "u": book.update_id,
                "b": bids,
                "a": asks,
            }
            for name in diffs:
                self._hub.publish(name, payload, "depthUpdate", instrument.symbol)
        for levels, name in partials:
            self._hub.publish(name, depth_json(listing, levels), "depth", instrument.symbol)

    def _slow(self, listing: Listing, sent: _Sent) -> None:
        lower = listing.instrument.symbol.lower()
        self._seconds(listing, sent)
        for interval in INTERVALS:
            if self._hub.wants(f"{lower}@kline_{interval}"):
                bar = listing.klines.running(interval)
                if bar is not None:
                    self._kline(listing, interval, bar, is_closed=False)
        if sent.ticker_at == listing.tape.trade_id:
            return
        sent.ticker_at = listing.tape.trade_id
        renders: list[tuple[str, Render]] = [
            ("miniTicker", mini_ticker_json),
            ("ticker", ticker_json),
            ("avgPrice", average_json),
            *((f"ticker_{window}", window_json(window)) for window in WINDOWS),
        ]
        for name, render in renders:
            if self._hub.wants(f"{lower}@{name}"):
                payload = self._rendered(render, listing)
                self._hub.publish(f"{lower}@{name}", payload, payload["e"], listing.instrument.symbol)

    def _seconds(self, listing: Listing, sent: _Sent) -> None:
        """Publish every second that has closed since the last time, then the running one."""
        running = self._venue.exchange.now_ms() // SECOND_MS * SECOND_MS
        if self._hub.wants(f"{listing.instrument.symbol.lower()}@kline_{ONE_SECOND}"):
            for bar in listing.klines.seconds.span(sent.second_at, running):
                self._kline(listing, ONE_SECOND, bar, is_closed=bar.open_ms < running)
        sent.second_at = running

    def _rendered(self, render: Render, listing: Listing) -> dict[str, Any]:
        return render(listing, self._venue.exchange.now_ms(), self._venue.server_ms())

    def _all_symbols(self) -> None:
        listings = list(self._venue.exchange.spot.listings.values())
        renders: list[tuple[str, Render]] = [
            ("!miniTicker@arr", mini_ticker_json),
            ("!ticker@arr", ticker_json),
            *((f"!ticker_{window}@arr", window_json(window)) for window in WINDOWS),
        ]
        for stream, render in renders:
            if listings and self._hub.wants(stream):
                rows = [self._rendered(render, listing) for listing in listings]
                self._hub.publish(stream, rows, rows[0]["e"])
