"""Bars of one instrument as columns: prices in whole ticks, times in nanoseconds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from trading.domain.backtest.arithmetic import PARTS
from trading.domain.backtest.scale import MAX_TICKS
from trading.domain.clock import interval_ns
from trading.domain.funding import rates_in_force
from trading.domain.strategies import Bar
from trading.domain.values import Instrument

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

LARGEST_EXACT: Final = 2**53
"""Up to here every whole number is a float."""


@dataclass(frozen=True, eq=False)
class BarSeries:
    """Closed bars of one instrument, ascending. Without slots, so that it can keep its digest and prices.

    Attributes
    ----------
    open_ns, close_ns : (N,), market time.  open, high, low, close : (N,), ticks of the instrument.
    volume, quote_volume, taker_base : (N,), base, quote, base.  trades : (N,).
    """

    instrument: Instrument
    interval: str
    open_ns: IntArray
    close_ns: IntArray
    open: IntArray
    high: IntArray
    low: IntArray
    close: IntArray
    volume: FloatArray
    quote_volume: FloatArray
    trades: IntArray
    taker_base: FloatArray

    def __post_init__(self) -> None:
        interval_ns(self.interval)
        size = len(self.open_ns)
        for name in _COLUMNS:
            column = getattr(self, name)
            kind = np.float64 if name in _FLOATS else np.int64
            if column.dtype != kind or column.shape != (size,):
                raise ValueError(f"{name}: expected {size} values of {kind.__name__}, were {column.shape}")
        if size == 0:
            raise ValueError(f"{self.instrument.symbol}: there are no bars")
        if (self.close_ns <= self.open_ns).any() or (self.open_ns[1:] <= self.close_ns[:-1]).any():
            raise ValueError(f"{self.instrument.symbol}: bars must ascend and not overlap")
        prices = (self.open, self.close)
        if (self.low <= 0).any() or any((p < self.low).any() or (p > self.high).any() for p in prices):
            raise ValueError(f"{self.instrument.symbol}: a bar has a price outside its low and high")
        if int(self.high.max()) > MAX_TICKS:
            raise ValueError(f"{self.instrument.symbol}: a price is above {MAX_TICKS} ticks")
        volumes = (self.volume, self.quote_volume, self.taker_base)
        if not all(np.isfinite(v).all() and (v >= 0).all() for v in volumes):
            raise ValueError(f"{self.instrument.symbol}: expected finite volumes of zero or more")

    def __len__(self) -> int:
        return len(self.open_ns)

    @property
    def symbol(self) -> str:
        """The instrument's symbol."""
        return self.instrument.symbol

    def price(self, ticks: IntArray) -> FloatArray:
        """(N,), prices in quote currency, each the float nearest to the decimal price."""
        top, bottom = self.instrument.tick_size.as_integer_ratio()
        return np.asarray(ticks * top / bottom, dtype=np.float64)

    @cached_property
    def prices(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Open, high, low and close in quote currency, each (N,)."""
        return self.price(self.open), self.price(self.high), self.price(self.low), self.price(self.close)

    @cached_property
    def zeros(self) -> FloatArray:
        """(N,), for what there is none of; one array for all who ask."""
        return np.zeros(len(self))

    @cached_property
    def no_rows(self) -> IntArray:
        """(N + 1,), where nothing falls to any bar."""
        return np.zeros(len(self) + 1, np.int64)

    @cached_property
    def rows(self) -> IntArray:
        """(N, 4), open time, open, close time and close of each bar, beside each other."""
        return np.stack((self.open_ns, self.open, self.close_ns, self.close), axis=1)

    @cached_property
    def following(self) -> IntArray:
        """(N,), the number of the bar after each."""
        return np.arange(1, len(self) + 1, dtype=np.int64)

    @cached_property
    def highest(self) -> int:
        """The highest price, ticks."""
        return int(self.high.max())

    @cached_property
    def close_sums(self) -> FloatArray | None:
        """(N + 1,), the sum of the closes before each bar, in ticks and exact; None where floats cannot hold them."""
        if self.highest * len(self) >= LARGEST_EXACT:
            return None
        return np.concatenate(([0.0], np.cumsum(self.close))).astype(np.float64)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, instrument scale included."""
        scale = f"{self.symbol} {self.interval} {self.instrument.tick_size} {self.instrument.step_size}"
        sha = hashlib.sha256(scale.encode())
        for name in _COLUMNS:
            sha.update(np.ascontiguousarray(getattr(self, name)).astype(f"<{_code(name)}8").tobytes())
        return sha.hexdigest()

    def between(self, start_ns: int | None, end_ns: int | None) -> BarSeries:
        """Return the bars that open at or after `start_ns` and before `end_ns`.

        Raises
        ------
        ValueError : there are none.
        """
        first = 0 if start_ns is None else int(np.searchsorted(self.open_ns, start_ns, side="left"))
        last = len(self) if end_ns is None else int(np.searchsorted(self.open_ns, end_ns, side="left"))
        return self.first(last, first)

    def first(self, stop: int, start: int = 0) -> BarSeries:
        """Return the bars from `start` up to but without `stop`.

        Raises
        ------
        ValueError : there are none.
        """
        columns: dict[str, Any] = {name: getattr(self, name)[start:stop] for name in _COLUMNS}
        return BarSeries(self.instrument, self.interval, **columns)


_COLUMNS = (
    "open_ns", "close_ns", "open", "high", "low", "close",
    "volume", "quote_volume", "trades", "taker_base",
)  # fmt: skip
_FLOATS = frozenset({"volume", "quote_volume", "taker_base"})


def _code(name: str) -> str:
    return "f" if name in _FLOATS else "i"


@dataclass(frozen=True, slots=True, eq=False)
class FundingSeries:
    """Funding times of a perpetual, ascending.

    Attributes
    ----------
    times_ns : (K,).  rates : (K,), signed parts of 1e-8.
    marks : (K,), mark price in ticks, 0 where unknown: the open of the bar then stands for it.
    """

    times_ns: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    rates: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    marks: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        if not len(self.times_ns) == len(self.rates) == len(self.marks):
            raise ValueError("expected a rate and a mark price for every funding time")
        if (np.diff(self.times_ns) <= 0).any() or (self.marks < 0).any():
            raise ValueError("expected ascending funding times and no negative mark price")

    def until(self, last_ns: int) -> FundingSeries:
        """Return what was settled at or before a moment."""
        stop = int(np.searchsorted(self.times_ns, last_ns, side="right"))
        return FundingSeries(self.times_ns[:stop], self.rates[:stop], self.marks[:stop])

    def in_force(self, close_ns: IntArray) -> FloatArray:
        """Return (N,) the rate each close knows, a fraction; NaN where none is in force."""
        return rates_in_force(close_ns, self.times_ns, self.rates / PARTS)


def slower_bars(series: BarSeries, interval: str) -> list[tuple[int, Bar]]:
    """Return bars of a slower interval, each with the index of the fast bar it closes with.

    Only slower bars that are whole in the data are made: every fast bar of them is there.

    Raises
    ------
    ValueError : the interval is not a whole multiple of the series' own.
    """
    fast, slow = interval_ns(series.interval), interval_ns(interval)
    if slow <= fast or slow % fast:
        raise ValueError(f"{interval} is no whole multiple of {series.interval}")
    offset = 4 * interval_ns("1d") if interval == "1w" else 0
    group = (series.open_ns - offset) // slow
    starts = np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1])))
    ends = np.append(starts[1:], len(series)) - 1
    bars = []
    for first, last in zip(starts.tolist(), ends.tolist(), strict=True):
        if last - first + 1 != slow // fast:
            continue
        part = slice(first, last + 1)
        top, bottom = series.instrument.tick_size.as_integer_ratio()
        bar = Bar(
            open_ns=int(series.open_ns[first]),
            close_ns=int(series.close_ns[last]),
            open=int(series.open[first]) * top / bottom,
            high=int(series.high[part].max()) * top / bottom,
            low=int(series.low[part].min()) * top / bottom,
            close=int(series.close[last]) * top / bottom,
            volume=float(series.volume[part].sum()),
            quote_volume=float(series.quote_volume[part].sum()),
            trades=int(series.trades[part].sum()),
            taker_base=float(series.taker_base[part].sum()),
        )
        bars.append((last, bar))
    return bars
