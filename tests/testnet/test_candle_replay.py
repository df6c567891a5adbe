"""Recorded candles come out again exactly, whoever trades in the middle of them; bad files are refused."""

from __future__ import annotations

import gzip
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from testnet.klines import DAY_MS, HOUR_MS, open_of
from testnet.market.candles import BadCandleFile, read_candles
from testnet.market.replay import candle_path

from .conftest import StartVenue, Venue

FIXTURES = Path(__file__).parent / "data"


async def replayed_hours(venue: Venue, symbol: str, count: int) -> list[list[Any]]:
    await venue.advance(count * HOUR_MS + 1)
    answer = await venue.anonymous().public(
        "GET", "/api/v3/klines", symbol=symbol, interval="1h", limit=count + 2
    )
    rows: list[list[Any]] = answer.body[:-1]
    return rows


async def check_replay(start_venue: StartVenue, folder: Path, symbol: str, hours: int) -> None:
    venue = await start_venue(replay=folder, symbols=(symbol,), start_ms=None, usdm_symbols=())
    client = venue.client(USDT="10000000")
    # Users trading in the middle of a candle must not bend it.
    bid, _ = venue.best(symbol)
    instrument = venue.exchange.listing(symbol).instrument
    await venue.advance(10 * 60_000)
    quantity = instrument.qty_text(10**8 * 500 // (bid * instrument.quote_per))
    traded = await client.order(symbol=symbol, side="BUY", type="MARKET", quantity=quantity)
    assert traded.body["status"] == "FILLED", traded.body
    await client.order(
        symbol=symbol,
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity=quantity,
        price=venue.price(venue.best(symbol)[0] - 3, symbol),
    )
    rows = await replayed_hours(venue, symbol, hours)
    file = read_candles(next(p for p in folder.iterdir() if p.name.startswith(symbol + "_1h")))
    real = {c.open_ms: c for c in file.candles}
    assert len(rows) >= hours
    for row in rows:
        candle = real[row[0]]
        prices = [int(Decimal(text).scaleb(8)) for text in row[1:5]]
        assert prices == [candle.open, candle.high, candle.low, candle.close], row[0]


async def test_replayed_fixture_reproduces_every_candle_exactly(start_venue: StartVenue) -> None:
    await check_replay(start_venue, FIXTURES, "FIXUSDT", 24)


@pytest.mark.realdata
@pytest.mark.parametrize("symbol", ["BTCUSDT", pytest.param("DOGEUSDT", marks=pytest.mark.long)])
async def test_replayed_real_market_reproduces_every_candle_exactly(
    start_venue: StartVenue, real_data: Path, symbol: str
) -> None:
    await check_replay(start_venue, real_data / "klines_spot_1h", symbol, 48)


@pytest.mark.realdata
def test_every_recorded_candle_has_a_path_that_is_exactly_itself(real_data: Path) -> None:
    file = read_candles(real_data / "klines_spot_1h" / "SUIUSDT_1h.csv.gz")
    tick, step = file.instrument.tick, file.instrument.step
    for candle in random.Random(1).sample(file.candles, 300):
        points = candle_path(candle, file.length_ms, file.instrument, seed=4)
        prices = [point.price * tick for point in points]
        assert (prices[0], max(prices), min(prices), prices[-1]) == candle[1:5]
        assert sum(point.steps for point in points) * step == candle.volume // step * step
        times = [point.time_ms for point in points]
        assert times == sorted(set(times))
        assert times[0] == candle.open_ms
        assert times[-1] == candle.open_ms + file.length_ms - 1


async def test_candle_interrupted_by_a_crash_still_comes_out_exactly(
    start_venue: StartVenue, tmp_path: Path
) -> None:
    file = read_candles(FIXTURES / "FIXUSDT_1h.csv")
    first_open = file.candles[70].open_ms
    venue = await start_venue(
        replay=FIXTURES, symbols=("FIXUSDT",), start_ms=first_open, data_dir=tmp_path / "state"
    )
    await venue.advance(25 * 60_000 + 17_000)
    venue.exchange.journal.flush()
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("journal.jsonl", "snapshot.json"):
        (copy / name).write_bytes((tmp_path / "state" / name).read_bytes())
    again = await start_venue(replay=FIXTURES, symbols=("FIXUSDT",), start_ms=first_open, data_dir=copy)
    await again.advance(HOUR_MS)
    answer = await again.anonymous().public(
        "GET", "/api/v3/klines", symbol="FIXUSDT", interval="1h", startTime=first_open, limit=1
    )
    candle = file.candles[70]
    prices = [int(Decimal(text).scaleb(8)) for text in answer.body[0][1:5]]
    assert prices == [candle.open, candle.high, candle.low, candle.close]


async def test_replay_ends_with_a_break_and_orders_are_refused(start_venue: StartVenue) -> None:
    file = read_candles(FIXTURES / "FIXUSDT_1h.csv")
    end = file.candles[-1].open_ms + HOUR_MS
    venue = await start_venue(replay=FIXTURES, symbols=("FIXUSDT",), start_ms=end - HOUR_MS)
    await venue.advance(2 * HOUR_MS)
    info = (await venue.anonymous().public("GET", "/api/v3/exchangeInfo", symbol="FIXUSDT")).body
    assert info["symbols"][0]["status"] == "BREAK"
    client = venue.client(USDT="1000")
    refused = await client.order(symbol="FIXUSDT", side="BUY", type="MARKET", quoteOrderQty="50")
    assert refused.body == {"code": -2010, "msg": "Market is closed."}


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (["2024-01-01 00:00:00,1,2,0.5,1.5,10"], "at least two"),
        (["2024-01-01 00:00:00,1,2,0.5,1.5,10", "2024-01-01 00:00:00,1,2,0.5,1.5,10"], "do not ascend"),
        (["2024-01-01 00:00:00,1,2,0.5,1.5,10", "2024-01-01 01:00:00,1,0.9,0.5,1.5,10"], "line 3"),
        (["2024-01-01 00:00:00,1,2,0.5,1.5,10", "2024-01-01 01:00:00,1,2,x,1.5,10"], "line 3"),
        (["2024-01-01 00:00:00,1,2,0.5,1.5,10", "2024-01-01 01:00:00,1,2"], "line 3"),
    ],
)
def test_bad_candle_file_is_refused_by_line(tmp_path: Path, rows: list[str], complaint: str) -> None:
    path = tmp_path / "AAAUSDT_1h.csv"
    path.write_text("\n".join(["date,open,high,low,close,volume", *rows]))
    with pytest.raises(BadCandleFile, match=complaint):
        read_candles(path)


