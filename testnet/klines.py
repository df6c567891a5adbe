"""Candles of every interval, built from one-minute bars."""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

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
# About a week of minutes; longer bars are fewer, so the same count reaches further back.
KEEP = {"1m": 10_080}
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
        first = datetime.fromtimestamp(open_ms // 1000, UTC)
        following = (first + timedelta(days=32)).replace(day=1)
        return int(following.timestamp()) * 1000
    return open_ms + INTERVALS[interval]


class Bar(NamedTuple):
    """One candle: prices in ticks, volumes in steps, quote amounts in 1e-8 units."""

    open_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    quote: int = 0
    trades: int = 0
    taker_volume: int = 0
    taker_quote: int = 0


def merged(first: Bar | None, second: Bar) -> Bar:
    """`first` followed by `second`; a bar without trades adds only its close."""
    if first is None:
        return second
    return Bar(
        first.open_ms,
        first.open,
        max(first.high, second.high),
        min(first.low, second.low),
        second.close,
        first.volume + second.volume,
        first.quote + second.quote,
        first.trades + second.trades,
        first.taker_volume + second.taker_volume,
        first.taker_quote + second.taker_quote,
    )


class Klines:
    """All candles of one symbol: a running minute, running longer bars, and closed ones."""

    def __init__(self) -> None:
        self.minute: Bar | None = None
        self.closed: dict[str, list[Bar]] = {name: [] for name in INTERVALS}
        self._running: dict[str, Bar] = {}

    def start_minute(self, open_ms: int, price: int) -> None:
        """Open a minute in which nothing has traded yet."""
        self.minute = Bar(open_ms, price, price, price, price)

    def record(self, price: int, steps: int, quote: int, *, taker_buys: bool) -> None:
        """Count one trade in the running minute; its first trade sets the open."""
        bar = self.minute
        if bar is None:
            return
        buys = (steps, quote) if taker_buys else (0, 0)
        if bar.trades == 0:
            self.minute = Bar(bar.open_ms, price, price, price, price, steps, quote, 1, *buys)
            return
        self.minute = Bar(
            bar.open_ms,
            bar.open,
            max(bar.high, price),
            min(bar.low, price),
            price,
            bar.volume + steps,
            bar.quote + quote,
            bar.trades + 1,
            bar.taker_volume + buys[0],
            bar.taker_quote + buys[1],
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
        keep = _keep_count(interval)
        if len(bars) > keep + keep // 8:
            del bars[: len(bars) - keep]


def _reopened(running: Bar, bar: Bar) -> Bar:
    # The first trade of a longer bar sets its open, exactly as within a minute.
    return running._replace(open=bar.open, high=bar.high, low=bar.low)


def _open(bar: Bar) -> int:
    return bar.open_ms


def _keep_count(interval: str) -> int:
    return KEEP.get(interval, KEEP_OTHER)
