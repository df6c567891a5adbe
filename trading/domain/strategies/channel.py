"""The Donchian channel as a position: in after a new extreme of the entry window, out after one of the exit."""

from __future__ import annotations

from collections.abc import Sequence

from trading.domain.strategies.compiled import numeric


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
    return channel_after(
        side, close, max(highs[-entry:]), min(lows[-entry:]), max(highs[-exit_:]), min(lows[-exit_:])
    )


@numeric
def channel_after(
    side: int, close: float, top: float, bottom: float, top_near: float, bottom_near: float
) -> int:
    """Return the side after a close, given the extremes of the entry window and, nearer, of the exit window."""
    if (side > 0 and close < bottom_near) or (side < 0 and close > top_near):
        side = 0
    if side == 0:
        if close > top:
            return 1
        if close < bottom:
            return -1
    return side
