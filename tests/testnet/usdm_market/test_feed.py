"""How perpetuals follow their spot symbols."""

from __future__ import annotations

import json
import math
import random
from itertools import pairwise
from statistics import fmean, stdev

import pytest

from testnet.exchange import Exchange
from testnet.klines import MINUTE_MS
from testnet.listing import SymbolStatus
from testnet.market.regimes import NAMES
from testnet.market.synthetic import SyntheticFeed
from testnet.opening import MarketOptions, open_exchange
from testnet.usdm.basis import PULLS, Basis
from testnet.usdm.feed import FollowingFeed, PerpetualFeed
from tests.testnet.conftest import START_MS

HOUR_MS = 3_600_000


def opened(symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT"), **more: object) -> Exchange:
    settings: dict[str, object] = {
        "seed": 7,
        "speed": 0.0,
        "symbols": symbols,
        "start_ms": START_MS,
        "minute_days": 1,
        "hour_days": 3,
        **more,
    }
    return open_exchange(MarketOptions(**settings)).exchange  # type: ignore[arg-type]


def run(exchange: Exchange, milliseconds: int, step_ms: int = 15_000) -> None:
    target = exchange.driver.next_ms + milliseconds
    while exchange.driver.slice_to(target, step_ms):
        continue


def market_of(exchange: Exchange, symbol: str) -> FollowingFeed:
    feed = exchange.driver.feed(exchange.listing(symbol, "usdm"))
    assert isinstance(feed, PerpetualFeed)
    assert isinstance(feed.market, FollowingFeed)
    return feed.market


def spot_feed(exchange: Exchange, symbol: str) -> SyntheticFeed:
    feed = exchange.driver.feed(exchange.listing(symbol))
    assert isinstance(feed, SyntheticFeed)
    return feed


def closes(exchange: Exchange, market: str, symbol: str, count: int) -> list[float]:
    listing = exchange.listing(symbol, market)
    return [bar.close * listing.instrument.tick for bar in listing.klines.closed["1m"][-count:]]


def correlation(one: list[float], other: list[float]) -> float:
    a, b = fmean(one), fmean(other)
    covariance = fmean((x - a) * (y - b) for x, y in zip(one, other, strict=True))
    return covariance / math.sqrt(fmean((x - a) ** 2 for x in one) * fmean((y - b) ** 2 for y in other))


def test_every_spot_symbol_has_a_perpetual_that_trades() -> None:
    exchange = opened()
    before = {symbol: exchange.listing(symbol, "usdm").tape.trade_id for symbol in exchange.spot.listings}
    run(exchange, 10 * MINUTE_MS)
    assert list(before) == ["BTCUSDT", "ETHUSDT"]
    for symbol, trade_id in before.items():
        listing = exchange.listing(symbol, "usdm")
        bid, ask = listing.book.bids.best(), listing.book.asks.best()
        assert listing.tape.trade_id > trade_id + 100
        assert bid is not None
        assert ask is not None
        assert bid < ask


def test_perpetual_moves_with_its_spot_symbol_and_stays_within_half_a_percent_of_it() -> None:
    exchange = opened()
    run(exchange, 5 * HOUR_MS)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        spot, perpetual = closes(exchange, "spot", symbol, 301), closes(exchange, "usdm", symbol, 301)
        basis = [p / s - 1 for p, s in zip(perpetual, spot, strict=True)]
        assert max(map(abs, basis)) < 0.005
        moves = [[math.log(b / a) for a, b in pairwise(row)] for row in (spot, perpetual)]
        assert correlation(*moves) > 0.9


def test_index_is_the_middle_of_the_spot_book_and_the_mark_lies_near_it() -> None:
    exchange = opened()
    run(exchange, 2 * HOUR_MS)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        spot, perpetual = exchange.listing(symbol), exchange.listing(symbol, "usdm")
        bid, ask = spot.book.bids.best(), spot.book.asks.best()
        assert bid is not None
        assert ask is not None
        assert exchange.marks.index_of(perpetual) == (bid + ask) * spot.instrument.tick // 2
        assert abs(exchange.marks.mark_of(perpetual) / exchange.marks.index_of(perpetual) - 1) < 0.005


@pytest.mark.parametrize("regime", NAMES)
def test_basis_settles_where_its_regime_pulls_it(regime: str) -> None:
    basis, rng, state = Basis(), random.Random(5), NAMES.index(regime)
    values = [basis.step(state, 60.0, rng) for _ in range(20_000)]
    pull = PULLS[regime]
    # An hour decorrelates by 2^-3, so the mean of 20,000 has a standard error of spread * sqrt(1.29 / 20,000).
    assert abs(fmean(values) - pull.mean) < 5 * pull.spread * math.sqrt(1.29 / 20_000)
    assert stdev(values) == pytest.approx(pull.spread, rel=0.03)


def test_basis_spread_does_not_depend_on_the_length_of_a_step() -> None:
    spreads = []
    for minutes in (0.25, 15.0):
        basis, rng = Basis(), random.Random(11)
        count = round(60_000 / minutes)
        spreads.append(stdev(basis.step(0, minutes, rng) for _ in range(count)))
    assert spreads[0] == pytest.approx(spreads[1], rel=0.1)


def test_truth_is_the_same_on_both_markets_also_when_one_is_forced() -> None:
    exchange = opened()
    run(exchange, 20 * MINUTE_MS)
    market_of(exchange, "BTCUSDT").set_regime("turbulent")
    run(exchange, 20 * MINUTE_MS)
    truths = [
        exchange.driver.feed(exchange.listing("BTCUSDT", market)).truth() for market in ("spot", "usdm")
    ]
    assert truths[0] == truths[1]
    assert (START_MS + 20 * MINUTE_MS, NAMES.index("turbulent")) in truths[1]
    assert spot_feed(exchange, "BTCUSDT").regime == market_of(exchange, "BTCUSDT").regime


def test_scripted_perpetual_leaves_the_spot_market_alone_and_comes_back_to_it() -> None:
    exchange = opened(("BTCUSDT",))
    listing = exchange.listing("BTCUSDT", "usdm")
    index = exchange.marks.index_of(listing)
    target = index * 102 // 100 / listing.instrument.tick
    market_of(exchange, "BTCUSDT").follow_path(exchange.driver.next_ms, [(60.0, target), (120.0, target)])
    run(exchange, 90_000, 1_000)
    mid = listing.book.mid_ticks()
    assert mid is not None
    assert mid == pytest.approx(target, rel=1e-4)
    assert abs(exchange.marks.index_of(listing) / index - 1) < 0.01
    run(exchange, 4 * HOUR_MS)
    # Twelve half lives later the two percent have shrunk to 0.0005 %; what is left is the ordinary basis.
    assert (
        abs(closes(exchange, "usdm", "BTCUSDT", 1)[0] / closes(exchange, "spot", "BTCUSDT", 1)[0] - 1) < 0.004
    )


def test_perpetual_of_a_delisted_spot_symbol_goes_on_with_an_index_of_its_own() -> None:
    exchange = opened()
    run(exchange, 10 * MINUTE_MS)
    exchange.delist(exchange.listing("ETHUSDT"))
    listing = exchange.listing("ETHUSDT", "usdm")
    before, index = listing.tape.trade_id, exchange.marks.index_of(listing)
    run(exchange, HOUR_MS)
    assert listing.tape.trade_id > before
    assert exchange.marks.index_of(listing) != index
    assert abs(exchange.marks.mark_of(listing) / exchange.marks.index_of(listing) - 1) < 0.005
    truth = exchange.driver.feed(listing).truth()
    assert truth[-1][0] == exchange.driver.next_ms // MINUTE_MS * MINUTE_MS - MINUTE_MS


def test_perpetual_without_a_spot_symbol_makes_its_own_path() -> None:
    exchange = opened(("BTCUSDT",), usdm_symbols=("SOLUSDT",))
    assert list(exchange.usdm.listings) == ["SOLUSDT"]
    run(exchange, HOUR_MS)
    listing = exchange.listing("SOLUSDT", "usdm")
    assert len({bar.close for bar in listing.klines.closed["1m"][-60:]}) > 20
    assert abs(exchange.marks.mark_of(listing) / exchange.marks.index_of(listing) - 1) < 0.005


def test_halted_perpetual_is_still_marked_every_minute_and_pays_funding() -> None:
    exchange = opened(("BTCUSDT",))
    listing = exchange.listing("BTCUSDT", "usdm")
    exchange.set_status(listing, SymbolStatus.HALT)
    trades, sheet = listing.tape.trade_id, exchange.marks.sheet(listing.instrument.key)
    fundings = len(sheet.history)
    run(exchange, 9 * HOUR_MS)
    assert listing.tape.trade_id == trades
    assert sheet.updated_ms == exchange.driver.next_ms // MINUTE_MS * MINUTE_MS
    # 15:07 to 00:07 UTC passes 16:00 and 00:00.
    assert [row.time_ms for row in list(sheet.history)[fundings:]] == [
        START_MS // (8 * HOUR_MS) * 8 * HOUR_MS + 8 * HOUR_MS * part for part in (1, 2)
    ]


def test_minutes_of_both_markets_close_without_a_gap_at_any_step() -> None:
    exchange = opened(("BTCUSDT",))
    for step_ms, length in ((100, 3), (1_000, 7), (15_000, 60)):
        run(exchange, length * MINUTE_MS, step_ms)
    for market in ("spot", "usdm"):
        opens = [bar.open_ms for bar in exchange.listing("BTCUSDT", market).klines.closed["1m"]]
        assert opens == list(range(opens[0], exchange.driver.next_ms // MINUTE_MS * MINUTE_MS, MINUTE_MS))
    klines = exchange.marks.sheet("usdm:BTCUSDT").klines["mark"].closed["1m"]
    assert [bar.open_ms for bar in klines] == opens[-len(klines) :]


def test_two_runs_of_the_same_market_are_equal_to_the_last_digit() -> None:
    states = []
    for _ in range(2):
        exchange = opened()
        run(exchange, 5 * MINUTE_MS, 1_000)
        run(exchange, HOUR_MS)
        states.append(
            json.dumps(
                [
                    [listing.tape.trade_id, listing.klines.state(), exchange.driver.state_of(listing)]
                    for listing in exchange.listings()
                ]
                + [exchange.marks.state()]
            )
        )
    assert states[0] == states[1]


def test_what_is_kept_of_marks_and_funding_is_bounded() -> None:
    exchange = opened(("BTCUSDT",))
    sheet = exchange.marks.sheet("usdm:BTCUSDT")
    for minute in range(1, 8_001):
        at = exchange.driver.next_ms // MINUTE_MS * MINUTE_MS + minute * MINUTE_MS
        exchange.marks.update(exchange.listing("BTCUSDT", "usdm"), sheet.index, at)
        exchange.marks.close_minute(exchange.listing("BTCUSDT", "usdm"), at)
    kept = {name: len(bars) for name, bars in sheet.klines["mark"].closed.items()}
    assert kept["1m"] <= 3_000 * 9 // 8
    assert max(count for name, count in kept.items() if name != "1m") <= 1_500 * 9 // 8
    assert sheet.history.maxlen is not None
