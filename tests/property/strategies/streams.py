"""Random streams of observations, and every built-in strategy with parameters that make it busy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.unit.trading.domain.strategies.regimes import (
    HOUR_NS,
    T0_NS,
    artefact,
    flat_model,
    two_clock_model,
    write,
)
from trading.domain.strategies import (
    Bar,
    Execution,
    Observation,
    Strategy,
    WorkingQuote,
    parse_params,
    registry,
)

SECOND_NS = 1_000_000_000
NAMES = tuple(registry())
BY_BOOK = frozenset({"market_maker", "listing_sniper"})


def busy(name: str, folder: Path) -> tuple[Strategy, Any]:
    """Return a strategy and parameters with which it changes its mind often."""
    values: dict[str, dict[str, Any]] = {
        "moving_average": {"fast": 3, "slow": 7, "allow_short": True},
        "trend_follow": {
            "entry": 6, "exit": 3, "momentum_short": 3, "momentum_medium": 6, "momentum_long": 12,
            "atr_window": 5, "volatility_mass": 10.0, "allow_short": True, "stop_atr": 1.0,
        },
        "hmm_policy": {"positions": "calm:1, turbulent:-0.5", "allow_short": True, "confidence_floor": 0.05},
        "ma_hmm_ensemble": {"fast": 3, "slow": 7, "allow_short": True, "confidence_floor": 0.1},
        "hierarchical_hmm": {"least_slow_bars": 1, "confidence_floor": 0.05, "longest_gap": 3},
        "market_maker": {"lot": 1.0, "run_fills": 3, "toxic_fills": 2, "stale_s": 2.0, "pause_s": 2.0},
        "listing_sniper": {"enabled": True, "depth_quote": 100.0, "hold_s": 60.0, "halt_s": 5.0},
    }  # fmt: skip
    kind = registry()[name]
    chosen = values[name]
    if name in ("hmm_policy", "ma_hmm_ensemble"):
        model = flat_model(features=("log_return", "volume"))
        chosen = chosen | {"model": str(folder / write(folder, artefact(model)))}
    if name == "hierarchical_hmm":
        made = artefact(two_clock_model(), held_out={"gain": 1.0})
        chosen = chosen | {"model": str(folder / write(folder, made))}
    return kind(), parse_params(kind.Params, chosen)


def stream(name: str, seed: int, length: int) -> list[Observation]:
    """Return observations of the kind the strategy lives on; the first n do not depend on the length."""
    made = _books(seed) if name in BY_BOOK else _bars(seed)
    return [next(made) for _ in range(length)]


def _bars(seed: int) -> Iterator[Observation]:
    rng = np.random.default_rng(seed)
    price, at, wild = 100.0, -5, False
    while True:
        wild = wild ^ bool(rng.random() < 0.05)
        at += 1 if rng.random() < 0.97 else int(rng.integers(2, 8))
        last, price = price, price * float(np.exp(rng.normal(0.0, 0.02 if wild else 0.004)))
        volume = 0.0 if rng.random() < 0.02 else float(rng.gamma(4.0, 25.0))
        open_ns = T0_NS + at * HOUR_NS
        high, low = max(last, price) * (1 + 0.001 * rng.random()), min(last, price) * 0.999
        bar = Bar(open_ns, open_ns + HOUR_NS - 1_000_000, last, high, low, price, volume)
        trigger: Any = "bar" if rng.random() < 0.95 else "book"
        yield Observation(
            "BTCUSDT", "1h", bar, bar.close_ns, bid=price, ask=price, trigger=trigger,
            position=float(rng.integers(-1, 2)),
        )  # fmt: skip


def _books(seed: int) -> Iterator[Observation]:
    rng = np.random.default_rng(seed)
    listed = T0_NS
    now, mid, position = listed, 10.0, 0.0
    while True:
        now += int(rng.choice([0.1, 0.5, 3.0, 8.0], p=[0.6, 0.25, 0.13, 0.02]) * SECOND_NS)
        mid *= float(np.exp(rng.normal(0.0, 0.0002 if rng.random() < 0.95 else 0.05)))
        half = mid * float(rng.choice([0.0002, 0.001, 0.05], p=[0.7, 0.28, 0.02]))
        fills: tuple[Execution, ...] = ()
        if rng.random() < 0.15 and now - listed > 15 * SECOND_NS:
            side = 1.0 if rng.random() < 0.6 else -1.0
            position = max(0.0, position + side)
            fills = (Execution(side, mid, 0.0, True, now),)
        empty = rng.random() < 0.03
        bar = Bar(listed, listed + 60 * SECOND_NS - 1_000_000, 10.0, 11.0, 9.0, mid, 1.0)
        yield Observation(
            "NEWUSDT", "1m", bar, now,
            bid=0.0 if empty else mid - half, ask=mid + half,
            bid_size=float(rng.integers(0, 200)), ask_size=float(rng.integers(1, 200)),
            position=position, average_price=mid if position else 0.0, fills=fills,
            quotes=(WorkingQuote("BUY", round(mid * 0.999, 2), 1.0),) if rng.random() < 0.5 else (),
            listing_age_s=(now - listed) / SECOND_NS, trigger="book",
        )  # fmt: skip
