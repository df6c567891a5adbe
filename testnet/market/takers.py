"""Background takers: how many orders, how large, in which direction, and what they meet."""

from __future__ import annotations

import math
import random

from testnet.clock import MarketClock
from testnet.engine import Engine
from testnet.listing import Listing
from testnet.market.grids import steps_of
from testnet.market.profiles import ORDER_CAP, profile_of
from testnet.market.regimes import Regime

# Above this length a step no longer plays every order: what would be more than MAX_ORDERS is drawn as that
# many larger ones, with one print each. It bounds the work when market time is compressed, and keeps the
# traded volume.
DETAILED_MS = 250
MAX_ORDERS = 6
MAX_DETAILED = 60  # orders of one detailed step
MAX_PRINTS = 12
_SWEEP_BPS = 0.5  # takers give this up from the touch rather than sweep a thin book

# Orders come in bursts: their mean number, the mean gap within in ms, and how often they agree.
_BURST, _BURST_GAP_MS, _BURST_AGREES = 2.5, 25.0, 0.92
_FLOW_S = 10.0  # how long the takers' preference for one direction lasts
_HEAT_S, _HEAT = 8.0, 0.8  # how long and how strongly (of the log rate) activity swings
_TILT = 0.35  # how far knowledge of the fair price moves the odds of a direction

# What an order meets in a queue: small and large resting orders in equal numbers.
_DUST_SIGMA, _LARGE_SIGMA = 1.0, 1.5
_MIN_PRINT = 5.0


def poisson(mean: float, rng: random.Random) -> int:
    """Draw a Poisson count; above 30 by its normal approximation."""
    if mean > 30:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count


class Takers:
    """Takes from one symbol's book; remembers which way and how hotly it trades."""

    def __init__(self, listing: Listing, rng: random.Random) -> None:
        self._listing = listing
        self._rng = rng
        self._profile = profile_of(listing.instrument, listing.character)
        self.clock: MarketClock | None = None
        self.flow = 0.0  # preference for buying; standard normal
        self.heat = 0.0  # standard normal; the log of activity

    def act(self, engine: Engine, start_ms: int, end_ms: int, regime: Regime, tilt: float) -> None:
        """Trade for market time (start, end]; `tilt` in [-1, 1] leans towards where the price goes."""
        seconds = (end_ms - start_ms) / 1000
        self._swing(seconds)
        buy = min(0.97, max(0.03, 0.5 + 0.5 * regime.persistence * self.flow + _TILT * tilt))
        # The exponential of the swing has mean 1, so that it moves no volume in the long run.
        expected = self._profile.orders_per_s * regime.rate * seconds
        if seconds * 1000 <= DETAILED_MS:
            expected *= math.exp(_HEAT * self.heat - _HEAT * _HEAT / 2)
            self._play(engine, start_ms, end_ms, regime, expected, buy)
        else:
            self._aggregate(engine, regime, expected, buy)

    def _swing(self, seconds: float) -> None:
        """Move flow and heat, both standard normal in the long run (Ornstein-Uhlenbeck, exact step)."""
        self.flow = self._faded(self.flow, seconds / _FLOW_S)
        self.heat = self._faded(self.heat, seconds / _HEAT_S)

    def _faded(self, value: float, memories: float) -> float:
        keep = math.exp(-memories)
        return keep * value + math.sqrt(1.0 - keep * keep) * self._rng.gauss(0.0, 1.0)

    # -- every order -----------------------------------------------------------------------

    def _play(
        self, engine: Engine, start_ms: int, end_ms: int, regime: Regime, expected: float, buy: float
    ) -> None:
        rng, profile = self._rng, self._profile
        orders: list[tuple[int, str]] = []
        for _ in range(poisson(expected / _BURST, rng)):
            at = start_ms + rng.random() * (end_ms - start_ms)
            side = "BUY" if rng.random() < buy else "SELL"
            while len(orders) < MAX_DETAILED:
                agrees = rng.random() < _BURST_AGREES
                other = "SELL" if side == "BUY" else "BUY"
                orders.append((min(end_ms, max(start_ms + 1, int(at))), side if agrees else other))
                if rng.random() < 1.0 / _BURST:
                    break
                at += rng.expovariate(1.0 / _BURST_GAP_MS)
        # Stable by time alone: orders of one burst keep their sequence.
        orders.sort(key=lambda order: order[0])
        last = self.clock.now_ms if self.clock is not None else 0
        for at_ms, side in orders:
            if self.clock is not None:
                self.clock.now_ms = min(at_ms, last)
            size = min(ORDER_CAP, rng.lognormvariate(0.0, profile.sigma)) * profile.median * regime.size
            self._sweep(engine, side, size)
        if self.clock is not None:
            self.clock.now_ms = last

    def _sweep(self, engine: Engine, side: str, notional: float) -> None:
        """Meet resting orders one by one; each is a trade of its own, as on the venue."""
        rng, profile, listing = self._rng, self._profile, self._listing
        contra = listing.book.contra(side)
        best = contra.best()
        if best is None:
            return
        slack = max(1, round(best * _SWEEP_BPS / 1e4))
        limit = best + slack if side == "BUY" else best - slack
        for number in range(1, MAX_PRINTS + 1):
            if rng.random() < 0.5:
                met = profile.maker_median * rng.lognormvariate(0.0, _LARGE_SIGMA)
            else:
                met = profile.dust_median * rng.lognormvariate(0.0, _DUST_SIGMA)
            met = max(_MIN_PRINT, met)
            part = notional if number == MAX_PRINTS or met >= notional - 1.0 else met
            steps = steps_of(listing.instrument, best, part)
            if engine.background_take(listing, side, limit, steps) < steps:
                return
            notional -= part
            if notional <= 0:
                return

    # -- compressed time -------------------------------------------------------------------

    def _aggregate(self, engine: Engine, regime: Regime, expected: float, buy: float) -> None:
        """Draw few orders, each standing for several, with the mean and variance of their sum."""
        rng, profile = self._rng, self._profile
        mean, relative_variance = profile.moments(regime.size)
        each = max(1.0, expected / MAX_ORDERS)
        count = poisson(expected, rng) if each == 1.0 else MAX_ORDERS
        sigma = math.sqrt(math.log1p(relative_variance / each))
        for _ in range(count):
            side = "BUY" if rng.random() < buy else "SELL"
            contra = self._listing.book.contra(side)
            best = contra.best()
            if best is None:
                continue
            size = mean * each * rng.lognormvariate(-sigma * sigma / 2, sigma)
            steps = steps_of(self._listing.instrument, best, size)
            # Between the orders this one stands for, makers would have come back: their new quotes join
            # the end of the queue, so that a user's order there is reached in its turn.
            level = contra.levels[best]
            if level.steps < steps:
                contra.add(best, steps - level.steps)
            engine.background_take(self._listing, side, best, steps)
