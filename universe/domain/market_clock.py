"""What time it is in a market whose messages carry no time of their own: told from when its bars begin."""

from __future__ import annotations

from typing import Final

FASTEST: Final = 100_000.0
"""Most market seconds a wall second may hold; the paper exchange compresses a market, nobody faster."""


class MarketClock:
    """Market time between the beginnings of bars, both in nanoseconds.

    A bar that begins ties a market time to a wall time; two of them tell how fast the market runs (1 but for a
    compressed one). Between them time is taken forward at that speed, never beyond the end of the running bar and
    never back. Until the first bar has begun under our eyes it runs from the beginning of the one that was found.
    """

    def __init__(self) -> None:
        self._open_ns: int | None = None
        self._end_ns = 0
        self._since_wall = 0
        self._begun = False
        self._speed = 1.0
        self._told = 0

    def bar(self, open_ns: int, end_ns: int, wall_ns: int) -> None:
        """Take in that the bar of [open, end) is running, or has just closed; an older one says nothing new."""
        if self._open_ns is None:
            self._open_ns, self._end_ns, self._since_wall = open_ns, end_ns, wall_ns
        elif open_ns > self._open_ns:
            passed = wall_ns - self._since_wall
            if self._begun and passed > 0:
                self._speed = min(FASTEST, (open_ns - self._open_ns) / passed)
            self._open_ns, self._end_ns, self._since_wall, self._begun = open_ns, end_ns, wall_ns, True

    def now(self, wall_ns: int) -> int | None:
        """The market time at a wall time, None before anything was heard."""
        if self._open_ns is None:
            return None
        passed = max(0, wall_ns - self._since_wall)
        guess = min(self._open_ns + int(passed * self._speed), self._end_ns - 1)
        self._told = max(self._told, guess)
        return self._told
