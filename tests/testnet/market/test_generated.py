"""The generated market as a whole: like the recorded one, correlated, bounded, repeatable."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest

from testnet.exchange import Exchange
from testnet.klines import KEEP_MINUTES, KEEP_OTHER, Bar
from testnet.listing import Listing
from testnet.market.compare import generated, recording
from testnet.market.compare.__main__ import main, nearest_regime
from testnet.market.compare.table import AIMS, rows
from testnet.market.regimes import REGIMES
from testnet.market.synthetic import KEEP_TRUTH
from testnet.opening import MarketOptions, open_exchange
from testnet.tape import KEEP_TRADES, Trade

MINUTE_MS = 60_000
DAY_MS = 86_400_000
START_MS = 1_750_000_020_000
STEP_MS = 15_000


def opened(*symbols: str, minute_days: int = 1, seed: int = 7) -> Exchange:
    options = MarketOptions(
        seed=seed,
        speed=0.0,
        start_ms=START_MS,
        symbols=symbols,
        usdm_symbols=(),
        minute_days=minute_days,
        hour_days=max(2, minute_days),
    )
    return open_exchange(options).exchange


def run(exchange: Exchange, length_ms: int, step_ms: int = STEP_MS) -> None:
    target = exchange.driver.next_ms + length_ms
    while exchange.driver.slice_to(target, step_ms):
        continue


class Heard:
    """Everything public the spot market said."""

    def __init__(self) -> None:
        self.trades: list[tuple[str, Trade]] = []
        self.bars: dict[str, list[Bar]] = {}

    def trade(self, listing: Listing, trade: Trade) -> None:
        if listing.instrument.market == "spot":
            self.trades.append((listing.instrument.symbol, trade))

    def aggregates(self, listing: Listing, aggregates: object) -> None:
        assert aggregates

    def bars_closed(self, listing: Listing, closed: list[tuple[str, Bar]]) -> None:
        if listing.instrument.market == "spot":
            self.bars.setdefault(listing.instrument.symbol, []).append(closed[0][1])


SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
MINUTES = 1_500


@pytest.fixture(scope="module")
def stretch() -> tuple[Exchange, Heard]:
    """A day of three symbols at the step of high speeds."""
    exchange, heard = opened(*SYMBOLS), Heard()
    exchange.market_listeners.append(heard)
    run(exchange, MINUTES * MINUTE_MS)
    return exchange, heard


@pytest.fixture(scope="module")
def standardised(stretch: tuple[Exchange, Heard]) -> dict[str, dict[int, list[float]]]:
    """Log returns of each symbol's minutes by true regime, in the regime's own mean and deviation."""
    exchange, heard = stretch
    found: dict[str, dict[int, list[float]]] = {}
    for symbol in SYMBOLS:
        listing = exchange.listing(symbol)
        truth = dict(exchange.driver.feed(listing).truth())
        relative = listing.character.volatility
        for before, bar in pairwise(heard.bars[symbol]):
            state = truth[bar.open_ms]
            sigma = REGIMES[state].volatility * relative
            mean = REGIMES[state].drift * relative - sigma**2 / 2
            value = (math.log(bar.close / before.close) - mean) / sigma
            found.setdefault(symbol, {}).setdefault(state, []).append(value)
    return found


def test_no_minute_is_skipped_and_every_one_has_its_truth(stretch: tuple[Exchange, Heard]) -> None:
    exchange, heard = stretch
    expected = [START_MS + index * MINUTE_MS for index in range(MINUTES)]
    for symbol in SYMBOLS:
        assert [bar.open_ms for bar in heard.bars[symbol]] == expected
        truth = exchange.driver.feed(exchange.listing(symbol)).truth()
        assert [row[0] for row in truth[-MINUTES:]] == expected


def test_minutes_are_as_volatile_as_their_regime_says(
    standardised: dict[str, dict[int, list[float]]],
) -> None:
    seen = 0
    for state in range(len(REGIMES)):
        values = [value for symbol in SYMBOLS for value in standardised[symbol].get(state, [])]
        if len(values) < 200:
            continue
        seen += 1
        spread = math.sqrt(math.fsum(value**2 for value in values) / len(values))
        # The symbols share a factor, which is worth at most three times fewer independent draws; quotes
        # stand still in a band and trades print on either side of it, which adds a few percent.
        error = 4 / math.sqrt(2 * len(values) / 3)
        assert 1 - error <= spread <= 1.06 + error, REGIMES[state].name
    assert seen >= 3


def test_minute_returns_correlate_as_the_factor_loadings_say(
    stretch: tuple[Exchange, Heard], standardised: dict[str, dict[int, list[float]]]
) -> None:
    exchange, heard = stretch
    series: dict[str, list[float]] = {}
    for symbol in SYMBOLS:
        listing = exchange.listing(symbol)
        truth = dict(exchange.driver.feed(listing).truth())
        relative = listing.character.volatility
        series[symbol] = [
            math.log(bar.close / before.close) / (REGIMES[truth[bar.open_ms]].volatility * relative)
            for before, bar in pairwise(heard.bars[symbol])
        ]
    for one, two in combinations(SYMBOLS, 2):
        expected = exchange.listing(one).character.correlation * exchange.listing(two).character.correlation
        # Fisher: the deviation of a sample correlation is (1 - r^2) / sqrt(n); price noise lowers it a little.
        error = 4 * (1 - expected**2) / math.sqrt(MINUTES)
        assert correlation(series[one], series[two]) == pytest.approx(expected, abs=error + 0.03)


def correlation(one: list[float], two: list[float]) -> float:
    count = len(one)
    mean_one, mean_two = math.fsum(one) / count, math.fsum(two) / count
    shared = math.fsum((a - mean_one) * (b - mean_two) for a, b in zip(one, two, strict=True))
    scale = math.fsum((a - mean_one) ** 2 for a in one) * math.fsum((b - mean_two) ** 2 for b in two)
    return shared / math.sqrt(scale)


def test_past_candles_trade_as_much_as_the_live_market(stretch: tuple[Exchange, Heard]) -> None:
    exchange, _ = stretch
    for symbol in SYMBOLS:
        listing = exchange.listing(symbol)
        truth = dict(exchange.driver.feed(listing).truth())
        past: dict[int, list[int]] = {}
        live: dict[int, list[int]] = {}
        for bar in listing.klines.closed["1m"]:
            (past if bar.open_ms < START_MS else live).setdefault(truth[bar.open_ms], []).append(bar.quote)
        shared = [state for state in past if len(past[state]) > 100 and len(live.get(state, [])) > 100]
        assert shared, symbol
        for state in shared:
            ratio = sum(live[state]) / len(live[state]) / (sum(past[state]) / len(past[state]))
            # A minute's volume varies by about its mean, so means of 100 are known to 10 % or so.
            assert 0.6 < ratio < 1.6, (symbol, REGIMES[state].name)


def test_equal_seeds_give_equal_markets_and_others_do_not() -> None:
    runs = []
    for seed in (3, 3, 4):
        exchange, heard = opened("BTCUSDT", "XRPUSDT", seed=seed), Heard()
        exchange.market_listeners.append(heard)
        for step in (100, 1_000, 15_000):
            run(exchange, 2 * MINUTE_MS, step)
        books = [
            exchange.listing(symbol).book.side(side).top(1_000)
            for symbol in ("BTCUSDT", "XRPUSDT")
            for side in ("BUY", "SELL")
        ]
        runs.append((heard.trades, heard.bars, books))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert len(runs[0][0]) > 1_000


def containers(root: object) -> int:
    """Elements of every container reachable from an object, candles and public trades apart."""
    seen: set[int] = set()
    total, todo = 0, [root]
    while todo:
        item = todo.pop()
        if id(item) in seen or isinstance(item, str | bytes | int | float | type | Bar):
            continue
        seen.add(id(item))
        children = list(children_of(item))
        if isinstance(item, dict | list | set | frozenset | deque):
            total += len(children)
        todo += children
    return total


def children_of(item: object) -> Iterator[Any]:
    if isinstance(item, dict):
        yield from item.values()
    elif isinstance(item, list | tuple | set | frozenset | deque):
        yield from item
    elif is_dataclass(item):
        yield from (getattr(item, field.name) for field in fields(item))
    elif type(item).__module__.startswith("testnet."):
        names = [name for kind in type(item).__mro__ for name in getattr(kind, "__slots__", ())]
        yield from (getattr(item, name) for name in names if hasattr(item, name))
        yield from getattr(item, "__dict__", {}).values()


@pytest.mark.long
def test_memory_stays_where_it_is_over_days_of_market_time() -> None:
    exchange = opened("BTCUSDT", minute_days=8)
    listing = exchange.listing("BTCUSDT")
    feed = exchange.driver.feed(listing)
    sizes = []
    for _ in range(3):
        run(exchange, DAY_MS)
        # The streams empty these ten times a second.
        listing.book.bids.touched.clear()
        listing.book.asks.touched.clear()
        bars = sum(len(kept) for kept in listing.klines.closed.values())
        sizes.append(containers(exchange) - bars - len(feed.truth()))
        for interval, kept in listing.klines.closed.items():
            assert len(kept) <= (KEEP_MINUTES if interval == "1m" else KEEP_OTHER) * 9 // 8
        assert len(feed.truth()) <= KEEP_TRUTH * 9 // 8
        assert len(listing.tape.trades) <= KEEP_TRADES
    # Books breathe with the regime; nothing else may grow.
    assert max(sizes) - min(sizes) < 600, sizes


@pytest.mark.parametrize(
    ("volatility", "relative", "name"),
    [(3.0, 1.0, "calm"), (8.4, 1.0, "trend_up"), (12.0, 1.0, "turbulent"), (12.0, 2.0, "trend_up")],
)
def test_the_nearest_regime_is_nearest_in_ratio(volatility: float, relative: float, name: str) -> None:
    # Per minute: calm 3 bps, trend 5.5, turbulent 16; 8.4 is 1.53 times a trend and 1.90 times below turbulent.
    assert nearest_regime(volatility, relative) == name


@pytest.mark.long
@pytest.mark.realdata
@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])
def test_the_generated_market_agrees_with_a_recorded_one_within_a_factor_of_two(
    real_data: Path, symbol: str
) -> None:
    path = real_data / "streams" / f"hftbacktest_spot_{symbol.lower()}_20240808.gz"
    recorded = recording.portray(path, symbol, 1_000_000, warm_up_s=15, seconds=None)
    made = generated.portray(symbol, "trend_up", seconds=600, seed=11)
    table = rows(recorded.figures(), made.figures())
    apart = {row.name: row.ratio for row in table if row.is_aim and not row.agrees}
    assert not apart
    assert sum(row.is_aim for row in table) == len(AIMS)


def test_the_tool_says_why_it_cannot_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--recorded", str(tmp_path / "nothing.gz")]) == 1
    assert "cannot compare" in capsys.readouterr().err
    assert main(["--recorded", str(tmp_path / "nothing.gz"), "--symbol", "NOSUCH"]) == 1
    assert "NOSUCH" in capsys.readouterr().err


def test_the_tool_prints_both_markets_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "short.txt"
    ticker = {"u": 1, "s": "BTCUSDT", "b": "60000.00", "B": "2", "a": "60000.03", "A": "1"}
    trade = {"e": "trade", "p": "60000.00", "q": "0.001", "T": 1_700_000_000_500, "m": True}
    with path.open("w") as out:
        for at_ms in range(0, 4_001, 1_000):
            out.write(f"{(1_700_000_000_000 + at_ms) * 10**6} ")
            out.write(json.dumps({"stream": "btcusdt@bookTicker", "data": ticker}) + "\n")
        out.write(
            f"{1_700_000_004_000 * 10**6} " + json.dumps({"stream": "btcusdt@trade", "data": trade}) + "\n"
        )
    assert main(["--recorded", str(path), "--warm-up", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    # Nothing moved, so no regime is nearest and the calm one is shown.
    assert found["regime"] == "calm"
    assert found["figures"]["spread_ticks_p50"]["recorded"] == 3
    assert found["figures"]["trades_per_s"]["recorded"] == 0.25
    assert found["figures"]["spread_ticks_p50"]["generated"] == 1
    # Four seconds hold no minute.
    assert found["figures"]["volatility_60s_bps"] == {"recorded": None, "generated": None}
    assert main(["--recorded", str(path), "--warm-up", "0", "--regime", "turbulent"]) == 0
    assert "against regime turbulent" in capsys.readouterr().out
