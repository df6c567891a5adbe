"""Turns events of the futures market into stream payloads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testnet.api.call import Venue
from testnet.klines import INTERVALS, Bar
from testnet.listing import Listing
from testnet.orders import Order
from testnet.tape import Aggregate, Trade
from testnet.usdm.api.public import shown_id
from testnet.usdm.api.tickers import best_json
from testnet.usdm.payloads import (
    aggregate_event,
    candle_event,
    continuous_event,
    contract_event,
    depth_event,
    force_event,
    mark_event,
    mini_ticker_event,
    ticker_event,
    trade_event,
)
from testnet.web.depth_pace import PARTIAL_LEVELS, DepthPace, changes
from testnet.web.hub import Hub

USDM = "usdm"
SECOND_MS = 1_000
CANDLE_MS = 250
_MARK_EVERY = 3  # seconds between events of the slow mark price streams
# The names of each pace; the plain one is 250 ms.
_PACES = ((0, ("@0ms",)), (100, ("@100ms",)), (250, ("", "@250ms")), (500, ("@500ms",)))
Render = Callable[[Listing, int, int], dict[str, Any]]


class _Sent:
    """What one symbol's streams have sent so far."""

    __slots__ = ("candle_at", "paces", "ticker_at", "top")

    def __init__(self, listing: Listing) -> None:
        symbol, update_id = listing.instrument.symbol.lower(), listing.book.update_id
        self.top: tuple[Any, Any] | None = None
        self.candle_at = self.ticker_at = 0
        self.paces = [
            DepthPace(
                every_ms,
                tuple(
                    [f"{symbol}@depth{name}" for name in names]
                    + ([f"{symbol}@rpiDepth@500ms"] if every_ms == 500 else [])
                ),
                tuple((n, f"{symbol}@depth{n}{name}") for n in PARTIAL_LEVELS for name in names),
                update_id,
            )
            for every_ms, names in _PACES
        ]


