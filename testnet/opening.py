"""Open the exchange: recover or create, then list the symbols of this run."""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass, field
from pathlib import Path

from testnet.clock import MarketClock, wall_ms
from testnet.exchange import Exchange
from testnet.instruments import DEFAULT_SYMBOLS, Character, catalog_instrument
from testnet.journal import Journal
from testnet.klines import DAY_MS, MINUTE_MS
from testnet.listing import Listing
from testnet.market.candles import CandleFile, find_files, read_candles
from testnet.market.history import generate
from testnet.market.replay import ReplayFeed, load_history
from testnet.market.synthetic import SyntheticFeed
from testnet.recovery import Recovery
from testnet.snapshots import snapshot
from testnet.values import SCALE

log = logging.getLogger("testnet")

DEFAULT_BACK_DAYS = 30
REPLAY_WARMUP_CANDLES = 500


class BadStart(ValueError):
    """The options do not describe a market that can start."""


@dataclass(frozen=True, slots=True)
class MarketOptions:
    """What market to run."""

    seed: int = 1
    speed: float = 1.0
    start_ms: int | None = None
    symbols: tuple[str, ...] = ()
    replay: Path | None = None
    data_dir: Path | None = None
    catch_up: bool = False
    minute_days: int = 3
    hour_days: int = 60


@dataclass(slots=True)
class Opened:
    """A running exchange and what recovery knows."""

    exchange: Exchange
    recovered: bool
    delisted: set[str] = field(default_factory=set)


def open_exchange(options: MarketOptions) -> Opened:
    """Recover from the data directory or start anew, list every symbol, and compact the journal.

    Raises
    ------
    BadStart : unknown symbols or a start outside the replayed data.
    DataDirectoryInUse : another process has the data directory.
    """
    journal = Journal(options.data_dir)
    journal.lock()
    files = _replay_files(options)
    clock = MarketClock(_start_ms(options, files), speed=options.speed, catch_up=options.catch_up)
    exchange = Exchange(clock, journal, options.seed)
    recovery = Recovery(exchange)
    recovered = options.data_dir is not None and recovery.load(options.data_dir)
    journal.open()
    symbols = list(files) or list(options.symbols or DEFAULT_SYMBOLS)
    known = [symbol for symbol in exchange.spot.listings if symbol not in symbols]
    for symbol in [*symbols, *known]:
        if f"spot:{symbol}" in recovery.delisted:
            continue
        _open_symbol(exchange, recovery, symbol, files.get(symbol), options)
    recovery.rest_orders()
    for key, (engine, _, feed) in exchange.driver.driven.items():
        if key in recovery.feed_states:
            feed.open_minute(engine, exchange.driver.next_ms)
    journal.replace(snapshot(exchange, recovery.delisted))
    exchange.journal_clock()
    journal.flush()
    return Opened(exchange, recovered, recovery.delisted)


def _replay_files(options: MarketOptions) -> dict[str, CandleFile]:
    if options.replay is None:
        return {}
    paths = find_files(options.replay, list(options.symbols) or None)
    return {symbol: read_candles(path) for symbol, path in paths.items()}


def _start_ms(options: MarketOptions, files: dict[str, CandleFile]) -> int:
    if not files:
        start = options.start_ms
        if start is None:
            start = wall_ms() - DEFAULT_BACK_DAYS * DAY_MS
        return start // MINUTE_MS * MINUTE_MS
    first = min(file.candles[0].open_ms for file in files.values())
    last = max(file.candles[-1].open_ms for file in files.values())
    if options.start_ms is not None:
        if not first < options.start_ms <= last:
            raise BadStart("--start lies outside the replayed candles")
        return options.start_ms // MINUTE_MS * MINUTE_MS
    longest = max(files.values(), key=lambda file: len(file.candles))
    return longest.candles[min(REPLAY_WARMUP_CANDLES, len(longest.candles) // 2)].open_ms


def _open_symbol(
    exchange: Exchange, recovery: Recovery, symbol: str, file: CandleFile | None, options: MarketOptions
) -> None:
    listing = exchange.spot.listings.get(symbol)
    if listing is None:
        listing = _new_listing(exchange, symbol, file)
        exchange.add_listing(listing)
        state = None
    else:
        state = recovery.feed_states.get(listing.instrument.key)
    feed: SyntheticFeed | ReplayFeed
    if file is not None:
        feed = _replay_feed(exchange, listing, file, options, is_new=state is None)
    else:
        feed = _synthetic_feed(exchange, listing, options, is_new=state is None)
    if state is not None:
        feed.restore(state)
        if listing.tape.last_price == 0:
            listing.tape.last_price = 1
        feed.makers.requote(exchange.spot, float(listing.tape.last_price), 1.0)
    exchange.driver.add(exchange.spot, listing, feed)


def _new_listing(exchange: Exchange, symbol: str, file: CandleFile | None) -> Listing:
    if file is None:
        instrument, character = catalog_instrument(symbol)
        return Listing(instrument, character)
    return Listing(file.instrument, Character(price=file.candles[0].open / SCALE))


def _synthetic_feed(
    exchange: Exchange, listing: Listing, options: MarketOptions, *, is_new: bool
) -> SyntheticFeed:
    instrument, seed = listing.instrument, options.seed
    now = exchange.driver.next_ms
    rng = random.Random(f"{seed}:market:{instrument.symbol}:{now}")
    if not is_new:
        return SyntheticFeed(listing, float(max(1, listing.tape.last_price)), 0, rng)
    past = generate(
        listing.klines,
        instrument,
        listing.character,
        start_ms=now,
        minute_days=options.minute_days,
        hour_days=options.hour_days,
        seed=seed,
    )
    listing.tape.last_price = instrument.ticks(past.price)
    listing.tape.trade_id = sum(bar.trades for bar in listing.klines.closed["1m"])
    listing.tape.agg_id = listing.tape.trade_id
    feed = SyntheticFeed(listing, past.price * SCALE / instrument.tick, past.regime, rng)
    feed.load_truth(past.truth)
    return feed


def _replay_feed(
    exchange: Exchange, listing: Listing, file: CandleFile, options: MarketOptions, *, is_new: bool
) -> ReplayFeed:
    now = exchange.driver.next_ms
    if is_new:
        before = sum(1 for candle in file.candles if candle.open_ms + file.length_ms <= now)
        load_history(listing.klines, file, before, now - options.minute_days * DAY_MS, options.seed)
        last = file.candles[max(0, before - 1)]
        listing.tape.last_price = (last.close if before else last.open) // listing.instrument.tick
        listing.path_price = listing.tape.last_price
    start = now
    for candle in file.candles:
        # Starting inside a candle prints it from its beginning, so that it still comes out whole.
        if candle.open_ms <= now < candle.open_ms + file.length_ms:
            start = candle.open_ms
            break
    return ReplayFeed(listing, file, start, options.seed, exchange.clock)
