"""Small hand-made series and strategies that say what they are told to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.fakes.instruments import spot
from trading.domain.backtest import Assignment, BarSeries
from trading.domain.strategies import Desired, Observation, Strategy, parameter
from trading.domain.values import Instrument

MINUTE_NS = 60_000_000_000
T0 = 1_700_000_040_000_000_000


def bars(
    rows: Sequence[tuple[int, int, int, int]], *, instrument: Instrument | None = None, start_ns: int = T0
) -> BarSeries:
    """Minutes of (open, high, low, close) in whole quote currency; ticks are hundredths."""
    count = len(rows)
    prices = (np.array(rows, dtype=np.int64) * 100).T
    open_ns = start_ns + np.arange(count, dtype=np.int64) * MINUTE_NS
    return BarSeries(
        instrument or spot(),
        "1m",
        open_ns,
        open_ns + MINUTE_NS - 1_000_000,
        *(np.ascontiguousarray(row) for row in prices),
        np.full(count, 10.0),
        np.zeros(count),
        np.zeros(count, np.int64),
        np.zeros(count),
    )


def flat_bars(prices: Sequence[int], **more: Any) -> BarSeries:
    """Minutes that open, stay and close at one price."""
    return bars([(p, p, p, p) for p in prices], **more)


@dataclass(frozen=True)
class NoParams:
    """Nothing to set."""

    unused: int = parameter(0)


class Script(Strategy):
    """Says at bar n what `says[n]` holds, None elsewhere; remembers what it was shown."""

    name = "script"
    Params = NoParams

    def __init__(self, says: Mapping[int, Desired | float]) -> None:
        self.says = says
        self.shown: list[tuple[Any, ...]] = []

    def warmup(self, params: NoParams) -> int:
        """It needs nothing."""
        return 0

    def initial(self, params: NoParams) -> int:
        """Return the number of the first bar."""
        return 0

    def step(self, params: NoParams, state: int, seen: Observation) -> tuple[int, Desired | None]:
        """Look up what to say."""
        self.shown.append((seen.bar.close, seen.position, seen.average_price, seen.unrealized, seen.fills))
        wanted = self.says.get(state)
        if isinstance(wanted, (int, float)):
            wanted = Desired(float(wanted))
        return state + 1, wanted


def script(says: Mapping[int, Desired | float], symbol: str = "BTCUSDT") -> Assignment:
    """Assign a script to a symbol."""
    return Assignment(symbol, Script(says), NoParams())
