"""Bars for research tests: a seeded random walk on the scale of BTCUSDT."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.fakes.instruments import spot
from trading.domain.backtest import Assignment, BarSeries, Inputs, Settings
from trading.domain.strategies import Strategy

MINUTE = 60 * 10**9


def walk(n: int, seed: int = 1, sd: float = 0.004, step_ns: int = MINUTE, interval: str = "1m") -> BarSeries:
    rng = np.random.default_rng(seed)
    close = np.rint(1e6 * np.exp(np.cumsum(rng.normal(0, sd, n)))).astype(np.int64)
    opened = np.concatenate((close[:1], close[:-1]))
    open_ns = np.arange(n, dtype=np.int64) * step_ns
    volume = rng.lognormal(2, 0.5, n)
    return BarSeries(
        spot(),
        interval,
        open_ns,
        open_ns + step_ns - 10**6,
        opened,
        np.maximum(opened, close) + 7,
        np.minimum(opened, close) - 7,
        close,
        volume,
        volume * close / 100,
        np.ones(n, dtype=np.int64),
        volume / 2,
    )


def inputs_of(series: BarSeries, strategy: Strategy, params: Any) -> Inputs:
    return Inputs([series], [Assignment(series.symbol, strategy, params)], Settings())
