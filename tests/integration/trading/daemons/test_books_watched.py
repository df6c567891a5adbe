"""Books that strategies look at: stored first, then told, at most ten times a second, and dated in market time."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import sync_to_async

from tests.integration.trading.daemons.test_feed import InCharge
from trading.daemons import market_feed
from trading.daemons.market_feed import SPOT, MarketFeed
from trading.domain.clock import ns_to_datetime
from trading.models import StrategyInstance
from universe.adapters.binance.events import BookTickerEvent, KlineEvent
from universe.models import Quote

if TYPE_CHECKING:
    from tests.factories.trading import Desk

MINUTE_MS = 60_000
START_MS = 1_700_000_040_000
S = 1_000_000_000


def book(symbol: str, bid: str, received_ns: int) -> BookTickerEvent:
    price = Decimal(bid)
    return BookTickerEvent(symbol, price, Decimal(1), price + 1, Decimal(1), 1, received_ns)


def bar(symbol: str, number: int, received_ns: int) -> KlineEvent:
    one, opened = Decimal(1), START_MS + number * MINUTE_MS
    return KlineEvent(
        symbol, "1m", opened, opened + MINUTE_MS - 1, one, one, one, one, one, one, 1, one, one, False, received_ns
    )  # fmt: skip


class Told:
    """Hints, with what was stored of the book at that moment."""

    def __init__(self) -> None:
        self.hints: list[tuple[float, str, int, Decimal | None]] = []

    def __call__(self, task: str, *, queue: str, instrument_id: int, worthless_after_s: float) -> bool:
        assert worthless_after_s <= 1.0, (
            "workers that are behind drop old news of a book before orders wait for it"
        )
        stored = Quote.objects.get(instrument_id=instrument_id).bid
        self.hints.append((time.monotonic(), task, instrument_id, stored))
        return True


async def watched(feed: MarketFeed, seconds: float, moves: Any) -> None:
    """Run the part of the feed that tells of books while something moves them."""
    task = asyncio.create_task(feed._watch_books())
    try:
        async with asyncio.timeout(10):
            await moves(seconds)
            await asyncio.sleep(0.25)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    hints = Told()
    monkeypatch.setattr(market_feed, "send_hint", hints)
    return hints


async def test_only_books_somebody_looks_at_are_told_and_not_more_than_ten_times_a_second(
    shared_desk: Desk, told: Told
) -> None:
    btc = shared_desk.btc
    await StrategyInstance.objects.filter(strategy__name="trend", instrument=btc).aupdate(steps_at_books=True)
    feed = MarketFeed(SPOT, InCharge())
    await sync_to_async(feed._load)()

    async def busy(seconds: float) -> None:
        ends, price = time.monotonic() + seconds, 60_000
        while time.monotonic() < ends:
            price += 1
            for symbol in ("BTCUSDT", "ETHUSDT"):
                feed._take("", book(symbol, str(price), time.time_ns()))
            await asyncio.sleep(0.005)
        feed._take("", book("BTCUSDT", "61000", time.time_ns()))

    await watched(feed, 1.0, busy)
    assert {(task, number) for _, task, number, _ in told.hints} == {("trading.tasks.book_changed", btc.pk)}
    moments = [at for at, *_ in told.hints]
    assert all(b - a >= 0.09 for a, b in pairwise(moments))
    assert told.hints[-1][3] == 61_000, "the quote was there before the hint, and the last one is told"


async def test_a_process_that_stands_by_tells_nothing(shared_desk: Desk, told: Told) -> None:
    await StrategyInstance.objects.filter(instrument=shared_desk.btc).aupdate(steps_at_books=True)
    feed = MarketFeed(SPOT, InCharge(is_held=False))
    await sync_to_async(feed._load)()

    async def one(_: float) -> None:
        feed._take("", book("BTCUSDT", "60000", time.time_ns()))

    await watched(feed, 0.0, one)
    assert told.hints == []


async def test_a_book_of_spot_is_dated_between_its_bars(shared_desk: Desk) -> None:
    feed = MarketFeed(SPOT, InCharge())
    await sync_to_async(feed._load)()
    wall = time.time_ns() + 3_600 * S  # later than what the desk has stored
    feed._take("", bar("BTCUSDT", 0, wall))
    feed._take("", bar("BTCUSDT", 1, wall + 6 * S))
    feed._take("", bar("BTCUSDT", 2, wall + 12 * S))  # ten times as fast as we
    feed._take("", book("BTCUSDT", "60000", wall + 15 * S))
    await feed._store_quotes()
    stored = await Quote.objects.aget(instrument=shared_desk.btc)
    assert stored.bid == 60_000
    assert stored.market_time is not None
    expected = ns_to_datetime((START_MS + 2 * MINUTE_MS + 30_000) * 1_000_000)
    assert abs(stored.market_time - expected) < timedelta(milliseconds=1)
