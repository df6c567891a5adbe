"""Candles of every interval, built from one-minute bars."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from testnet.bars import Bar, merged, traded
from testnet.seconds import SECOND_MS, Seconds

__all__ = ["DAY_MS", "HOUR_MS", "INTERVALS", "MINUTE_MS", "Bar", "Klines", "end_of", "merged", "open_of"]

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
_MONDAY_MS = 4 * DAY_MS  # 1970-01-05 was a Monday

INTERVALS: dict[str, int] = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS,
    "6h": 6 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": 7 * DAY_MS,
    "1M": 0,  # calendar months
}
ONE_SECOND = "1s"  # kept apart: only the recent past, and not over a restart
# About a week of minutes; longer bars are fewer, so the same count reaches further back.
KEEP_MINUTES = 10_080
KEEP_OTHER = 5_000


def open_of(interval: str, time_ms: int) -> int:
    """Open time of the bar that contains a time."""
    if interval == "1M":
        at = datetime.fromtimestamp(time_ms // 1000, UTC)
        return int(datetime(at.year, at.month, 1, tzinfo=UTC).timestamp()) * 1000
    length = INTERVALS[interval]
    if interval == "1w":
        return (time_ms - _MONDAY_MS) // length * length + _MONDAY_MS
    return time_ms // length * length


def end_of(interval: str, open_ms: int) -> int:
    """Open time of the bar after the one that opens here."""
    if interval == "1M":
        return _next_month(open_ms)
    return open_ms + (SECOND_MS if interval == ONE_SECOND else INTERVALS[interval])


@lru_cache(maxsize=32)
def _next_month(open_ms: int) -> int:
    first = datetime.fromtimestamp(open_ms // 1000, UTC)
    following = (first + timedelta(days=32)).replace(day=1)
    return int(following.timestamp()) * 1000


class Klines:
    """All candles of one symbol: a running minute, running longer bars, and closed ones."""

    def __init__(self, keep_minutes: int = KEEP_MINUTES, keep_other: int = KEEP_OTHER) -> None:
        self._keep_minutes = keep_minutes
        self._keep_other = keep_other
        self.minute: Bar | None = None
        self.seconds = Seconds()
        self.closed: dict[str, list[Bar]] = {name: [] for name in INTERVALS}
        self._running: dict[str, Bar] = {}

    def start_minute(self, open_ms: int, price: int) -> None:
        """Open a minute in which nothing has traded yet."""
        self.minute = Bar(open_ms, price, price, price, price)

    def record(
        self, price: int, steps: int, quote: int, *, taker_buys: bool, time_ms: int | None = None
    ) -> None:
        """Count one trade in the running minute; its first trade sets the open.

        With its time it also counts in the one-second candles.
        """
        if self.minute is None:
            return
        self.minute = traded(self.minute, price, steps, quote, taker_buys=taker_buys)
        if time_ms is not None:
            self.seconds.record(time_ms, price, steps, quote, taker_buys=taker_buys)

    def quote(self, price: int) -> None:
        """Move the running minute to a price that is not a trade (an index, say)."""
        bar = self.minute
        if bar is not None:
            self.minute = bar._replace(
                high=max(bar.high, price), low=min(bar.low, price), close=price, trades=bar.trades + 1
            )

    def close_minute(self) -> list[tuple[str, Bar]]:
        """Close the running minute and open the next; return every bar that closed with it."""
        bar = self.minute
        if bar is None:
            return []
        closed = self.absorb(bar)
        self.start_minute(bar.open_ms + MINUTE_MS, bar.close)
        return closed

    def absorb(self, bar: Bar) -> list[tuple[str, Bar]]:
        """Append a finished minute and carry it into the longer bars."""
        self._keep("1m", bar)
        closed = [("1m", bar)]
        end_ms = bar.open_ms + MINUTE_MS
        for name in INTERVALS:
            if name == "1m":
                continue
            running = self._running.get(name)
            if running is None:
                running = bar._replace(open_ms=open_of(name, bar.open_ms))
            else:
                if bar.trades and not running.trades:
                    running = _reopened(running, bar)
                running = merged(running, bar)
            self._running[name] = running
            if end_of(name, running.open_ms) <= end_ms:
                self._keep(name, running)
                closed.append((name, running))
                del self._running[name]
        return closed

    def absorb_coarse(self, bar: Bar, length_ms: int) -> None:
        """Carry a ready candle longer than a minute into its own interval and the longer ones."""
        end_ms = bar.open_ms + length_ms
        for name, length in INTERVALS.items():
            if 0 < length < length_ms:
                continue
            running = self._running.get(name)
            running = merged(running, bar) if running else bar._replace(open_ms=open_of(name, bar.open_ms))
            if end_of(name, running.open_ms) <= end_ms:
                self._keep(name, running)
                self._running.pop(name, None)
            else:
                self._running[name] = running

    def follow(self, source: Klines, convert: Callable[[Bar], Bar]) -> None:
        """Take over another symbol's closed and unfinished candles, each converted; its minute is not."""
        for name, bars in source.closed.items():
            keep = self._keep_minutes if name == "1m" else self._keep_other
            self.closed[name] = [convert(bar) for bar in bars[-keep:]]
        self._running = {name: convert(bar) for name, bar in source._running.items()}

    def state(self) -> dict[str, Any]:
        """Everything, as plain lists."""
        return {
            "minute": self.minute,
            "closed": self.closed,
            "running": self._running,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state()` after it went through JSON."""
        self.minute = Bar(*state["minute"]) if state["minute"] else None
        for name, bars in state["closed"].items():
            self.closed[name] = [Bar(*bar) for bar in bars]
        self._running = {name: Bar(*bar) for name, bar in state["running"].items()}

    def running(self, interval: str) -> Bar | None:
        """The unfinished candle of an interval."""
        minute = self.minute
        if minute is None or interval == "1m":
            return minute
        running = self._running.get(interval)
        if running is None:
            return minute._replace(open_ms=open_of(interval, minute.open_ms))
        if minute.trades and not running.trades:
            running = _reopened(running, minute)
        return merged(running, minute)

    def select(self, interval: str, start_ms: int | None, end_ms: int | None, limit: int) -> list[Bar]:
        """Candles whose open time lies in [start, end], the oldest from `start` or else the newest."""
        bars = self.closed[interval]
        low = 0 if start_ms is None else bisect_left(bars, start_ms, key=_open)
        high = len(bars) if end_ms is None else bisect_left(bars, end_ms + 1, key=_open)
        if start_ms is not None and high - low >= limit:
            return bars[low : low + limit]
        chosen = bars[max(low, high - limit) : high]
        running = self.running(interval)
        if (
            running is not None
            and (start_ms is None or running.open_ms >= start_ms)
            and (end_ms is None or running.open_ms <= end_ms)
        ):
            chosen.append(running)
        return chosen[-limit:]

    def recent_minutes(self, count: int) -> list[Bar]:
        """The last `count` one-minute bars, the running one included."""
        bars = self.closed["1m"][-(count - 1) :] if count > 1 else []
        return [*bars, self.minute] if self.minute is not None else list(bars)

    def _keep(self, interval: str, bar: Bar) -> None:
        bars = self.closed[interval]
        bars.append(bar)
        keep = self._keep_minutes if interval == "1m" else self._keep_other
        if len(bars) > keep + keep // 8:
            del bars[: len(bars) - keep]


def _reopened(running: Bar, bar: Bar) -> Bar:
    # The first trade of a longer bar sets its open, exactly as within a minute.
    return running._replace(open=bar.open, high=bar.high, low=bar.low)


def _open(bar: Bar) -> int:
    return bar.open_ms
