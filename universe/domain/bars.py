"""Rules about bars that need nothing but the numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from trading.domain.clock import bar_open_ns, interval_ns, ms_to_ns
from trading.domain.ports import KlineRecord

# Columns hold 28 digits, 10 of them decimals; what does not fit would be rounded by the database.
_DECIMALS = 10
_LIMIT = Decimal(10) ** 18


class ImpossibleBar(ValueError):
    """A bar that no market can have made, or that cannot be stored exactly."""


@dataclass(frozen=True, slots=True)
class BarRecord:
    """A closed bar as the kernel reads it; times in nanoseconds of market time."""

    open_time_ns: int
    close_time_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int
    taker_base: Decimal


@dataclass(frozen=True, slots=True)
class Gap:
    """Missing bars between two that exist: open times of the first and last missing, in ns, and how many."""

    first_missing_ns: int
    last_missing_ns: int
    missing: int


def check_bar(bar: KlineRecord, interval: str) -> None:
    """Accept a possible bar.

    Raises
    ------
    ImpossibleBar : NaN, negative or zero prices, high or low that the bar's own prices contradict,
        negative volumes, more taker volume than volume, a time off the interval's grid, or more digits
        than a column holds.
    """
    prices = {"open": bar.open, "high": bar.high, "low": bar.low, "close": bar.close}
    volumes = {"volume": bar.volume, "quote volume": bar.quote_volume, "taker volume": bar.taker_base}
    for name, value in {**prices, **volumes}.items():
        if not value.is_finite():
            raise ImpossibleBar(f"{name} is {value}")
        exponent = value.normalize().as_tuple().exponent
        if abs(value) >= _LIMIT or (isinstance(exponent, int) and exponent < -_DECIMALS):
            raise ImpossibleBar(f"{name} {value} has more than 18 digits before or 10 after the point")
    for name, value in prices.items():
        if value <= 0:
            raise ImpossibleBar(f"expected a positive {name}, was {value}")
        if not bar.low <= value <= bar.high:
            raise ImpossibleBar(f"{name} {value} is outside low {bar.low} and high {bar.high}")
    for name, value in volumes.items():
        if value < 0:
            raise ImpossibleBar(f"expected a {name} of zero or more, was {value}")
    if bar.taker_base > bar.volume:
        raise ImpossibleBar(f"taker volume {bar.taker_base} is above volume {bar.volume}")
    if bar.trades < 0:
        raise ImpossibleBar(f"expected a trade count of zero or more, was {bar.trades}")
    open_ns = ms_to_ns(bar.open_time_ms)
    if bar_open_ns(open_ns, interval) != open_ns:
        raise ImpossibleBar(f"open time {bar.open_time_ms} ms is not on the grid of {interval}")
    if not 0 < ms_to_ns(bar.close_time_ms) - open_ns <= interval_ns(interval):
        raise ImpossibleBar(
            f"close time {bar.close_time_ms} ms is not within {interval} of {bar.open_time_ms} ms"
        )


def closed_bars(bars: Sequence[KlineRecord]) -> list[KlineRecord]:
    """Leave out the newest bar of an answer that reaches up to now.

    It may still be forming, and market time need not agree with our clock: only a newer bar proves that
    a bar has closed.
    """
    return sorted(bars, key=lambda bar: bar.open_time_ms)[:-1]


def find_gaps(open_times_ns: Iterable[int], interval: str) -> list[Gap]:
    """Return the holes in an ascending series of open times.

    Raises
    ------
    ValueError : the series is not strictly ascending.
    """
    length = interval_ns(interval)
    gaps: list[Gap] = []
    for earlier, later in pairwise(open_times_ns):
        if later <= earlier:
            raise ValueError(f"expected ascending open times, {later} follows {earlier}")
        missing = (later - earlier) // length - 1
        if missing > 0:
            gaps.append(Gap(earlier + length, later - length, missing))
    return gaps
