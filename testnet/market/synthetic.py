"""A generated market: regime-driven prices, makers and takers."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from typing import Any

from testnet.clock import MarketClock
from testnet.engine import Engine
from testnet.listing import Listing
from testnet.market.makers import Makers
from testnet.market.profiles import profile_of
from testnet.market.regimes import NAMES, REGIMES, log_return, step_regime
from testnet.market.takers import Takers

KEEP_TRUTH = 43_200  # thirty days of minutes
# Quotes stand still until the fair price has left a band round them, whose half width is drawn anew each
# time with this mean, in standard deviations of one second: most seconds see no move, some a large one.
_BAND = 0.7


class SyntheticFeed:
    """Drives one symbol by a hidden regime chain."""

    def __init__(self, listing: Listing, fair: float, regime: int, rng: random.Random) -> None:
        self._listing = listing
        self._rng = rng
        self.makers = Makers(listing, rng)
        self.takers = Takers(listing, rng)
        self.fair = fair  # in ticks
        self.regime = regime
        self._profile = profile_of(listing.instrument, listing.character)
        self._centre = fair  # what the quotes stand round, in ticks
        self._band = 0.0
        self._truth: list[tuple[int, int]] = []
        self._path: list[tuple[int, float]] = []

    def use_clock(self, clock: MarketClock) -> None:
        """Trade at times of its own within a step."""
        self.takers.clock = clock

    def advance(self, engine: Engine, start_ms: int, end_ms: int, common: float) -> None:
        """Move the fair price, requote, and let takers trade."""
        seconds = (end_ms - start_ms) / 1000
        before = self.fair
        self._move(end_ms, seconds / 60.0, common)
        self._quote(engine, seconds)
        regime = REGIMES[self.regime]
        sigma = self.fair * regime.volatility * self._listing.character.volatility
        # Takers see part of where the price is going: what the quotes lag behind, and this step's move.
        lag = (self.fair - self._centre) + 0.5 * (self.fair - before)
        tilt = math.tanh(lag / max(1e-9, sigma * math.sqrt(max(seconds, 1.0) / 60.0)))
        self.takers.act(engine, start_ms, end_ms, regime, tilt)

    def _quote(self, engine: Engine, seconds: float) -> None:
        """Requote round the fair price once it has left the band, else keep the makers at work."""
        rng, regime = self._rng, REGIMES[self.regime]
        second = self.fair * regime.volatility * self._listing.character.volatility / math.sqrt(60.0)
        if self._path or abs(self.fair - self._centre) > self._band:
            self._centre = self.fair
            self._band = rng.expovariate(1.0) * _BAND * second
        width = max(1, round(self._profile.spread_bps * self._centre / 1e4))
        # Makers open an empty book (a new listing, a restart) with care: wider, until the first step. They
        # do not step back from a user who shares their price, as that would hand over the front of the queue.
        if math.isinf(seconds) or (rng.random() < regime.wide and not self.makers.is_joined()):
            width += max(1, round(rng.expovariate(1.0) * regime.wide_bps * self._centre / 1e4))
        # On the grid, or half a tick off it, so that the quotes are exactly this far apart.
        middle = math.floor(self._centre) + width % 2 / 2
        self.makers.requote(engine, middle, width / 2.0, regime=regime, seconds=seconds)

    def _move(self, end_ms: int, minutes: float, common: float) -> None:
        if self._path:
            self.fair = self._path_price(end_ms)
            if end_ms >= self._path[-1][0]:
                self._path = []
            return
        character = self._listing.character
        change = log_return(
            self.regime, minutes, common, character.correlation, character.volatility, self._rng
        )
        self.fair = max(2.0, self.fair * math.exp(change))

    def _path_price(self, time_ms: int) -> float:
        for (start, first), (end, last) in pairwise(self._path):
            if start <= time_ms < end:
                return first + (last - first) * (time_ms - start) / (end - start)
        return self._path[-1][1]

    def close_minute(self, open_ms: int) -> None:
        """Record the true regime of the minute and draw the next one's."""
        self._truth.append((open_ms, self.regime))
        if len(self._truth) > KEEP_TRUTH + KEEP_TRUTH // 8:
            del self._truth[: len(self._truth) - KEEP_TRUTH]
        self.regime = step_regime(self.regime, 1.0, self._rng)

    def open_minute(self, engine: Engine, open_ms: int) -> None:
        """Quote before the first trade; a generated minute has no trade of its own at its open."""
        if self._listing.book.bids.best() is None or self._listing.book.asks.best() is None:
            self._quote(engine, math.inf)

    def follow_path(self, now_ms: int, points: list[tuple[float, float]]) -> None:
        """Follow (seconds from now, price in ticks) in straight lines, then the regimes again."""
        path = [(now_ms, self.fair)]
        for seconds, ticks in points:
            at = now_ms + round(seconds * 1000)
            if at <= path[-1][0]:
                path[-1] = (path[-1][0], ticks)
            else:
                path.append((at, ticks))
        self._path = path

    def set_regime(self, name: str) -> None:
        """Force the current regime; raises ValueError for an unknown name."""
        self.regime = NAMES.index(name)

    def load_truth(self, rows: list[tuple[int, int]]) -> None:
        """Put earlier truth in place."""
        self._truth = list(rows)

    def set_liquidity(self, factor: float) -> None:
        """Scale the size of new quotes."""
        self.makers.liquidity = factor

    def truth(self) -> list[tuple[int, int]]:
        """(open time, regime index) per one-minute bar, ascending."""
        return self._truth

    def state(self) -> dict[str, Any]:
        """What a restart needs to continue."""
        return {
            "fair": self.fair,
            "regime": self.regime,
            "path": self._path,
            "liquidity": self.makers.liquidity,
            "flow": self.takers.flow,
            "heat": self.takers.heat,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state()`."""
        self.fair = float(state["fair"])
        self.regime = int(state["regime"])
        self._path = [(int(at), float(price)) for at, price in state["path"]]
        self.makers.liquidity = float(state["liquidity"])
        # Absent in state written by versions before these were kept.
        self.takers.flow = float(state.get("flow", 0.0))
        self.takers.heat = float(state.get("heat", 0.0))
        self._centre, self._band = self.fair, 0.0
