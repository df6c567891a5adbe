"""Random markets and a strategy without sense, for tests that compare engines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.fakes.instruments import spot, usdm
from trading.domain.backtest import BarSeries, FundingSeries
from trading.domain.strategies import parameter
from trading.domain.strategies.compiled import ArrayStrategy, CompiledStep
from trading.domain.values import Instrument

MINUTE_NS = 60_000_000_000
START_NS = 1_700_000_040_000_000_000 // MINUTE_NS * MINUTE_NS


def series(
    seed: int,
    bars: int,
    *,
    instrument: Instrument | None = None,
    volatility: float = 0.002,
    start: int = 2_000_000,
) -> BarSeries:
    """Bars of one minute around `start` ticks, with gaps in price and now and then a missing bar."""
    rng = np.random.default_rng(seed)
    close = (start * np.exp(np.cumsum(rng.normal(0, volatility, bars)))).astype(np.int64)
    opens = np.concatenate(([start], close[:-1])) + rng.integers(-start // 2000, start // 2000 + 1, bars)
    high = np.maximum(opens, close) + rng.integers(0, start // 500, bars)
    low = np.minimum(opens, close) - rng.integers(0, start // 500, bars)
    minutes = np.cumsum(1 + (rng.random(bars) < 0.02) * rng.integers(1, 5, bars))
    open_ns = START_NS + minutes.astype(np.int64) * MINUTE_NS
    volume = rng.gamma(2.0, 5.0, bars)
    return BarSeries(
        instrument or spot(),
        "1m",
        open_ns,
        open_ns + MINUTE_NS - 1_000_000,
        opens,
        high,
        low,
        close,
        volume,
        volume * close / 100,
        rng.integers(1, 100, bars),
        volume / 2,
    )


def perpetual(seed: int, bars: int) -> tuple[BarSeries, FundingSeries]:
    """A perpetual and funding about every 40 minutes, at bar opens and inside bars."""
    bars_of = series(seed, bars, instrument=usdm())
    rng = np.random.default_rng(seed + 1)
    times = np.arange(START_NS, int(bars_of.close_ns[-1]), 40 * MINUTE_NS + 20_000_000_000, dtype=np.int64)
    times = times // (20 * 1_000_000_000) * (20 * 1_000_000_000)
    rates = rng.integers(-30_000, 30_001, len(times)).astype(np.int64)
    marks = np.where(rng.random(len(times)) < 0.5, 0, 2_000_000).astype(np.int64)
    return bars_of, FundingSeries(times, rates, marks)


def erratic_step(
    params: Any,
    state: Any,
    now_ns: int,
    open_price: float,
    high: float,
    low: float,
    close: float,
    volume: float,
    position: float,
    average_price: float,
    unrealized: float,
) -> tuple[int, float, float, float, float]:
    """Want something else every few bars, for no reason but the digits of the price and its own result."""
    state[0] += 1.0
    digits = int(close * 100.0 + volume * 10.0 + abs(unrealized)) % 11
    code, target, stop, profit, trail = 1, 0.0, 0.0, 0.0, 0.0
    if digits >= 7:
        code = 0
    elif digits == 6:
        target = -state[1]
    else:
        target = (digits - 2) / 3.0 if digits <= 4 else 0.35
    state[1] = target
    if code == 1 and target != 0.0 and params[0] > 0.0:
        side = 1.0 if target > 0.0 else -1.0
        stop = close * (1.0 - side * 0.004)
        profit = close * (1.0 + side * 0.006) if digits % 2 == 0 else 0.0
        trail = 0.003 if digits == 1 or digits == 3 else 0.0
    if position != 0.0 and average_price > close * 1.02:
        code, target, stop, profit, trail = 2, 0.0, 0.0, 0.0, 0.0
    return code, target, stop, profit, trail


@dataclass(frozen=True)
class ErraticParams:
    """Whether it asks for protection."""

    protect: bool = parameter(True)


class Erratic(ArrayStrategy):
    """Changes its mind often: many orders, flips, exits."""

    name = "erratic"
    Params = ErraticParams
    compiled = CompiledStep(
        erratic_step, lambda params: (float(params.protect),), lambda params: 2, ("WHIM", "GIVE_UP")
    )

    def warmup(self, params: ErraticParams) -> int:
        """It needs nothing."""
        return 0
