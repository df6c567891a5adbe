"""Spot streams beyond the common ones: seconds, windows, averages, microseconds, farewell."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
import websockets

from testnet.bars import Bar
from testnet.klines import MINUTE_MS
from testnet.seconds import KEEP_SECONDS, SECOND_MS, Seconds
from tests.testnet.conftest import START_MS, StartVenue, Venue


def filled() -> Seconds:
    seconds = Seconds()
    for at, price in ((10_000, 5), (10_900, 7), (12_100, 6), (15_000, 9)):
        seconds.record(at, price, 2, 2 * price, taker_buys=at != 12_100)
    return seconds


def test_quiet_seconds_repeat_the_close_before_them() -> None:
    bars = filled().select(None, None, 100, 16_500)
    assert [(bar.open_ms, bar.open, bar.close, bar.volume) for bar in bars] == [
        (10_000, 5, 7, 4),
        (11_000, 7, 7, 0),
        (12_000, 6, 6, 2),
        (13_000, 6, 6, 0),
        (14_000, 6, 6, 0),
        (15_000, 9, 9, 2),
        (16_000, 9, 9, 0),
    ]


@pytest.mark.parametrize(
    ("start", "end", "limit", "opens"),
    [
        (None, None, 2, [15_000, 16_000]),
        (11_500, None, 2, [12_000, 13_000]),
        (11_000, 12_999, 10, [11_000, 12_000]),
        (0, None, 1, [10_000]),
        (20_000, None, 5, []),
        (None, 9_000, 5, []),
    ],
)
def test_seconds_are_selected_like_other_candles(
    start: int | None, end: int | None, limit: int, opens: list[int]
) -> None:
    assert [bar.open_ms for bar in filled().select(start, end, limit, 16_500)] == opens


def test_only_the_recent_past_is_kept() -> None:
    seconds = Seconds()
    for number in range(2 * KEEP_SECONDS):
        seconds.record(number * SECOND_MS, 5, 1, 5, taker_buys=True)
    bars = seconds.select(0, None, 10, 2 * KEEP_SECONDS * SECOND_MS)
    assert bars[0] == Bar(KEEP_SECONDS * SECOND_MS, 5, 5, 5, 5, 1, 5, 1, 1, 5)
    assert Seconds().select(None, None, 10, 5_000) == []


async def collect(venue: Venue, path: str, seconds: float) -> list[Any]:
    found = []
    async with websockets.connect(venue.ws + path) as socket:
        until = asyncio.get_running_loop().time() + seconds
        while (left := until - asyncio.get_running_loop().time()) > 0:
            try:
                found.append(json.loads(await asyncio.wait_for(socket.recv(), left)))
            except TimeoutError:
                break
    return found


async def test_one_second_candles_add_up_to_the_minute_they_cover(start_venue: StartVenue) -> None:
    venue = await start_venue(symbols=("BTCUSDT",))
    closed: dict[int, dict[str, Any]] = {}
    async with websockets.connect(f"{venue.ws}/ws/btcusdt@kline_1s") as socket:
        await asyncio.sleep(0.05)
        await venue.advance(2 * MINUTE_MS)
        while START_MS + 2 * MINUTE_MS - SECOND_MS not in closed:
            kline = json.loads(await asyncio.wait_for(socket.recv(), 5))["k"]
            if kline["x"]:
                assert kline["t"] not in closed
                closed[kline["t"]] = kline
    minute = START_MS + MINUTE_MS
    inside = [closed[at] for at in range(minute, minute + MINUTE_MS, SECOND_MS)]
    row = (
        await venue.anonymous().public(
            "GET", "/api/v3/klines", symbol="BTCUSDT", interval="1m", startTime=minute, limit=1
        )
    ).body[0]
    traded = [kline for kline in inside if kline["n"]]
    assert Decimal(row[1]) == Decimal(traded[0]["o"])
    assert Decimal(row[4]) == Decimal(inside[-1]["c"])
    assert Decimal(row[2]) == max(Decimal(kline["h"]) for kline in traded)
    assert Decimal(row[3]) == min(Decimal(kline["l"]) for kline in traded)
    assert Decimal(row[5]) == sum(Decimal(kline["v"]) for kline in inside)
    assert row[8] == sum(kline["n"] for kline in inside)


async def test_rolling_windows_and_average_repeat_the_candles(start_venue: StartVenue) -> None:
    venue = await start_venue(symbols=("BTCUSDT",))
    await venue.advance(70 * MINUTE_MS)
    streams = "btcusdt@ticker_1h/btcusdt@ticker_4h/btcusdt@avgPrice/!ticker_1d@arr"
    rows = {row["stream"]: row["data"] for row in await collect(venue, f"/stream?streams={streams}", 2.5)}
    bars = venue.exchange.listing("BTCUSDT").klines.recent_minutes(60)
    hour = rows["btcusdt@ticker_1h"]
    instrument = venue.exchange.listing("BTCUSDT").instrument
    assert hour["e"] == "1hTicker"
    assert hour["O"] == bars[0].open_ms
    assert hour["v"] == instrument.qty_text(sum(bar.volume for bar in bars))
    assert hour["n"] == sum(bar.trades for bar in bars)
    assert hour["h"] == instrument.price_text(max(bar.high for bar in bars))
    assert hour["L"] - hour["F"] + 1 == hour["n"]
    assert rows["btcusdt@ticker_4h"]["e"] == "4hTicker"
    assert [row["e"] for row in rows["!ticker_1d@arr"]] == ["1dTicker"]
    average = (await venue.anonymous().public("GET", "/api/v3/avgPrice", symbol="BTCUSDT")).body
    assert rows["btcusdt@avgPrice"]["w"] == average["price"]


async def test_times_come_in_microseconds_when_asked_for(start_venue: StartVenue) -> None:
    # At this pace the market trades many times in the time the test listens.
    venue = await start_venue(symbols=("BTCUSDT",), speed=20.0)
    rows = await collect(
        venue, "/stream?timeUnit=MICROSECOND&streams=btcusdt@trade/btcusdt@kline_1m/btcusdt@depth@100ms", 1.5
    )
    by_event = {row["data"]["e"]: row["data"] for row in rows}
    assert by_event["trade"]["T"] // 1_000_000 // 3_600 == START_MS // 1_000 // 3_600
    assert by_event["trade"]["E"] > 10**15
    assert by_event["trade"]["t"] < 10**12  # an id, not a time
    assert by_event["depthUpdate"]["u"] < 10**12
    candle = by_event["kline"]["k"]
    assert candle["T"] - candle["t"] == MINUTE_MS * 1_000 - 1


async def test_spot_clients_are_told_when_the_server_goes_away(start_venue: StartVenue) -> None:
    venue = await start_venue(symbols=("BTCUSDT",))
    async with (
        websockets.connect(f"{venue.ws}/ws/btcusdt@trade") as raw,
        websockets.connect(f"{venue.ws}/stream?streams=btcusdt@trade") as combined,
        websockets.connect(f"{venue.ws}/ws-api/v3") as api,
        websockets.connect(f"{venue.ws}/market/ws/btcusdt@aggTrade") as futures,
    ):
        await asyncio.sleep(0.05)
        await venue.server.stop()
        assert json.loads(await raw.recv())["e"] == "serverShutdown"
        assert json.loads(await combined.recv())["stream"] == "!serverShutdown"
        assert json.loads(await api.recv())["event"]["e"] == "serverShutdown"
        with pytest.raises(websockets.ConnectionClosed):
            await futures.recv()
