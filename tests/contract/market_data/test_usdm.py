"""Market data of USD-M over the real client, against the paper exchange run as a process of its own."""

from __future__ import annotations

import asyncio

import pytest

from trading.daemons.market_feed import USDM
from trading.domain.errors import VenueRejected
from universe.adapters.binance import BinanceUsdmMarketData, MarketStream, UsdmClient, endpoints_for
from universe.adapters.binance.events import BookTickerEvent, KlineEvent, MarkPriceEvent
from universe.models import Instrument, Venue
from universe.services import instruments_sync, venue_ensure


@pytest.fixture
def market(url: str) -> BinanceUsdmMarketData:
    return BinanceUsdmMarketData(UsdmClient(endpoints_for("local", local_url=url)))


def test_a_sync_stores_the_contracts_and_the_venues_own_limit(
    db: None, market: BinanceUsdmMarketData
) -> None:
    result = instruments_sync(venue_ensure(market="usdm", environment="local"), market)
    assert result.added == ("BTCUSDT", "ETHUSDT")
    assert result.unreadable == ()
    bitcoin = Instrument.objects.get(symbol="BTCUSDT", market="usdm")
    contract = bitcoin.to_domain()
    assert contract.is_trading
    assert contract.min_notional == 100
    assert str(contract.tick_size) == "0.10"
    assert Venue.objects.get(name="binance-usdm").last_synced_at is not None


def test_bars_and_the_top_of_the_book_are_read_from_the_futures_host(market: BinanceUsdmMarketData) -> None:
    bars = market.klines("BTCUSDT", "1m", start_ms=None, end_ms=None, limit=5)
    assert len(bars) == 5
    assert [b.open_time_ms for b in bars] == sorted({b.open_time_ms for b in bars})
    top = market.book_ticker("BTCUSDT")
    assert top.bid is not None
    assert top.ask is not None
    assert top.bid < top.ask
    assert market.server_time_ms() > 1_600_000_000_000
    with pytest.raises(VenueRejected) as refused:
        market.klines("NOSUCHUSDT", "1m", start_ms=None, end_ms=None, limit=1)
    assert refused.value.code == -1121


def test_settled_funding_is_read_from_a_time_on_and_as_the_newest(market: BinanceUsdmMarketData) -> None:
    newest = market.funding_rates("BTCUSDT")
    assert len(newest) > 3
    assert [one.time_ms for one in newest] == sorted({one.time_ms for one in newest})
    assert all(abs(one.rate) < 1 and one.mark_price is not None and one.mark_price > 0 for one in newest)
    assert market.funding_rates("BTCUSDT", start_ms=newest[-2].time_ms) == newest[-2:]
    assert market.funding_rates("BTCUSDT", start_ms=newest[-1].time_ms + 1) == []


async def test_the_split_roots_bring_books_bars_and_mark_prices_with_funding(url: str) -> None:
    endpoints = endpoints_for("local", local_url=url)
    kinds = {"bookTicker": "bookTicker", "klines": "kline_1m", "markPrice@1s": "markPrice@1s"}
    seen: dict[type, object] = {}

    async def follow(root: str, names: tuple[str, ...]) -> None:
        stream = MarketStream(endpoints, [f"btcusdt@{kinds[name]}" for name in names], root=root)
        wanted = {"bookTicker": BookTickerEvent, "klines": KlineEvent, "markPrice@1s": MarkPriceEvent}
        async for event in stream.events():
            seen[type(event)] = event
            if all(wanted[name] in seen for name in names):
                await stream.close()

    roots = USDM.roots(endpoints)
    assert [root.rpartition("/")[2] for root in roots] == ["public", "market"]
    async with asyncio.timeout(20):
        await asyncio.gather(*(follow(root, names) for root, names in roots.items()))
    mark, book = seen[MarkPriceEvent], seen[BookTickerEvent]
    assert isinstance(mark, MarkPriceEvent)
    assert isinstance(book, BookTickerEvent)
    assert book.bid is not None
    assert abs(mark.mark / book.bid - 1) < 0.01
    assert abs(mark.mark / mark.index - 1) < 0.01
    assert abs(mark.funding_rate) <= 1
    assert mark.next_funding_ms % (3600 * 1000) == 0
