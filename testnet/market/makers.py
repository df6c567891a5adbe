"""Background makers: keep a two-sided book round the fair price."""

from __future__ import annotations

import math
import random

from testnet.book import BookSide
from testnet.engine import Engine
from testnet.listing import Listing

NEAR_LEVELS = 8
GRID_LEVELS = 16
# Distance of the two coarser grids, as fractions of the price. Their prices are anchored to round
# numbers, so they stay put while the near levels follow the price, and queues there grow old.
_GRIDS = ((3e-4, 4.0), (2.5e-3, 20.0))


class Makers:
    """Quotes one symbol; sizes are drawn once, when a level is first quoted."""

    def __init__(self, listing: Listing, rng: random.Random) -> None:
        self._listing = listing
        self._rng = rng
        self.liquidity = 1.0

    def requote(self, engine: Engine, fair: float, half_spread: float) -> None:
        """Move the quotes to a fair price in ticks.

        A user's order on the wrong side of the new quotes is taken at its own price first, because the
        makers' new orders would cross it.
        """
        listing = self._listing
        bid = max(1, math.floor(fair - half_spread))
        ask = max(bid + 1, math.ceil(fair + half_spread))
        book = listing.book
        self._withdraw(book.asks, bid)
        self._withdraw(book.bids, ask)
        engine.background_take(listing, "BUY", bid, 2**62)
        engine.background_take(listing, "SELL", ask, 2**62)
        self._ladder(book.bids, bid)
        self._ladder(book.asks, ask)
        book.update_id += 1

    def clear(self, engine: Engine, price: int, rng: random.Random) -> str:
        """Make room for a trade at a price; return the taker's direction.

        Users' orders at better prices trade at their own prices first; whatever rests at the price itself
        on the side to be hit keeps its place in the queue.
        """
        book = self._listing.book
        self._withdraw(book.asks, price - 1)
        self._withdraw(book.bids, price + 1)
        engine.background_take(self._listing, "BUY", price - 1, 2**62)
        engine.background_take(self._listing, "SELL", price + 1, 2**62)
        at_bid, at_ask = book.bids.levels.get(price), book.asks.levels.get(price)
        if at_ask is not None and at_ask.steps > at_ask.background:
            side = "BUY"
        elif at_bid is not None and at_bid.steps > at_bid.background:
            side = "SELL"
        else:
            side = "BUY" if rng.random() < 0.5 else "SELL"
        (book.bids if side == "BUY" else book.asks).cut_background(price)
        return side

    def _withdraw(self, side: BookSide, limit: int) -> None:
        """Cancel background orders that a quote at `limit` would cross."""
        crossed = []
        for price in side.prices():
            if (price - limit) * side.sign < 0:
                break
            if side.levels[price].background:
                crossed.append(price)
        for price in crossed:
            side.cut_background(price)

    def _ladder(self, side: BookSide, best: int) -> None:
        wanted = self._prices(side.sign, best)
        for price in [p for p, level in side.levels.items() if level.background and p not in wanted]:
            side.cut_background(price)
        for price, scale in wanted.items():
            level = side.levels.get(price)
            have = level.background if level is not None else 0
            target = self._steps(price, scale)
            # Top up only what has been worn down, so that a quiet book does not flicker.
            if have < target // 4:
                side.add(price, max(1, target - have))

    def _prices(self, sign: int, best: int) -> dict[int, float]:
        """Prices to quote, each with its size relative to the top."""
        gap = max(1, round(best * 3e-6))
        wanted: dict[int, float] = {}
        for index in range(NEAR_LEVELS):
            price = best - sign * index * gap
            if price > 0:
                wanted[price] = 0.6 + 0.25 * index
        for fraction, scale in _GRIDS:
            grid = _round_grid(best * fraction)
            anchor = best // grid if sign > 0 else -(-best // grid)
            for index in range(1, GRID_LEVELS + 1):
                price = (anchor - sign * index) * grid
                if price > 0 and price not in wanted:
                    wanted[price] = scale * (0.7 + 0.05 * index)
        return wanted

    def _steps(self, price: int, scale: float) -> int:
        instrument = self._listing.instrument
        notional = self._listing.character.top_notional * scale * self.liquidity
        noise = self._rng.lognormvariate(0.0, 0.5)
        return max(1, round(notional * noise * 1e8 / (price * instrument.quote_per)))


def _round_grid(ticks: float) -> int:
    """The nearest 1, 2 or 5 times a power of ten, at least 1."""
    if ticks <= 1:
        return 1
    power = 10 ** math.floor(math.log10(ticks))
    return int(power * min((1, 2, 5, 10), key=lambda m: abs(ticks / power - m)))
