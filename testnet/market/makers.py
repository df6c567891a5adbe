"""Background makers: keep a two-sided book round the fair price."""

from __future__ import annotations

import math
import random

from testnet.book import BookSide
from testnet.engine import Engine
from testnet.listing import Listing
from testnet.market.grids import ZONES, Grid, steps_of
from testnet.market.profiles import profile_of
from testnet.market.regimes import REGIMES, Regime

ANY_STEPS = 2**62
# Changes of the touch a second and side: small ones (by up to NUDGE of its size), and new sizes altogether,
# which are rare because a smaller one also shortens the queue ahead of users.
TOUCH_NUDGES_PER_S = 6.0
TOUCH_REDRAWS_PER_S = 1.0
NUDGE = 0.2
_TOUCH_SHAPE = 1.2  # Gamma: recorded 10 % and 90 % quantiles lie about 0.15 and 2.5 times the median away


class Makers:
    """Quotes one symbol. Sizes are drawn when a level is first quoted and change now and then."""

    def __init__(self, listing: Listing, rng: random.Random) -> None:
        self._listing = listing
        self._rng = rng
        self._profile = profile_of(listing.instrument, listing.character)
        self._anchor = 0
        self._grids: dict[int, list[Grid]] = {}
        self._touch: dict[int, int] = {}  # by side: where the makers' best level stands
        self.liquidity = 1.0

    def requote(
        self,
        engine: Engine,
        fair: float,
        half_spread: float,
        *,
        regime: Regime = REGIMES[1],
        seconds: float = math.inf,
    ) -> None:
        """Move the quotes to a fair price in ticks, `seconds` of market time after the last time.

        A user's order on the wrong side of the new quotes is taken at its own price first, because the
        makers' new orders would cross it.
        """
        listing = self._listing
        bid = max(1, math.floor(fair - half_spread))
        ask = max(bid + 1, math.ceil(fair + half_spread))
        book = listing.book
        if not 0.5 < bid / max(1, self._anchor) < 2.0:
            self._rebuild(bid)
        self._withdraw(book.asks, max(bid, ask - 1))
        self._withdraw(book.bids, min(ask, bid + 1))
        if (best := book.asks.best()) is not None and best <= bid:
            engine.background_take(listing, "BUY", bid, ANY_STEPS)
        if (best := book.bids.best()) is not None and best >= ask:
            engine.background_take(listing, "SELL", ask, ANY_STEPS)
        for side, price in ((book.bids, bid), (book.asks, ask)):
            self._quote_touch(side, price, regime, seconds)
            self._quote_behind(side, price, regime, seconds)
        book.update_id += 1

    def clear(self, engine: Engine, price: int, rng: random.Random) -> str:
        """Make room for a trade at a price; return the taker's direction.

        Users' orders at better prices trade at their own prices first; whatever rests at the price itself
        on the side to be hit keeps its place in the queue.
        """
        book = self._listing.book
        self.make_way(engine, price)
        at_bid, at_ask = book.bids.levels.get(price), book.asks.levels.get(price)
        if at_ask is not None and at_ask.steps > at_ask.background:
            side = "BUY"
        elif at_bid is not None and at_bid.steps > at_bid.background:
            side = "SELL"
        else:
            side = "BUY" if rng.random() < 0.5 else "SELL"
        (book.bids if side == "BUY" else book.asks).cut_background(price)
        return side

    def make_way(self, engine: Engine, price: int) -> None:
        """Withdraw every quote better than a price and take users' orders there at their own prices."""
        book = self._listing.book
        self._withdraw(book.asks, price - 1)
        self._withdraw(book.bids, price + 1)
        engine.background_take(self._listing, "BUY", price - 1, ANY_STEPS)
        engine.background_take(self._listing, "SELL", price + 1, ANY_STEPS)

    def _rebuild(self, price: int) -> None:
        """Lay the grids anew: at the start, and when the price has halved or doubled."""
        book = self._listing.book
        for side in (book.bids, book.asks):
            for level in list(side.levels):
                side.cut_background(level)
            self._grids[side.sign] = [
                Grid(zone, side.sign, price, self._listing.instrument, self._rng) for zone in ZONES
            ]
        self._anchor = price
        self._touch = {}

    def _withdraw(self, side: BookSide, limit: int) -> None:
        """Cancel background orders at `limit` and better."""
        best = side.best()
        if best is None or (best - limit) * side.sign < 0:
            return
        crossed = []
        for price in side.prices():
            if (price - limit) * side.sign < 0:
                break
            if side.levels[price].background:
                crossed.append(price)
        for price in crossed:
            side.cut_background(price)

    # -- the best level --------------------------------------------------------------------

    def _quote_touch(self, side: BookSide, price: int, regime: Regime, seconds: float) -> None:
        last = self._touch.get(side.sign)
        if last != price:
            if last is not None:
                side.cut_background(last)
            self._touch[side.sign] = price
        level = side.levels.get(price)
        have = level.background if level is not None else 0
        if have and last == price and self._rng.random() >= -math.expm1(-TOUCH_REDRAWS_PER_S * seconds):
            if self._rng.random() < -math.expm1(-TOUCH_NUDGES_PER_S * seconds):
                self._nudge(side, price, have)
            return
        mean = self._profile.touch * regime.depth * self.liquidity
        target = steps_of(
            self._listing.instrument, price, mean * self._rng.gammavariate(_TOUCH_SHAPE, 1.0 / _TOUCH_SHAPE)
        )
        if have < target:
            side.add(price, target - have)
        else:
            side.cut_background(price, target)

    def _nudge(self, side: BookSide, price: int, have: int) -> None:
        """Cancel or add a little; cancelling begins with the newest, so queues ahead keep their length."""
        part = round(have * NUDGE * self._rng.random())
        if self._rng.random() < 0.5:
            side.cut_background(price, have - part)
        elif part:
            side.add(price, part)

    def is_joined(self) -> bool:
        """True when a user's order waits at the makers' best price of either side."""
        book = self._listing.book
        for side in (book.bids, book.asks):
            level = side.levels.get(self._touch.get(side.sign, 0))
            if level is not None and level.steps > level.background:
                return True
        return False

    # -- the levels behind it --------------------------------------------------------------

    def _quote_behind(self, side: BookSide, best: int, regime: Regime, seconds: float) -> None:
        fill = -math.expm1(-regime.refill * seconds)
        depth = self._profile.per_bps * regime.depth * self.liquidity
        for grid in self._grids[side.sign]:
            grid.keep(side, best, depth, fill, seconds)
