"""Moves every symbol through market time, minute boundary by minute boundary."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

from testnet.clock import MarketClock
from testnet.engine import Engine
from testnet.klines import MINUTE_MS, Bar
from testnet.listing import Listing, SymbolStatus
from testnet.market.feed import Feed, TimedFeed

TICK_MS = 100  # wall time between steps
MAX_STEP_MS = 15_000  # four steps a minute keep candles' ranges plausible at any speed
_HOUR_MS = 3_600_000

BarsClosed = Callable[[Listing, list[tuple[str, Bar]]], None]


class Driven(NamedTuple):
    """One symbol, the engine that matches it and what moves it."""

    engine: Engine
    listing: Listing
    feed: Feed


class Driver:
    """Advances the feeds; never skips the close of a minute."""

    def __init__(self, clock: MarketClock, seed: int, bars_closed: BarsClosed) -> None:
        self._clock = clock
        self._bars_closed = bars_closed
        self._rng = random.Random(f"{seed}:common:{clock.now_ms}")
        self.driven: dict[str, Driven] = {}
        self.next_ms = clock.now_ms  # market time up to which the feeds have run

    def add(self, engine: Engine, listing: Listing, feed: Feed) -> None:
        """Drive one more symbol from now on."""
        self.driven[listing.instrument.key] = Driven(engine, listing, feed)
        if isinstance(feed, TimedFeed):
            feed.use_clock(self._clock)
        if listing.klines.minute is None:
            listing.klines.start_minute(self.next_ms // MINUTE_MS * MINUTE_MS, listing.tape.last_price)
        feed.open_minute(engine, self.next_ms)

    def remove(self, listing: Listing) -> None:
        """Drive a symbol no longer."""
        self.driven.pop(listing.instrument.key, None)

    def feed(self, listing: Listing) -> Feed:
        """What drives a symbol."""
        return self.driven[listing.instrument.key].feed

    def state_of(self, listing: Listing) -> dict[str, Any] | None:
        """What a symbol's feed needs to continue, None while nothing drives it."""
        row = self.driven.get(listing.instrument.key)
        return row.feed.state() if row is not None else None

    def step_ms(self) -> int:
        """Market time per step when the wall drives it."""
        return min(MAX_STEP_MS, max(TICK_MS, round(TICK_MS * self._clock.speed)))

    def slice_to(self, target_ms: int, step_ms: int) -> bool:
        """Advance by at most one step; False when the target is reached."""
        start = self.next_ms
        if start >= target_ms:
            return False
        boundary = start // MINUTE_MS * MINUTE_MS + MINUTE_MS
        end = min(target_ms, boundary, start + step_ms)
        common = self._rng.gauss(0.0, 1.0)
        last = end - 1 if end == boundary else end
        for engine, listing, feed in self.driven.values():
            self._clock.now_ms = last
            if listing.status is SymbolStatus.TRADING:
                feed.advance(engine, start, end, common)
        self._clock.now_ms = end
        self.next_ms = end
        if end == boundary:
            self._close(boundary)
        return end < target_ms

    def _close(self, boundary: int) -> None:
        for engine, listing, feed in self.driven.values():
            closed = listing.klines.close_minute()
            feed.close_minute(boundary - MINUTE_MS)
            self._bars_closed(listing, closed)
            if listing.status is SymbolStatus.TRADING:
                feed.open_minute(engine, boundary)
            self._clock.now_ms = boundary


def stepped_ms(advance_ms: int) -> int:
    """Step size for an explicit advance; depends on nothing but its length, so runs repeat exactly."""
    return 1_000 if advance_ms <= _HOUR_MS else MAX_STEP_MS
