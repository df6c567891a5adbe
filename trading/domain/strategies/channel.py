"""The Donchian channel as a position: in after a new extreme of the entry window, out after one of the exit."""

from __future__ import annotations

from collections.abc import Sequence


def channel_side(
    side: int, highs: Sequence[float], lows: Sequence[float], close: float, entry: int, exit_: int
) -> int:
    """Return the side, -1, 0 or 1, after a bar that closed at `close`.

    Long after a close above the highest high of `entry` bars, out after a close below the lowest low of `exit_`
    bars; short the mirror image. An exit and an entry to the other side may fall on one bar.

    Parameters
    ----------
    side : before the bar.
    highs, lows : of the bars before it, the last `max(entry, exit_)` at least; the bar itself is excluded, or
        its own high would hide every breakout.
    """
    if (side > 0 and close < min(lows[-exit_:])) or (side < 0 and close > max(highs[-exit_:])):
        side = 0
    if side == 0:
        if close > max(highs[-entry:]):
            return 1
        if close < min(lows[-entry:]):
            return -1
    return side