class PerpetualStreams:
    """Listens to the exchange and publishes; nothing is encoded that nobody reads."""

    def __init__(self, venue: Venue, hub: Hub) -> None:
        self._venue = venue
        self._hub = hub
        self._sent: dict[str, _Sent] = {}
        self._slow_at = self._candles_at = 0
        self._seconds = 0

    def _wants(self, stream: str) -> bool:
        return self._hub.wants(stream, USDM)

    def _publish(self, stream: str, payload: Any, event: str, symbol: str | None) -> None:
        self._hub.publish(stream, payload, event, symbol, market=USDM)

    # -- events ----------------------------------------------------------------------------

    def trade(self, listing: Listing, trade: Trade) -> None:
        """Publish one trade."""
        symbol = listing.instrument.symbol
        stream = f"{symbol.lower()}@trade"
        if listing.instrument.market == USDM and self._wants(stream):
            payload = trade_event(listing.instrument, trade, self._venue.server_ms())
            self._publish(stream, payload, "trade", symbol)

    def aggregates(self, listing: Listing, aggregates: list[Aggregate]) -> None:
        """Publish the aggregates of one taker."""
        symbol = listing.instrument.symbol
        stream = f"{symbol.lower()}@aggTrade"
        if listing.instrument.market != USDM or not self._wants(stream):
            return
        for aggregate in aggregates:
            payload = aggregate_event(listing.instrument, aggregate, self._venue.server_ms())
            self._publish(stream, payload, "aggTrade", symbol)

    def bars_closed(self, listing: Listing, closed: list[tuple[str, Bar]]) -> None:
        """Publish the final state of every candle that closed."""
        if listing.instrument.market == USDM:
            for interval, bar in closed:
                self._candle(listing, interval, bar, is_closed=True)

    def force_order(self, order: Order) -> None:
        """Publish a liquidation."""
        symbol = order.instrument.symbol
        payload = force_event(order, self._venue.server_ms())
        self._publish(f"{symbol.lower()}@forceOrder", payload, "forceOrder", symbol)
        self._publish("!forceOrder@arr", payload, "forceOrder", symbol)

    def contract_info(self, listing: Listing) -> None:
        """Publish a contract's state after it changed."""
        payload = contract_event(listing, self._venue.server_ms())
        self._publish("!contractInfo", payload, "contractInfo", listing.instrument.symbol)

    # -- timers ----------------------------------------------------------------------------

    def tick(self, wall_ms: int) -> None:
        """Publish what is due; called about every 100 ms of wall time."""
        is_slow = wall_ms - self._slow_at >= SECOND_MS
        has_candles = is_slow or wall_ms - self._candles_at >= CANDLE_MS - 50
        if is_slow:
            self._slow_at = wall_ms
            self._seconds += 1
        if has_candles:
            self._candles_at = wall_ms
        for listing in list(self._venue.exchange.usdm.listings.values()):
            sent = self._of(listing)
            self._book_ticker(listing, sent)
            self._depth(listing, sent, wall_ms)
            if has_candles:
                self._candles(listing, sent)
            if is_slow:
                self._tickers(listing, sent)
                self._mark(listing)
        if is_slow:
            self._all_symbols()

    def _of(self, listing: Listing) -> _Sent:
        found = self._sent.get(listing.instrument.symbol)
        if found is None:
            found = self._sent[listing.instrument.symbol] = _Sent(listing)
        return found

    def forget(self, symbol: str) -> None:
        """Drop what is known of a delisted symbol."""
        self._sent.pop(symbol, None)

    def _book_ticker(self, listing: Listing, sent: _Sent) -> None:
        top = (listing.book.bids.top(1), listing.book.asks.top(1))
        if top == sent.top:
            return
        sent.top = top
        symbol = listing.instrument.symbol
        stream = f"{symbol.lower()}@bookTicker"
        if not self._wants(stream) and not self._wants("!bookTicker"):
            return
        bid, bid_qty, ask, ask_qty = best_json(listing)
        payload = {
            "e": "bookTicker",
            "u": shown_id(listing.book.update_id),
            "s": symbol,
            "ps": symbol,
            "b": bid,
            "B": bid_qty,
            "a": ask,
            "A": ask_qty,
            "T": self._venue.exchange.now_ms(),
            "E": self._venue.server_ms(),
            "st": 1,
        }
        self._publish(stream, payload, "bookTicker", symbol)
        self._publish("!bookTicker", payload, "bookTicker", symbol)

    def _depth(self, listing: Listing, sent: _Sent, wall_ms: int) -> None:
        book = listing.book
        bids, asks = book.bids.touched, book.asks.touched
        for pace in sent.paces:
            diffs = [name for name in pace.diff_names if self._wants(name)]
            partials = [row for row in pace.partial_names if self._wants(row[1])]
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
        times = (self._venue.server_ms(), self._venue.exchange.now_ms())
        ids = (shown_id(pace.last_id), shown_id(book.update_id))
        if diffs:
            payload = depth_event(instrument, times, ids, *changes(instrument, book, pace))
            for name in diffs:
                self._publish(name, payload, "depthUpdate", instrument.symbol)
        for levels, name in partials:
            bids = [[instrument.price_text(p), instrument.qty_text(q)] for p, q in book.bids.top(levels)]
            asks = [[instrument.price_text(p), instrument.qty_text(q)] for p, q in book.asks.top(levels)]
            payload = depth_event(instrument, times, ids, bids, asks)
            self._publish(name, payload, "depthUpdate", instrument.symbol)

    def _candles(self, listing: Listing, sent: _Sent) -> None:
        if sent.candle_at == listing.tape.trade_id:
            return
        sent.candle_at = listing.tape.trade_id
        for interval in INTERVALS:
            bar = listing.klines.running(interval) if self._wants_candle(listing, interval) else None
            if bar is not None:
                self._candle(listing, interval, bar, is_closed=False)

    def _wants_candle(self, listing: Listing, interval: str) -> bool:
        lower = listing.instrument.symbol.lower()
        return self._wants(f"{lower}@kline_{interval}") or self._wants(
            f"{lower}_perpetual@continuousKline_{interval}"
        )

    def _candle(self, listing: Listing, interval: str, bar: Bar, *, is_closed: bool) -> None:
        symbol, lower = listing.instrument.symbol, listing.instrument.symbol.lower()
        for stream, render in (
            (f"{lower}@kline_{interval}", candle_event),
            (f"{lower}_perpetual@continuousKline_{interval}", continuous_event),
        ):
            if self._wants(stream):
                payload = render(listing, interval, bar, self._venue.server_ms(), is_closed=is_closed)
                self._publish(stream, payload, payload["e"], symbol)

    def _tickers(self, listing: Listing, sent: _Sent) -> None:
        if sent.ticker_at == listing.tape.trade_id:
            return
        sent.ticker_at = listing.tape.trade_id
        symbol = listing.instrument.symbol
        for name, render in (("miniTicker", mini_ticker_event), ("ticker", ticker_event)):
            stream = f"{symbol.lower()}@{name}"
            if self._wants(stream):
                payload = self._rendered(render, listing)
                self._publish(stream, payload, payload["e"], symbol)

    def _rendered(self, render: Render, listing: Listing) -> dict[str, Any]:
        return render(listing, self._venue.exchange.now_ms(), self._venue.server_ms())

    def _mark(self, listing: Listing) -> None:
        symbol = listing.instrument.symbol
        stream = f"{symbol.lower()}@markPrice"
        names = [f"{stream}@1s"] + ([stream, f"{stream}@3s"] if self._is_third_second() else [])
        wanted = [name for name in names if self._wants(name)]
        if wanted:
            payload = self._mark_event(listing)
            for name in wanted:
                self._publish(name, payload, "markPriceUpdate", symbol)

    def _mark_event(self, listing: Listing) -> dict[str, Any]:
        sheet = self._venue.exchange.marks.sheet(listing.instrument.key)
        return mark_event(listing, sheet, self._venue.server_ms())

    def _is_third_second(self) -> bool:
        return self._seconds % _MARK_EVERY == 1

    def _all_symbols(self) -> None:
        listings = list(self._venue.exchange.usdm.listings.values())
        names: list[tuple[str, Callable[[Listing], dict[str, Any]], str]] = [
            ("!miniTicker@arr", lambda row: self._rendered(mini_ticker_event, row), "24hrMiniTicker"),
            ("!ticker@arr", lambda row: self._rendered(ticker_event, row), "24hrTicker"),
            ("!markPrice@arr@1s", self._mark_event, "markPriceUpdate"),
        ]
        if self._is_third_second():
            names += [
                (name, self._mark_event, "markPriceUpdate")
                for name in ("!markPrice@arr", "!markPrice@arr@3s")
            ]
        for stream, render, event in names:
            if self._wants(stream):
                self._publish(stream, [render(listing) for listing in listings], event, None)
