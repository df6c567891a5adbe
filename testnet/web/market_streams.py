"""Turns market events into stream payloads."""

from __future__ import annotations

from typing import Any

from testnet.api.call import Venue
from testnet.instruments import Instrument
from testnet.klines import INTERVALS, Bar, end_of
from testnet.listing import Listing
from testnet.spot.api.public import aggregate_json, day_json, depth_json
from testnet.tape import Aggregate, Trade
from testnet.values import units_text
from testnet.web.hub import Hub

FAST_MS = 100
SLOW_MS = 1_000
_PARTIAL_LEVELS = (5, 10, 20)


class _BookState:
    """What one symbol's book streams have sent so far."""

    __slots__ = ("fast_id", "partial_id", "slow_asks", "slow_bids", "slow_id", "top", "trade_at")

    def __init__(self, update_id: int) -> None:
        self.fast_id = self.slow_id = self.partial_id = update_id
        self.slow_bids: set[int] = set()
        self.slow_asks: set[int] = set()
        self.top: tuple[Any, Any] | None = None
        self.trade_at = 0


class MarketStreams:
    """Listens to the exchange and publishes; nothing is encoded that nobody reads."""

    def __init__(self, venue: Venue, hub: Hub) -> None:
        self._venue = venue
        self._hub = hub
        self._books: dict[str, _BookState] = {}
        self._slow_at = 0

    # -- events ----------------------------------------------------------------------------

    def trade(self, listing: Listing, trade: Trade) -> None:
        """Publish one trade."""
        instrument = listing.instrument
        stream = f"{instrument.symbol.lower()}@trade"
        if not self._hub.wants(stream):
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
        if not self._hub.wants(stream):
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
            "k": kline_json(instrument, interval, bar, listing.tape.trade_id, is_closed=is_closed),
        }
        self._hub.publish(stream, payload, "kline", instrument.symbol)

    # -- timers ----------------------------------------------------------------------------

    def tick(self, wall_ms: int) -> None:
        """Publish what is due; called about every 100 ms of wall time."""
        is_slow = wall_ms - self._slow_at >= SLOW_MS
        if is_slow:
            self._slow_at = wall_ms
        for listing in list(self._venue.exchange.spot.listings.values()):
            self._book(listing, is_slow=is_slow)
            if is_slow:
                self._slow(listing)
        if is_slow:
            self._all_symbols()

    def book_ticker(self, listing: Listing) -> None:
        """Publish best bid and ask if they changed since the last time."""
        symbol = listing.instrument.symbol
        state = self._state(listing)
        top = (listing.book.bids.top(1), listing.book.asks.top(1))
        if top == state.top:
            return
        state.top = top
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

    def _state(self, listing: Listing) -> _BookState:
        symbol = listing.instrument.symbol
        state = self._books.get(symbol)
        if state is None:
            state = self._books[symbol] = _BookState(listing.book.update_id)
        return state

    def _book(self, listing: Listing, *, is_slow: bool) -> None:
        self.book_ticker(listing)
        state, book = self._state(listing), listing.book
        lower = listing.instrument.symbol.lower()
        bids, asks = book.bids.touched, book.asks.touched
        if bids or asks:
            stream = f"{lower}@depth@100ms"
            if self._hub.wants(stream):
                self._diff(listing, stream, state.fast_id, bids, asks)
            state.fast_id = book.update_id
            state.slow_bids |= bids
            state.slow_asks |= asks
            bids.clear()
            asks.clear()
            self._partial(listing, "@100ms")
        if is_slow and (state.slow_bids or state.slow_asks):
            stream = f"{lower}@depth"
            for name in (stream, f"{lower}@depth@1000ms"):
                if self._hub.wants(name):
                    self._diff(listing, name, state.slow_id, state.slow_bids, state.slow_asks)
            state.slow_id = book.update_id
            state.slow_bids.clear()
            state.slow_asks.clear()
            self._partial(listing, "")

    def _diff(self, listing: Listing, stream: str, last_id: int, bids: set[int], asks: set[int]) -> None:
        instrument, book = listing.instrument, listing.book
        payload = {
            "e": "depthUpdate",
            "E": self._venue.server_ms(),
            "s": instrument.symbol,
            "U": last_id + 1,
            "u": book.update_id,
            "b": _changes(instrument, book.bids.levels, sorted(bids, reverse=True)),
            "a": _changes(instrument, book.asks.levels, sorted(asks)),
        }
        self._hub.publish(stream, payload, "depthUpdate", instrument.symbol)

    def _partial(self, listing: Listing, suffix: str) -> None:
        lower = listing.instrument.symbol.lower()
        for levels in _PARTIAL_LEVELS:
            stream = f"{lower}@depth{levels}{suffix}"
            if self._hub.wants(stream):
                self._hub.publish(stream, depth_json(listing, levels), "depth", listing.instrument.symbol)

    def _slow(self, listing: Listing) -> None:
        lower = listing.instrument.symbol.lower()
        for interval in INTERVALS:
            if self._hub.wants(f"{lower}@kline_{interval}"):
                bar = listing.klines.running(interval)
                if bar is not None:
                    self._kline(listing, interval, bar, is_closed=False)
        state = self._state(listing)
        if state.trade_at == listing.tape.trade_id:
            return
        state.trade_at = listing.tape.trade_id
        for name, render in (("miniTicker", mini_ticker_json), ("ticker", ticker_json)):
            if self._hub.wants(f"{lower}@{name}"):
                payload = render(listing, self._venue.exchange.now_ms(), self._venue.server_ms())
                self._hub.publish(f"{lower}@{name}", payload, payload["e"], listing.instrument.symbol)

    def _all_symbols(self) -> None:
        exchange = self._venue.exchange
        for stream, render in (("!miniTicker@arr", mini_ticker_json), ("!ticker@arr", ticker_json)):
            if self._hub.wants(stream):
                rows: Any = [
                    render(listing, exchange.now_ms(), self._venue.server_ms())
                    for listing in exchange.spot.listings.values()
                ]
                self._hub.publish(stream, rows, rows[0]["e"] if rows else "24hrTicker")


