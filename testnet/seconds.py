"""One-second candles of the recent past, kept only where something traded."""

from __future__ import annotations

from collections import deque
from itertools import dropwhile

from testnet.bars import Bar, traded

SECOND_MS = 1_000
KEEP_SECONDS = 3_600  # seconds with trades; quiet ones between them are filled in when asked for


class Seconds:
    """Candles of one second; a second without a trade repeats the close before it."""

    def __init__(self) -> None:
        self._bars: deque[Bar] = deque(maxlen=KEEP_SECONDS)

    def record(self, time_ms: int, price: int, steps: int, quote: int, *, taker_buys: bool) -> None:
        """Count one trade; trades come in order of time."""
        open_ms = time_ms // SECOND_MS * SECOND_MS
        if self._bars and self._bars[-1].open_ms >= open_ms:
            self._bars[-1] = traded(self._bars[-1], price, steps, quote, taker_buys=taker_buys)
        else:
            empty = Bar(open_ms, price, price, price, price)
            self._bars.append(traded(empty, price, steps, quote, taker_buys=taker_buys))

    def select(self, start_ms: int | None, end_ms: int | None, limit: int, now_ms: int) -> list[Bar]:
        """Seconds whose open time lies in [start, end], the oldest from `start` or else the newest.

        Nothing is known before the oldest kept trade; the second of `now_ms` is the last.
        """
        if not self._bars:
            return []
        high = now_ms // SECOND_MS * SECOND_MS
        if end_ms is not None:
            high = min(high, end_ms // SECOND_MS * SECOND_MS)
        low = self._bars[0].open_ms
        if start_ms is not None:
            low = max(low, -(-start_ms // SECOND_MS) * SECOND_MS)
            high = min(high, low + (limit - 1) * SECOND_MS)
        else:
            low = max(low, high - (limit - 1) * SECOND_MS)
        return self.span(low, high)

    def span(self, low_ms: int, high_ms: int) -> list[Bar]:
        """Every second from `low_ms` to `high_ms`, both included; none before the oldest kept trade."""
        if not self._bars:
            return []
        before = [bar for bar in self._bars if bar.open_ms < low_ms][-1:]
        kept = dropwhile(lambda bar: bar.open_ms < low_ms, self._bars)
        following = next(kept, None)
        close = before[0].close if before else None
        found: list[Bar] = []
        for open_ms in range(low_ms, high_ms + 1, SECOND_MS):
            if following is not None and following.open_ms == open_ms:
                found.append(following)
                close = following.close
                following = next(kept, None)
            elif close is not None:
                found.append(Bar(open_ms, close, close, close, close))
        return found
