"""The market every run of `backtest.py` trades, what it costs to trade it, and how a figure is taken and told."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np

from trading.domain.backtest import Assignment, BarSeries, Costs, Inputs, Settings, SizeRule
from trading.domain.strategies import Strategy
from trading.domain.values import Instrument, Market

MINUTE_NS = 60_000_000_000
OPENS_NS = 1_600_000_020_000_000_000


def instrument() -> Instrument:
    zero = Decimal(0)
    return Instrument(
        symbol="BTCUSDT", market=Market.spot, base_asset="BTC", quote_asset="USDT", status="TRADING",
        tick_size=Decimal("0.25"), step_size=Decimal("0.00001"), min_price=zero, max_price=zero,
        min_quantity=zero, max_quantity=zero, market_step_size=zero, market_min_quantity=zero,
        market_max_quantity=zero, min_notional=Decimal(5), max_notional=zero, apply_min_to_market=True,
        apply_max_to_market=False, percent_price=None, max_open_orders=0, order_types=frozenset(),
    )  # fmt: skip


def market(count: int, seed: int = 7) -> BarSeries:
    """A random walk of 0.05 % a minute around 20,000, in quarters.

    Quarters are exact as floats, so averages tie in the same bars however they are summed.
    """
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(0, 0.0005, count)) - 0.5 * 0.0005**2 * np.arange(count)
    close = np.round(80_000 * np.exp(walk)).astype(np.int64)
    opens = np.concatenate(([80_000], close[:-1])) + rng.integers(-8, 9, count)
    high = np.maximum(opens, close) + rng.integers(0, 20, count)
    low = np.minimum(opens, close) - rng.integers(0, 20, count)
    open_ns = OPENS_NS + np.arange(count, dtype=np.int64) * MINUTE_NS
    ones, none = np.ones(count), np.zeros(count)
    return BarSeries(
        instrument(), "1m", open_ns, open_ns + MINUTE_NS - 1_000_000, opens, high, low, close,
        ones, none, np.zeros(count, np.int64), none,
    )  # fmt: skip


def settings() -> Settings:
    costs = Costs(taker_bps=Decimal(10))
    return Settings(cash=Decimal(1_000_000_000), costs=costs, size=SizeRule.quantity, size_amount=Decimal(1))


def inputs(series: BarSeries, strategy: Strategy, params: Any) -> Inputs:
    return Inputs([series], [Assignment("BTCUSDT", strategy, params)], settings())


def cpu(work: Callable[[], Any], repeats: int = 3) -> tuple[float, Any]:
    times, last = [], None
    for _ in range(repeats):
        began = time.process_time()
        last = work()
        times.append(time.process_time() - began)
    return statistics.median(times), last


class Report:
    """A table for people, JSON lines for machines."""

    def say(self, name: str, value: float, unit: str, note: str = "") -> None:
        print(f"{name:44} {value:>12.4g} {unit:10} {note}")
        print(json.dumps({"name": name, "value": value, "unit": unit, "note": note}))