def _changes(instrument: Instrument, levels: dict[int, Any], prices: list[int]) -> list[list[str]]:
    return [
        [instrument.price_text(p), instrument.qty_text(levels[p].steps if p in levels else 0)] for p in prices
    ]


def kline_json(
    instrument: Instrument, interval: str, bar: Bar, last_trade_id: int, *, is_closed: bool
) -> dict[str, Any]:
    """The `k` object of a kline event."""
    return {
        "t": bar.open_ms,
        "T": end_of(interval, bar.open_ms) - 1,
        "s": instrument.symbol,
        "i": interval,
        "f": last_trade_id - bar.trades + 1 if bar.trades else -1,
        "L": last_trade_id if bar.trades else -1,
        "o": instrument.price_text(bar.open),
        "c": instrument.price_text(bar.close),
        "h": instrument.price_text(bar.high),
        "l": instrument.price_text(bar.low),
        "v": instrument.qty_text(bar.volume),
        "n": bar.trades,
        "x": is_closed,
        "q": units_text(bar.quote),
        "V": instrument.qty_text(bar.taker_volume),
        "Q": units_text(bar.taker_quote),
        "B": "0",
    }


def mini_ticker_json(listing: Listing, market_ms: int, server_ms: int) -> dict[str, Any]:
    """The 24-hour mini ticker event."""
    row = day_json(listing, market_ms)
    return {
        "e": "24hrMiniTicker",
        "E": server_ms,
        "s": row["symbol"],
        "c": row["lastPrice"],
        "o": row["openPrice"],
        "h": row["highPrice"],
        "l": row["lowPrice"],
        "v": row["volume"],
        "q": row["quoteVolume"],
    }


def ticker_json(listing: Listing, market_ms: int, server_ms: int) -> dict[str, Any]:
    """The full 24-hour ticker event."""
    row = day_json(listing, market_ms)
    return {
        "e": "24hrTicker",
        "E": server_ms,
        "s": row["symbol"],
        "p": row["priceChange"],
        "P": row["priceChangePercent"],
        "w": row["weightedAvgPrice"],
        "x": row["prevClosePrice"],
        "c": row["lastPrice"],
        "Q": row["lastQty"],
        "b": row["bidPrice"],
        "B": row["bidQty"],
        "a": row["askPrice"],
        "A": row["askQty"],
        "o": row["openPrice"],
        "h": row["highPrice"],
        "l": row["lowPrice"],
        "v": row["volume"],
        "q": row["quoteVolume"],
        "O": row["openTime"],
        "C": row["closeTime"],
        "F": row["firstId"],
        "L": row["lastId"],
        "n": row["count"],
    }
