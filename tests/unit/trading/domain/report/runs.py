"""Runs as a report takes them, small and known."""

from __future__ import annotations

import numpy as np

from trading.domain.report import Candles, Execution, Regimes, ReportRun
from trading.domain.statistics import DAY_NS, RoundTrips, equity_curve, summary

HOUR = DAY_NS // 24
START = 20_450 * DAY_NS  # 2025-12-28


def some_run(name="first", *, hours=24 * 50, seed=1, **changes):
    """Fifty days of hours with a trade a day; `changes` replace members."""
    rng = np.random.default_rng(seed)
    times = START + np.arange(hours + 1) * HOUR
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.01, hours)))
    equity = 1000.0 * np.concatenate(([1.0], np.cumprod(1 + rng.normal(0.0003, 0.004, hours))))
    entry = times[1:-24:24]
    trips = RoundTrips(entry, entry + 5 * HOUR, rng.normal(1, 10, len(entry)), np.full(len(entry), 500.0))
    opened = np.concatenate(([100.0], close[:-1]))
    high, low = np.maximum(opened, close) + 0.5, np.minimum(opened, close) - 0.5
    members = {
        "name": name,
        "facts": [("Strategy", "moving_average")],
        "curve": equity_curve(times, equity),
        "summary": summary(times, equity, trips=trips, traded_notional=50_000.0, fees=12.5),
        "trips": trips,
        "trip_symbols": ["BTCUSDT"] * len(entry),
        "trip_sides": [1] * len(entry),
        "candles": [Candles("BTCUSDT", times[1:], opened, high, low, close, np.full(hours, 3.0))],
        "executions": [
            Execution("BTCUSDT", int(t), sign * 0.5, 100.0, 0.05)
            for at in entry
            for t, sign in ((at, 1), (at + 5 * HOUR, -1))
        ],
        "regimes": Regimes((np.arange(hours + 1) // 100) % 2, {0: "calm", 1: "turbulent"}),
        "costs": np.full(hours + 1, 0.01) * (np.arange(hours + 1) > 0),
        "assumptions": {"fill": "next_open"},
        "digest": "ab" * 32,
    }
    return ReportRun(**{**members, **changes})
