"""The futures market over a restart, and two equal runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from testnet.klines import MINUTE_MS
from testnet.usdm.feed import PerpetualFeed
from tests.testnet.conftest import START_MS, StartVenue, Venue

HOUR_MS = 3_600_000


def known(venue: Venue) -> dict[str, object]:
    """What must be the same after a restart."""
    listing = venue.exchange.listing("BTCUSDT", "usdm")
    sheet = venue.exchange.marks.sheet(listing.instrument.key)
    return {
        "bars": {name: list(bars) for name, bars in listing.klines.closed.items()},
        "marks": {kind: list(klines.closed["1m"]) for kind, klines in sheet.klines.items()},
        "hours": {kind: list(klines.closed["1h"]) for kind, klines in sheet.klines.items()},
        "running": sheet.running(),
        "history": list(sheet.history),
        "market_ms": venue.exchange.driver.next_ms,
        "last": listing.tape.last_price,
    }


@pytest.mark.parametrize("is_killed", [False, True])
async def test_perpetual_goes_on_where_it_was(
    start_venue: StartVenue, tmp_path: Path, is_killed: bool
) -> None:
    venue = await start_venue(symbols=("BTCUSDT",), data_dir=tmp_path / "state")
    await venue.advance(62 * MINUTE_MS + 30_000)
    before = known(venue)
    trade_id = venue.exchange.listing("BTCUSDT", "usdm").tape.trade_id
    if is_killed:
        # Nothing is closed in order: what a second process finds is what the journal holds.
        venue.exchange.journal.flush()
        journal = (tmp_path / "state" / "journal.jsonl").read_bytes()
        snapshot = (tmp_path / "state" / "snapshot.json").read_bytes()
        await venue.server.stop()
        (tmp_path / "state" / "journal.jsonl").write_bytes(journal)
        (tmp_path / "state" / "snapshot.json").write_bytes(snapshot)
    else:
        await venue.server.stop()
    again = await start_venue(symbols=("BTCUSDT",), data_dir=tmp_path / "state")
    assert known(again) == before
    listing = again.exchange.listing("BTCUSDT", "usdm")
    assert listing.tape.trade_id >= trade_id
    feed = again.exchange.driver.feed(listing)
    assert isinstance(feed, PerpetualFeed)
    await again.advance(58 * MINUTE_MS)
    bars = listing.klines.closed["1m"]
    opens = [bar.open_ms for bar in bars]
    assert opens == list(range(opens[0], opens[-1] + MINUTE_MS, MINUTE_MS))
    assert again.exchange.marks.sheet("usdm:BTCUSDT").history[-1].time_ms == START_MS // (8 * HOUR_MS) * (
        8 * HOUR_MS
    ) + 8 * HOUR_MS * ((again.exchange.driver.next_ms // (8 * HOUR_MS)) - START_MS // (8 * HOUR_MS))


async def test_delisted_perpetual_stays_delisted(start_venue: StartVenue, tmp_path: Path) -> None:
    venue = await start_venue(data_dir=tmp_path / "state")
    body = {"symbol": "ETHUSDT", "market": "usdm", "action": "delist"}
    venue.server.service.desk.request(body, None)
    await venue.server.stop()
    again = await start_venue(data_dir=tmp_path / "state")
    assert list(again.exchange.usdm.listings) == ["BTCUSDT"]
    assert list(again.exchange.spot.listings) == ["BTCUSDT", "ETHUSDT"]


async def test_equal_runs_write_equal_journals(start_venue: StartVenue, tmp_path: Path) -> None:
    journals = []
    for name in ("one", "two"):
        venue = await start_venue(symbols=("BTCUSDT",), data_dir=tmp_path / name)
        await venue.advance(20 * MINUTE_MS)
        venue.server.service.desk.request(
            {"symbol": "SOLUSDT", "market": "usdm", "action": "list"}, START_MS + 25 * MINUTE_MS
        )
        await venue.advance(70 * MINUTE_MS)
        await asyncio.sleep(0.05)
        venue.exchange.journal.flush()
        journals.append((tmp_path / name / "journal.jsonl").read_bytes())
    assert len(journals[0]) > 10_000
    assert journals[0] == journals[1]


async def test_perpetuals_join_a_market_that_was_kept_without_them(
    start_venue: StartVenue, tmp_path: Path
) -> None:
    venue = await start_venue(symbols=("BTCUSDT",), usdm_symbols=(), data_dir=tmp_path / "state")
    assert not venue.exchange.usdm.listings
    await venue.advance(30 * MINUTE_MS)
    await venue.server.stop()
    again = await start_venue(symbols=("BTCUSDT",), data_dir=tmp_path / "state")
    listing = again.exchange.listing("BTCUSDT", "usdm")
    spot = again.exchange.listing("BTCUSDT").klines.closed["1m"]
    assert [bar.open_ms for bar in listing.klines.closed["1m"]] == [bar.open_ms for bar in spot]
    await again.server.stop()
    # Once there they stay: somebody may hold a position.
    third = await start_venue(symbols=("BTCUSDT",), usdm_symbols=(), data_dir=tmp_path / "state")
    assert list(third.exchange.usdm.listings) == ["BTCUSDT"]


@pytest.mark.long
async def test_truth_outlives_a_restart_also_of_a_symbol_listed_again(
    start_venue: StartVenue, tmp_path: Path
) -> None:
    venue = await start_venue(data_dir=tmp_path / "state")
    await venue.advance(300 * MINUTE_MS)
    desk = venue.server.service.desk
    desk.request({"symbol": "ETHUSDT", "action": "delist"}, None)
    await venue.advance(20 * MINUTE_MS)
    listed_ms = venue.exchange.driver.next_ms
    desk.request({"symbol": "ETHUSDT", "action": "list"}, None)
    await venue.advance(200 * MINUTE_MS + 30_000)

    def truths(running: Venue) -> dict[str, list[tuple[int, int]]]:
        return {
            listing.instrument.key: list(running.exchange.driver.feed(listing).truth())
            for listing in running.exchange.listings()
        }

    before = truths(venue)
    assert len({regime for _, regime in before["spot:BTCUSDT"]}) > 1
    assert before["spot:ETHUSDT"][0][0] == listed_ms
    await venue.server.stop()
    again = await start_venue(data_dir=tmp_path / "state")
    after = truths(again)
    assert after == before
    await again.advance(10 * MINUTE_MS)
    times = [at for at, _ in truths(again)["spot:BTCUSDT"]]
    assert times == list(range(times[0], times[-1] + MINUTE_MS, MINUTE_MS))
