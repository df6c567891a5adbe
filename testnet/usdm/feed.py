"""What drives a perpetual: a market that follows its spot symbol, then its mark price and funding."""

from __future__ import annotations

import math
import random
from typing import Any

from testnet.clock import MarketClock
from testnet.engine import Engine
from testnet.klines import MINUTE_MS
from testnet.listing import Listing
from testnet.market.driver import Driver
from testnet.market.feed import Feed, TimedFeed
from testnet.market.replay import ReplayFeed
from testnet.market.synthetic import SyntheticFeed
from testnet.usdm.basis import Basis
from testnet.usdm.mark import MarkBoard
from testnet.usdm.sheet import Sheet

_SECOND_MS = 1_000


class Underlying:
    """The spot symbol of a perpetual, as long as it is listed."""

    def __init__(self, driver: Driver, symbol: str) -> None:
        self._driver = driver
        self._key = f"spot:{symbol}"

    def middle(self) -> int | None:
        """Middle of its book in 1e-8 units; None when it is not listed or a side is empty."""
        row = self._driver.driven.get(self._key)
        if row is None:
            return None
        mid = row.listing.book.mid_ticks()
        return None if mid is None else round(2 * mid) * row.listing.instrument.tick // 2

    def feed(self) -> Feed | None:
        """What drives it."""
        row = self._driver.driven.get(self._key)
        return row.feed if row is not None else None

    def generated(self) -> SyntheticFeed | None:
        """Its feed, when the market is generated."""
        feed = self.feed()
        return feed if isinstance(feed, SyntheticFeed) else None


class FollowingFeed(SyntheticFeed):
    """A generated perpetual: own makers and takers round the index times its basis.

    Regime and truth are the spot symbol's. Without a spot symbol the index takes a path of its own.
    """

    def __init__(
        self, listing: Listing, fair: float, regime: int, rng: random.Random, underlying: Underlying
    ) -> None:
        super().__init__(listing, fair, regime, rng)
        self.underlying = underlying
        self.basis = Basis()
        self.index = fair  # in ticks of the perpetual

    def _move(self, end_ms: int, minutes: float, common: float) -> None:
        spot, middle = self.underlying.generated(), self.underlying.middle()
        if spot is not None:
            self.regime = spot.regime
        if middle is not None:
            self.index = middle / self._listing.instrument.tick
        if self._path:
            super()._move(end_ms, minutes, common)
            self._note_basis()
            return
        if self.underlying.feed() is None:
            self.fair = self.index
            super()._move(end_ms, minutes, common)
            self.index = self.fair
        premium = self.basis.step(self.regime, minutes, self._rng)
        self.fair = max(2.0, self.index * math.exp(premium))

    def _note_basis(self) -> None:
        # A scripted perpetual leaves its index where the spot market is; without one they are the same.
        if self.underlying.feed() is None:
            self.index = self.fair
        self.basis.value = math.log(self.fair / self.index)

    def close_minute(self, open_ms: int) -> None:
        """Note the regime; the next one is drawn here only when there is no spot symbol to ask."""
        regime = self.regime
        super().close_minute(open_ms)
        if self.underlying.feed() is not None:
            self.regime = regime

    def set_regime(self, name: str) -> None:
        """Force the regime both markets are in."""
        spot = self.underlying.generated()
        if spot is not None:
            spot.set_regime(name)
        super().set_regime(name)

    def truth(self) -> list[tuple[int, int]]:
        """The spot symbol's truth where there is one (none of a recorded market)."""
        spot = self.underlying.feed()
        return spot.truth() if spot is not None else super().truth()

    def state(self) -> dict[str, Any]:
        """What a restart needs to continue."""
        return {**super().state(), "basis": self.basis.value, "index": self.index}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state()`."""
        super().restore(state)
        self.basis.value = float(state["basis"])
        self.index = float(state["index"])


class PerpetualFeed:
    """Moves a perpetual's market, then its mark price: once a second of market time, and at every minute."""

    def __init__(
        self, listing: Listing, market: FollowingFeed | ReplayFeed, underlying: Underlying, board: MarkBoard
    ) -> None:
        self._listing = listing
        self.market = market
        self._underlying = underlying
        self._board = board
        self._marked_ms = 0

    def use_clock(self, clock: MarketClock) -> None:
        """Trade at times of its own within a step, where the market does."""
        if isinstance(self.market, TimedFeed):
            self.market.use_clock(clock)

    @property
    def sheet(self) -> Sheet:
        """Mark, index, premium and funding."""
        return self._board.sheet(self._listing.instrument.key)

    def advance(self, engine: Engine, start_ms: int, end_ms: int, common: float) -> None:
        """Trade, then mark; the step that ends a minute is marked when the minute closes."""
        self.market.advance(engine, start_ms, end_ms, common)
        second = end_ms // _SECOND_MS * _SECOND_MS
        if second > self._marked_ms and end_ms % MINUTE_MS:
            self._mark(second)

    def close_minute(self, open_ms: int) -> None:
        """Mark the boundary, also while trading is halted, and settle funding when it is due."""
        self.market.close_minute(open_ms)
        self._mark(open_ms + MINUTE_MS)
        self._board.close_minute(self._listing, open_ms + MINUTE_MS)

    def open_minute(self, engine: Engine, open_ms: int) -> None:
        """Trade what belongs to the first instant of a minute."""
        self.market.open_minute(engine, open_ms)
        if not self.sheet.updated_ms:
            self._mark(open_ms)

    def _mark(self, time_ms: int) -> None:
        self._marked_ms = time_ms
        self._board.update(self._listing, self.index(), time_ms)

    def index(self) -> int:
        """The index price in 1e-8 units: the spot book's middle, else the generated path, else the last trade.

        While a side of the spot book is empty it stays where it was.
        """
        middle = self._underlying.middle()
        if middle is not None:
            return middle
        if self._underlying.feed() is not None and self.sheet.index:
            return self.sheet.index
        tick = self._listing.instrument.tick
        if isinstance(self.market, FollowingFeed):
            return round(self.market.index * tick)
        return self._listing.tape.last_price * tick

    def set_liquidity(self, factor: float) -> None:
        """Scale the size of new quotes."""
        self.market.set_liquidity(factor)

    def truth(self) -> list[tuple[int, int]]:
        """The spot symbol's regimes, where the market is generated."""
        return self.market.truth()

    def state(self) -> dict[str, Any]:
        """What a restart needs to continue."""
        return {"market": self.market.state(), "sheet": self.sheet.running()}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state()`."""
        self.market.restore(state["market"])
        self.sheet.resume([int(value) for value in state["sheet"]])
        self._marked_ms = self.sheet.updated_ms
