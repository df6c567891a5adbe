"""Candles from before the market starts, made by the same regimes."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle

from testnet.instruments import Character, Instrument
from testnet.klines import HOUR_MS, MINUTE_MS, Bar, Klines
from testnet.market.profiles import PRINTS_PER_ORDER, profile_of
from testnet.market.regimes import REGIMES, log_return, step_regime

_COARSE_STEP_MIN = 5.0
_MINUTE_PARTS = 4


@dataclass(slots=True)
class Past:
    """Where generated history leaves a symbol."""

    price: float
    regime: int
    truth: list[tuple[int, int]]


def common_factor(seed: int) -> Iterator[float]:
    """Standard normal draws shared by all symbols' histories; the same again after the first 100,000.

    60 days of both parts need about 35,000.
    """
    rng = random.Random(f"{seed}:common-history")
    drawn = []
    for _ in range(100_000):
        drawn.append(rng.gauss(0.0, 1.0))
        yield drawn[-1]
    yield from cycle(drawn)


def generate(
    klines: Klines,
    instrument: Instrument,
    character: Character,
    *,
    start_ms: int,
    minute_days: int,
    hour_days: int,
    seed: int,
) -> Past:
    """Fill candles up to `start_ms`: coarse hours first, then minutes, on one continuous path.

    Bars of an hour and longer reach back `hour_days`; shorter ones `minute_days`. Both parts come from
    one path, so an hour inside the minute part equals its minutes.
    """
    rng = random.Random(f"{seed}:history:{instrument.symbol}")
    end = start_ms // MINUTE_MS * MINUTE_MS
    minutes_from = (end - minute_days * 24 * HOUR_MS) // HOUR_MS * HOUR_MS
    hours_from = minutes_from - max(0, hour_days - minute_days) * 24 * HOUR_MS
    common = common_factor(seed)
    price, regime = character.price, 0
    for hour_ms in range(hours_from, minutes_from, HOUR_MS):
        path = [price]
        for _ in range(int(60 / _COARSE_STEP_MIN)):
            regime = step_regime(regime, _COARSE_STEP_MIN, rng)
            price *= math.exp(
                log_return(
                    regime, _COARSE_STEP_MIN, next(common), character.correlation, character.volatility, rng
                )
            )
            path.append(price)
        bar = _bar(hour_ms, path, instrument, character, 3600.0, regime, rng)
        klines.absorb_coarse(bar, HOUR_MS)
    truth: list[tuple[int, int]] = []
    for minute_ms in range(minutes_from, end, MINUTE_MS):
        truth.append((minute_ms, regime))
        path = [price]
        for _ in range(_MINUTE_PARTS):
            price *= math.exp(
                log_return(
                    regime,
                    1.0 / _MINUTE_PARTS,
                    next(common),
                    character.correlation,
                    character.volatility,
                    rng,
                )
            )
            path.append(price)
        klines.absorb(_bar(minute_ms, path, instrument, character, 60.0, regime, rng))
        regime = step_regime(regime, 1.0, rng)
    return Past(price, regime, truth)


def _bar(
    open_ms: int,
    path: list[float],
    instrument: Instrument,
    character: Character,
    seconds: float,
    regime: int,
    rng: random.Random,
) -> Bar:
    prices = [instrument.ticks(price) for price in path]
    profile, state = profile_of(instrument, character), REGIMES[regime]
    orders = profile.orders_per_s * state.rate * seconds * rng.uniform(0.7, 1.3)
    count = max(1, round(orders * PRINTS_PER_ORDER))
    mean_order, _ = profile.moments(state.size)
    notional = mean_order * orders * rng.uniform(0.8, 1.2)
    mean_price = sum(prices) // len(prices)
    steps = max(1, round(notional * 1e8 / (mean_price * instrument.quote_per)))
    share = min(0.9, max(0.1, 0.5 + 0.15 * rng.gauss(0.0, 1.0)))
    taker = round(steps * share)
    return Bar(
        open_ms,
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        steps,
        steps * mean_price * instrument.quote_per,
        count,
        taker,
        taker * mean_price * instrument.quote_per,
    )
