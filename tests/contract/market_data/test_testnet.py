"""The MarketData port and the market stream against the paper exchange, run as its own process."""

from __future__ import annotations

import asyncio

import pytest

from trading.domain.errors import VenueRejected
from universe.adapters.binance import BinanceSpotMarketData, MarketStream, SpotClient, endpoints_for
from universe.adapters.binance.events import BookTickerEvent, Connected, KlineEvent, StreamEvent
from universe.models import Instrument
from universe.selectors import bars_recent
from universe.services import bars_backfill, instruments_sync, venue_ensure


@pytest.fixture
def market(url: str) -> BinanceSpotMarketData:
    return BinanceSpotMarketData(SpotClient(endpoints_for("local", local_url=url)))


def test_a_sync_and_a_back_fill_give_consecutive_closed_bars(db: None, market: BinanceSpotMarketData) -> None:
    instruments_sync(venue_ensure(market="spot", environment="local"), market)
    bitcoin = Instrument.objects.get(symbol="BTCUSDT")
    assert bitcoin.to_domain().is_trading
    result = bars_backfill(bitcoin, "1m", market, count=1200)  # more than one page
    assert result.gaps == ()
    assert result.stored >= 1200
    newest = market.klines("BTCUSDT", "1m", start_ms=None, end_ms=None, limit=1)[-1]
    stored = bars_recent(bitcoin, "1m", 1)[-1]
    assert stored.open_time_ns < newest.open_time_ms * 1_000_000


def test_the_top_of_the_book_is_uncrossed(market: BinanceSpotMarketData) -> None:
    top = market.book_ticker("BTCUSDT")
    assert top.bid is not None
    assert top.ask is not None
    assert 0 < top.bid < top.ask
    assert {entry.symbol for entry in market.book_tickers()} == {"BTCUSDT", "ETHUSDT"}


def test_an_unknown_symbol_is_refused_with_the_venues_code(market: BinanceSpotMarketData) -> None:
    with pytest.raises(VenueRejected) as refused:
        market.klines("NOSUCHUSDT", "1m", start_ms=None, end_ms=None, limit=1)
    assert refused.value.code == -1121


async def test_the_stream_closes_a_bar_that_rest_then_confirms(
    url: str, market: BinanceSpotMarketData
) -> None:
    stream = MarketStream(endpoints_for("local", local_url=url), ["btcusdt@kline_1m", "btcusdt@bookTicker"])
    events: list[StreamEvent] = []
    async with asyncio.timeout(20):
        async for event in stream.events():
            events.append(event)
            closed = isinstance(event, KlineEvent) and event.closed
            if closed and any(isinstance(seen, BookTickerEvent) for seen in events):
                await stream.close()
    assert any(isinstance(event, Connected) for event in events)
    bar = next(e for e in reversed(events) if isinstance(e, KlineEvent) and e.closed)
    (rest,) = market.klines("BTCUSDT", "1m", start_ms=bar.open_time_ms, end_ms=bar.open_time_ms, limit=1)
    assert (rest.open, rest.high, rest.low, rest.close, rest.volume) == (
        bar.open, bar.high, bar.low, bar.close, bar.volume,
    )  # fmt: skip
