"""Open the perpetuals of a run: their listings, history and feeds."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from testnet.exchange import Exchange
from testnet.instruments import Character, UnknownInstrument, split_symbol
from testnet.listing import Listing
from testnet.market.candles import CandleFile
from testnet.market.history import generate
from testnet.market.replay import ReplayFeed
from testnet.market.synthetic import SyntheticFeed
from testnet.replay_opening import replay_feed
from testnet.usdm.catalog import MARGIN_ASSETS, catalog_perpetual, is_built_in, perpetual_of
from testnet.usdm.feed import FollowingFeed, PerpetualFeed, Underlying
from testnet.usdm.history import derive_history
from testnet.values import SCALE


@dataclass(frozen=True, slots=True)
class PerpetualOptions:
    """What opening a perpetual needs to know of the run."""

    seed: int
    minute_days: int
    hour_days: int
    files: Mapping[str, CandleFile]
    funding: Mapping[str, Mapping[int, int]]


def default_symbols(exchange: Exchange) -> list[str]:
    """A perpetual for every spot symbol quoted in a margin asset."""
    return [symbol for symbol in exchange.spot.listings if split_symbol(symbol)[1] in MARGIN_ASSETS]


def describe_perpetual(exchange: Exchange, symbol: str) -> Listing:
    """A new listing for the perpetual of a built-in symbol or of one listed on spot.

    Raises
    ------
    UnknownInstrument : neither.
    """
    if is_built_in(symbol):
        return Listing(*catalog_perpetual(symbol))
    spot = exchange.spot.listings.get(symbol)
    if spot is None:
        raise UnknownInstrument(f"{symbol}: neither a built-in perpetual nor listed on spot")
    return Listing(*perpetual_of(spot.instrument, spot.character, exchange.driver.next_ms))


def open_perpetual(
    exchange: Exchange, symbol: str, options: PerpetualOptions, state: dict[str, Any] | None
) -> None:
    """List a perpetual, or take a recovered one over with its feed's `state`."""
    listing = exchange.usdm.listings.get(symbol)
    file = options.files.get(symbol)
    if listing is None:
        listing = _described(exchange, symbol, file)
        exchange.add_listing(listing)
        state = None
    market: FollowingFeed | ReplayFeed
    if file is not None:
        market = replay_feed(
            exchange,
            listing,
            file,
            minute_days=options.minute_days,
            seed=options.seed,
            is_new=state is None,
        )
    else:
        market = _following(exchange, listing, options, is_new=state is None)
    feed = PerpetualFeed(listing, market, Underlying(exchange.driver, symbol), exchange.marks)
    feed.sheet.recorded.update(options.funding.get(symbol, {}))
    if state is not None:
        feed.restore(state)
        listing.tape.last_price = max(1, listing.tape.last_price)
        market.makers.requote(exchange.usdm, float(listing.tape.last_price), 1.0)
    exchange.driver.add(exchange.usdm, listing, feed)


def _described(exchange: Exchange, symbol: str, file: CandleFile | None) -> Listing:
    if file is None:
        return describe_perpetual(exchange, symbol)
    first = file.candles[0]
    instrument, character = perpetual_of(file.instrument, Character(price=first.open / SCALE), first.open_ms)
    if is_built_in(symbol) and instrument.perpetual is not None:
        # The recording's own tick and step, so that it comes out exactly; the venue's terms otherwise.
        known = catalog_perpetual(symbol)[0].perpetual
        brackets = known.brackets if known is not None else instrument.perpetual.brackets
        instrument = replace(instrument, perpetual=replace(instrument.perpetual, brackets=brackets))
    return Listing(instrument, character)


def _following(
    exchange: Exchange, listing: Listing, options: PerpetualOptions, *, is_new: bool
) -> FollowingFeed:
    instrument = listing.instrument
    underlying = Underlying(exchange.driver, instrument.symbol)
    rng = random.Random(f"{options.seed}:market:{instrument.key}:{exchange.driver.next_ms}")
    if not is_new:
        return FollowingFeed(listing, float(max(1, listing.tape.last_price)), 0, rng, underlying)
    spot = exchange.spot.listings.get(instrument.symbol)
    sheet = exchange.marks.sheet(instrument.key)
    if spot is None:
        return _alone(exchange, listing, options, rng, underlying)
    spot_feed = underlying.feed()
    premium = derive_history(
        listing, spot, sheet, spot_feed.truth() if spot_feed is not None else [], options.seed
    )
    regime = spot_feed.regime if isinstance(spot_feed, SyntheticFeed) else 0
    fair = max(2.0, spot.tape.last_price * spot.instrument.tick / instrument.tick * math.exp(premium))
    feed = FollowingFeed(listing, fair, regime, rng, underlying)
    feed.basis.value = premium
    feed.index = fair / math.exp(premium)
    return feed


def _alone(
    exchange: Exchange,
    listing: Listing,
    options: PerpetualOptions,
    rng: random.Random,
    underlying: Underlying,
) -> FollowingFeed:
    """A perpetual without a spot symbol makes its own index; its past has no premium."""
    instrument = listing.instrument
    past = generate(
        listing.klines,
        instrument,
        listing.character,
        start_ms=exchange.driver.next_ms,
        minute_days=options.minute_days,
        hour_days=options.hour_days,
        seed=options.seed,
    )
    listing.tape.last_price = instrument.ticks(past.price)
    listing.tape.trade_id = sum(bar.trades for bar in listing.klines.closed["1m"])
    listing.tape.agg_id = listing.tape.trade_id
    feed = FollowingFeed(listing, past.price * SCALE / instrument.tick, past.regime, rng, underlying)
    feed.load_truth(past.truth)
    return feed
