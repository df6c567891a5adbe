"""A perpetual's candles, marks and funding from before the market starts, derived from its spot symbol's."""

from __future__ import annotations

import math
import random

from testnet.klines import HOUR_MS, MINUTE_MS, Bar
from testnet.listing import Listing
from testnet.market.profiles import profile_of
from testnet.usdm.basis import Basis
from testnet.usdm.mark import terms_of
from testnet.usdm.sheet import Sheet
from testnet.values import SCALE


class Past:
    """Writes one perpetual's history, candle by candle."""

    def __init__(
        self, listing: Listing, spot: Listing, sheet: Sheet, truth: dict[int, int], seed: int
    ) -> None:
        self._listing = listing
        self._spot = spot.instrument
        self._sheet = sheet
        self._truth = truth
        self._terms = terms_of(listing)
        self._rng = random.Random(f"{seed}:history:{listing.instrument.key}")
        self.basis = Basis()
        own = profile_of(listing.instrument, listing.character)
        base = profile_of(spot.instrument, spot.character)
        self._orders = own.orders_per_s / base.orders_per_s
        self._volume = self._orders * own.moments()[0] / base.moments()[0]

    def add(self, bar: Bar, length_ms: int) -> None:
        """Derive one candle of a minute or an hour."""
        before = self.basis.value
        minutes = length_ms / MINUTE_MS
        after = self.basis.step(self._truth.get(bar.open_ms, 0), minutes, self._rng)
        own = self._scaled(bar, math.exp(before), math.exp(after))
        if length_ms == MINUTE_MS:
            self._listing.klines.absorb(own)
        else:
            self._listing.klines.absorb_coarse(own, length_ms)
        premium = round(math.expm1(after) * SCALE)
        self._fund(bar.open_ms + length_ms, premium, bar.close * self._spot.tick)

    def _scaled(self, bar: Bar, first: float, last: float) -> Bar:
        instrument = self._listing.instrument
        ratio = self._spot.tick / instrument.tick
        middle = (first + last) / 2
        factors = (first, middle, middle, last)
        open_, high, low, close = (
            max(1, round(price * ratio * factor)) for price, factor in zip(bar[1:5], factors, strict=True)
        )
        high, low = max(high, open_, close), min(low, open_, close)
        steps = max(1, round(bar.volume * self._spot.step / instrument.step * self._volume))
        taker = min(steps, round(steps * bar.taker_volume / bar.volume)) if bar.volume else 0
        mean = (open_ + high + low + close) // 4
        per = mean * instrument.quote_per
        count = max(1, round(bar.trades * self._orders))
        return Bar(bar.open_ms, open_, high, low, close, steps, steps * per, count, taker, taker * per)

    def _fund(self, time_ms: int, premium: int, index: int) -> None:
        sheet, terms = self._sheet, self._terms
        sheet.average.add(premium)
        sheet.mark, sheet.index, sheet.premium = index + index * premium // SCALE, index, premium
        if time_ms % terms.funding_ms == 0:
            sheet.next_funding_ms = time_ms
            sheet.settle_funding(terms, time_ms)

    def fill_sheet(self, spot: Listing) -> None:
        """The past's marks are the perpetual's own prices, its index is the spot symbol's."""
        marks, index, premiums = (self._sheet.klines[kind] for kind in ("mark", "index", "premium"))
        marks.follow(self._listing.klines, lambda bar: _priced(bar, self._listing.instrument.tick))
        index.follow(spot.klines, lambda bar: _priced(bar, self._spot.tick))
        for name, bars in marks.closed.items():
            under = {bar.open_ms: bar for bar in index.closed[name]}
            premiums.closed[name] = [
                _premium(bar, under[bar.open_ms]) for bar in bars if bar.open_ms in under
            ]


def _priced(bar: Bar, tick: int) -> Bar:
    open_, high, low, close = (price * tick for price in bar[1:5])
    return Bar(bar.open_ms, open_, high, low, close, trades=1)


def _premium(bar: Bar, index: Bar) -> Bar:
    # How far apart they were in between is not known: the ends are taken for the extremes.
    first, last = (
        (own - under) * SCALE // under for own, under in ((bar.open, index.open), (bar.close, index.close))
    )
    return Bar(bar.open_ms, first, max(first, last), min(first, last), last, trades=1)


def derive_history(
    listing: Listing, spot: Listing, sheet: Sheet, truth: list[tuple[int, int]], seed: int
) -> float:
    """Fill a perpetual's candles from its spot symbol's; return the log premium it ends with.

    Hours come first, then minutes, exactly as far back as the spot symbol's own. `truth` is the regime of
    each minute, by which the premium moves.
    """
    past = Past(listing, spot, sheet, dict(truth), seed)
    minutes = spot.klines.closed["1m"]
    first_ms = minutes[0].open_ms if minutes else None
    for bar in spot.klines.closed["1h"]:
        if first_ms is None or bar.open_ms + HOUR_MS <= first_ms:
            past.add(bar, HOUR_MS)
    for bar in minutes:
        past.add(bar, MINUTE_MS)
    past.fill_sheet(spot)
    closed = listing.klines.closed
    tick = listing.instrument.tick
    spot_units = spot.tape.last_price * spot.instrument.tick
    listing.tape.last_price = max(1, round(spot_units * math.exp(past.basis.value) / tick))
    listing.tape.trade_id = sum(bar.trades for bar in closed["1m"])
    listing.tape.agg_id = listing.tape.trade_id
    return past.basis.value