def test_archive_form_is_read_in_milliseconds_and_microseconds(tmp_path: Path) -> None:
    rows = [
        f"{at},1.10,1.30,1.00,1.20,5.5,{at + 59_999},6.6,3,2.2,2.6,0"
        for at in (60_000_000_000, 60_000_060_000)
    ]
    path = tmp_path / "AAAUSDT_1m.csv.gz"
    path.write_bytes(gzip.compress("\n".join(rows).encode()))
    assert [c.open_ms for c in read_candles(path).candles] == [60_000_000_000, 60_000_060_000]
    micro = tmp_path / "BBBUSDT_1m.csv"
    micro.write_text(
        "\n".join(
            r.replace("60000000000,", "1735689600000000,", 1).replace("60000060000,", "1735689660000000,", 1)
            for r in rows
        )
    )
    assert [c.open_ms for c in read_candles(micro).candles] == [1_735_689_600_000, 1_735_689_660_000]


@pytest.mark.parametrize(
    ("interval", "at", "opened"),
    [
        # 2024-02-29 was a Thursday: its week opened on Monday the 26th, its month on the 1st.
        ("1w", 1_709_208_000_000, 1_708_905_600_000),
        ("1M", 1_709_208_000_000, 1_706_745_600_000),
        ("1d", 1_709_208_000_000, 1_709_164_800_000),
        ("4h", 1_709_208_000_000, 1_709_208_000_000),
    ],
)
def test_bars_open_on_calendar_boundaries(interval: str, at: int, opened: int) -> None:
    assert open_of(interval, at) == opened
    assert at - opened < 31 * DAY_MS
