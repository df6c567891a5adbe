"""A generated market: regime-driven prices, makers and takers."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from typing import Any

from testnet.engine import Engine
from testnet.klines import MINUTE_MS
from testnet.listing import Listing
from testnet.market.makers import Makers
from testnet.market.regimes import NAMES, REGIMES, log_return, step_regime
from testnet.market.takers import take

KEEP_TRUTH = 43_200  # thirty days of minutes


class SyntheticFeed:
    """Drives one symbol by a hidden regime chain."""

    def __init__(self, listing: Listing, fair: float, regime: int, rng: random.Random) -> None:
        self._listing = listing
        self._rng = rng
        self.makers = Makers(listing, rng)
        self.fair = fair  # in ticks
        self.regime = regime
        self._truth: list[tuple[int, int]] = []
        self._path: list[tuple[int, float]] = []

    def advance(self, engine: Engine, start_ms: int, end_ms: int, common: float) -> None:
        """Move the fair price, requote, and let takers trade."""
        minutes = (end_ms - start_ms) / MINUTE_MS
        before = self.fair
        self._move(end_ms, minutes, common)
        regime, character = REGIMES[self.regime], self._listing.character
        sigma = regime.volatility * character.volatility
        self.makers.requote(engine, self.fair, self._half_spread(sigma))
        expected = max(1e-12, self.fair * sigma * math.sqrt(max(minutes, 1e-6)))
        tilt = math.tanh((self.fair - before) / expected)
        # Turbulent markets trade more: activity follows volatility, relative to a trend.
        activity = regime.volatility / 0.0006
        take(engine, self._listing, minutes * 60.0, tilt, max(0.4, activity), self._rng)

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

    def _half_spread(self, sigma: float) -> float:
        # A few ticks on a liquid symbol, wider when the market is turbulent.
        return 0.5 + self.fair * sigma * 0.001

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
            sigma = REGIMES[self.regime].volatility * self._listing.character.volatility
            self.makers.requote(engine, self.fair, self._half_spread(sigma))

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
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state()`."""
        self.fair = float(state["fair"])
        self.regime = int(state["regime"])
        self._path = [(int(at), float(price)) for at, price in state["path"]]
        self.makers.liquidity = float(state["liquidity"])
