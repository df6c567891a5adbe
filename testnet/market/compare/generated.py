"""The same portrait of the generated market, run in process with market time in steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from testnet.book import BookSide
from testnet.instruments import Instrument
from testnet.klines import Bar
from testnet.listing import Listing
from testnet.market.compare.portrait import Print, Quote, Sitter
from testnet.market.compare.recording import BOOK_MS, SAMPLE_MS
from testnet.market.driver import Driver
from testnet.market.synthetic import SyntheticFeed
from testnet.opening import MarketOptions, open_exchange
from testnet.tape import Aggregate, Trade

_START_MS = 1_723_161_240_000  # a whole minute; nothing depends on which
_WARM_UP_MS = 30_000


@dataclass(frozen=True, slots=True)
class Listener:
    """Hears the trades of one symbol."""

    sitter: Sitter
    key: str

    def trade(self, listing: Listing, trade: Trade) -> None:
        """Note a trade."""
        instrument = listing.instrument
        if instrument.key == self.key:
            price, quantity = trade.price * instrument.tick, trade.steps * instrument.step
            self.sitter.trade(Print(trade.time_ms, price, quantity, not trade.buyer_is_maker))

    def aggregates(self, listing: Listing, aggregates: list[Aggregate]) -> None:
        """Aggregates repeat the trades."""

    def bars_closed(self, listing: Listing, closed: list[tuple[str, Bar]]) -> None:
        """Candles repeat the trades."""


def portray(symbol: str, regime: str, *, seconds: float, seed: int, market: str = "spot") -> Sitter:
    """Run one symbol in one regime at speed 1 and sample it like a recording.

    The hidden chain is held in `regime`, so that a short run can be compared with a short recording. A
    perpetual (`market` is `usdm`) follows its spot symbol, which runs beside it.

    Raises
    ------
    BadStart : no perpetual of this symbol is built in.
    """
    options = MarketOptions(
        seed=seed,
        speed=0.0,
        start_ms=_START_MS,
        symbols=(symbol,),
        usdm_symbols=(symbol,) if market == "usdm" else (),
        minute_days=1,
        hour_days=1,
    )
    exchange = open_exchange(options).exchange
    driver, listing = exchange.driver, exchange.listing(symbol, market)
    feed = driver.feed(exchange.listing(symbol))
    if not isinstance(feed, SyntheticFeed):
        raise TypeError("a generated market has generated feeds")
    feed.set_regime(regime)
    _run(driver, feed, regime, driver.next_ms + _WARM_UP_MS)
    sitter = Sitter(listing.instrument.tick)
    exchange.market_listeners.append(Listener(sitter, listing.instrument.key))
    bids, asks = listing.book.bids, listing.book.asks
    start = driver.next_ms
    for index in range(round(seconds * 1000) // SAMPLE_MS):
        bids.touched.clear()
        asks.touched.clear()
        _run(driver, feed, regime, start + (index + 1) * SAMPLE_MS)
        top = _top(listing)
        if top is None:
            continue
        sitter.top(*top)
        sitter.level_updates += len(bids.touched) + len(asks.touched)
        if (index + 1) * SAMPLE_MS % BOOK_MS == 0:
            mid = (top[0].price + top[1].price) / 2
            sitter.book(_quotes(bids, listing.instrument), _quotes(asks, listing.instrument), mid)
    sitter.seconds = seconds
    return sitter


def _run(driver: Driver, feed: SyntheticFeed, regime: str, target_ms: int) -> None:
    while driver.next_ms < target_ms:
        driver.slice_to(target_ms, SAMPLE_MS)
        feed.set_regime(regime)


def _top(listing: Listing) -> tuple[Quote, Quote] | None:
    bid, ask = listing.book.bids.top(1), listing.book.asks.top(1)
    if not bid or not ask:
        return None
    instrument = listing.instrument
    return (
        Quote(bid[0][0] * instrument.tick, bid[0][1] * instrument.step),
        Quote(ask[0][0] * instrument.tick, ask[0][1] * instrument.step),
    )


def _quotes(side: BookSide, instrument: Instrument) -> Iterator[Quote]:
    for price in side.prices():
        yield Quote(price * instrument.tick, side.levels[price].steps * instrument.step)
