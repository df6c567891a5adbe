"""Open the exchange: recover or create, then list the symbols of this run."""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass, field
from pathlib import Path

from testnet.clock import MarketClock, wall_ms
from testnet.exchange import Exchange
from testnet.instruments import DEFAULT_SYMBOLS, Character, UnknownInstrument, catalog_instrument
from testnet.journal import Journal
from testnet.klines import DAY_MS, MINUTE_MS
from testnet.listing import Listing
from testnet.market.candles import CandleFile
from testnet.market.history import generate
from testnet.market.replay import ReplayFeed
from testnet.market.synthetic import SyntheticFeed
from testnet.recovery import Recovery
from testnet.replay_opening import read_folder, read_funding, read_usdm_folder, replay_feed
from testnet.schedule import Schedule
from testnet.snapshots import snapshot
from testnet.symbol_actions import SymbolDesk
from testnet.truth import TruthBook
from testnet.usdm.feed import PerpetualFeed
from testnet.usdm.opening import PerpetualOptions, default_symbols, open_perpetual
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
    # None lists a perpetual for every spot symbol that can have one.
    usdm_symbols: tuple[str, ...] | None = None
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
    desk: SymbolDesk
    schedule: Schedule
    delisted: set[str] = field(default_factory=set)


def open_exchange(options: MarketOptions) -> Opened:
    """Recover from the data directory or start anew, list every symbol, and compact the journal.

    Raises
    ------
    BadStart : a perpetual that cannot be, or a start outside the replayed data.
    UnknownInstrument : a symbol that is not built in.
    DataDirectoryInUse : another process has the data directory.
    """
    journal = Journal(options.data_dir)
    journal.lock()
    files = _replay_files(options)
    clock = MarketClock(_start_ms(options, files), speed=options.speed, catch_up=options.catch_up)
    exchange = Exchange(clock, journal, options.seed)
    schedule = Schedule(journal.append)
    delisted: set[str] = set()
    desk = SymbolDesk(exchange, schedule, delisted)
    truth = TruthBook(exchange.driver, journal.append)
    exchange.parts += [schedule, desk, truth]
    recovery = Recovery(exchange)
    recovered = options.data_dir is not None and recovery.load(options.data_dir)
    delisted |= recovery.delisted
    journal.open()
    symbols = list(files) or list(options.symbols or DEFAULT_SYMBOLS)
    known = [symbol for symbol in exchange.spot.listings if symbol not in symbols]
    for symbol in [*symbols, *known]:
        if f"spot:{symbol}" in recovery.delisted:
            continue
        _open_symbol(exchange, recovery, symbol, files.get(symbol), options)
    _open_perpetuals(exchange, recovery, options)
    recovery.rest_orders()
    for key, (engine, _, feed) in exchange.driver.driven.items():
        if key in recovery.feed_states:
            feed.open_minute(engine, exchange.driver.next_ms)
    _recall_truth(exchange, recovery, truth)
    journal.replace(snapshot(exchange, delisted))
    exchange.journal_clock()
    journal.flush()
    exchange.market_listeners.append(truth)
    return Opened(exchange, recovered, desk, schedule, delisted)


def _recall_truth(exchange: Exchange, recovery: Recovery, truth: TruthBook) -> None:
    """Give recovered feeds their past back, and write down a new feed's."""
    for key, (_, _, feed) in exchange.driver.driven.items():
        market = feed.market if isinstance(feed, PerpetualFeed) else feed
        if key in recovery.feed_states and isinstance(market, SyntheticFeed):
            market.load_truth(truth.rows(key, exchange.driver.next_ms))
        else:
            truth.note(key, feed.truth())


def _replay_files(options: MarketOptions) -> dict[str, CandleFile]:
    if options.replay is None:
        return {}
    return read_folder(options.replay, list(options.symbols) or None)


def _open_perpetuals(exchange: Exchange, recovery: Recovery, options: MarketOptions) -> None:
    exchange.marks.keep(exchange.usdm)
    files = read_usdm_folder(options.replay) if options.replay is not None else {}
    terms = PerpetualOptions(
        options.seed,
        options.minute_days,
        options.hour_days,
        files,
        read_funding(options.replay) if options.replay is not None else {},
    )
    wanted = default_symbols(exchange) if options.usdm_symbols is None else list(options.usdm_symbols)
    for symbol in dict.fromkeys([*wanted, *exchange.usdm.listings]):
        key = f"usdm:{symbol}"
        if key in recovery.delisted:
            continue
        try:
            open_perpetual(exchange, symbol, terms, recovery.feed_states.get(key))
        except UnknownInstrument as error:
            raise BadStart(str(error)) from error


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
        feed = replay_feed(
            exchange,
            listing,
            file,
            minute_days=options.minute_days,
            seed=options.seed,
            is_new=state is None,
        )
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
