"""Perpetuals of a replayed market."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest

from testnet.exchange import Exchange
from testnet.market.candles import BadCandleFile
from testnet.market.replay import ReplayFeed
from testnet.opening import MarketOptions, open_exchange
from testnet.replay_opening import read_funding
from testnet.usdm.feed import FollowingFeed, PerpetualFeed

HOUR_MS = 3_600_000
FIRST_MS = 1_640_995_200_000  # 2022-01-01 00:00 UTC


def write_candles(path: Path, factor: float = 1.0) -> list[list[str]]:
    rng = random.Random(3)
    price, rows = 46_000.0, []
    for hour in range(48):
        close = price * (1 + rng.gauss(0, 0.004))
        high, low = max(price, close) * 1.002, min(price, close) * 0.998
        cells = [f"{value * factor:.1f}" for value in (price, high, low, close)]
        rows.append([str(FIRST_MS + hour * HOUR_MS), *cells, f"{rng.uniform(50, 500):.3f}"])
        price = float(cells[3]) / factor
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as out:
        csv.writer(out).writerows(rows)
    return rows


def opened(folder: Path) -> Exchange:
    start = FIRST_MS + 20 * HOUR_MS
    return open_exchange(MarketOptions(seed=7, speed=0.0, replay=folder, start_ms=start)).exchange


def run(exchange: Exchange, milliseconds: int) -> None:
    target = exchange.driver.next_ms + milliseconds
    while exchange.driver.slice_to(target, 15_000):
        continue


def test_perpetual_of_a_replayed_symbol_follows_its_path(tmp_path: Path) -> None:
    write_candles(tmp_path / "BTCUSDT_1h.csv")
    exchange = opened(tmp_path)
    run(exchange, 5 * HOUR_MS)
    spot, perpetual = exchange.listing("BTCUSDT"), exchange.listing("BTCUSDT", "usdm")
    for bar, own in zip(spot.klines.closed["1h"][-5:], perpetual.klines.closed["1h"][-5:], strict=True):
        for price, value in zip(bar[1:5], own[1:5], strict=True):
            ratio = value * perpetual.instrument.tick / (price * spot.instrument.tick)
            assert abs(ratio - 1) < 0.003
    feed = exchange.driver.feed(perpetual)
    assert isinstance(feed, PerpetualFeed)
    assert isinstance(feed.market, FollowingFeed)
    assert feed.truth() == []


def test_perpetual_with_candles_of_its_own_repeats_them_and_keeps_the_spot_index(tmp_path: Path) -> None:
    write_candles(tmp_path / "BTCUSDT_1h.csv")
    own = write_candles(tmp_path / "usdm" / "BTCUSDT_1h.csv", factor=1.001)
    exchange = opened(tmp_path)
    run(exchange, 5 * HOUR_MS)
    listing = exchange.listing("BTCUSDT", "usdm")
    feed = exchange.driver.feed(listing)
    assert isinstance(feed, PerpetualFeed)
    assert isinstance(feed.market, ReplayFeed)
    candles = [
        [listing.instrument.price_text(price) for price in bar[1:5]]
        for bar in listing.klines.closed["1h"][-5:]
    ]
    assert candles == [row[1:5] for row in own[20:25]]
    mark, index = exchange.marks.mark_of(listing), exchange.marks.index_of(listing)
    assert 1.0002 < mark / index < 1.0018
    assert listing.instrument.perpetual is not None
    assert listing.instrument.perpetual.max_leverage == 125


def test_recorded_funding_rates_are_paid(tmp_path: Path) -> None:
    write_candles(tmp_path / "BTCUSDT_1h.csv")
    rate_at = FIRST_MS + 24 * HOUR_MS
    (tmp_path / "BTCUSDT_fundingRate.csv").write_text(
        f"calc_time,funding_interval_hours,last_funding_rate\n{rate_at + 7},8,-0.00012345\n"
    )
    exchange = opened(tmp_path)
    run(exchange, 5 * HOUR_MS)
    row = exchange.marks.sheet("usdm:BTCUSDT").history[-1]
    assert (row.time_ms, row.rate) == (rate_at, -12_345)


@pytest.mark.parametrize("line", ["1640995200000,8,high", "1640995200000", "soon,8,0.0001"])
def test_damaged_funding_file_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "BTCUSDT_fundingRate.csv").write_text(
        f"calc_time,hours,rate\n1640966400000,8,0.0001\n{line}\n"
    )
    with pytest.raises(BadCandleFile, match=r"BTCUSDT_fundingRate\.csv, line 3"):
        read_funding(tmp_path)
