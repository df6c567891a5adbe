"""Slow bars out of a strategy's own fast ones, the way models are trained on them."""

from __future__ import annotations

from typing import NamedTuple

from trading.domain.strategies.base import Bar


class GrowingBar(NamedTuple):
    """A slow bar that has not closed.

    Attributes
    ----------
    number : of its interval since the epoch.  bars : fast ones in it.  last_ns : close of the last of them.
    high, low : quote currency.  volume, taker_base : base.
    """

    number: int = -1
    bars: int = 0
    last_ns: int = 0
    high: float = 0.0
    low: float = 0.0
    volume: float = 0.0
    taker_base: float = 0.0


def grow(growing: GrowingBar, bar: Bar, fast_ns: int, slow_ns: int) -> tuple[GrowingBar, GrowingBar | None]:
    """Take a closed fast bar; return what grows, and the slow bar if the fast one completes it.

    A slow bar counts only when every fast bar of it was seen: one with a hole would show a range and a volume that
    never were. Slow intervals are aligned to the epoch, so of one day at most.

    Parameters
    ----------
    fast_ns, slow_ns : lengths of the bars; the slow one is a whole multiple.
    """
    end_ns = -(-bar.close_ns // fast_ns) * fast_ns  # the venue stamps a close one millisecond early
    number = (end_ns - 1) // slow_ns
    if number == growing.number:
        grown = GrowingBar(
            number,
            growing.bars + 1,
            bar.close_ns,
            max(growing.high, bar.high),
            min(growing.low, bar.low),
            growing.volume + bar.volume,
            growing.taker_base + bar.taker_base,
        )
    else:
        grown = GrowingBar(number, 1, bar.close_ns, bar.high, bar.low, bar.volume, bar.taker_base)
    complete = end_ns % slow_ns == 0 and grown.bars == slow_ns // fast_ns
    return grown, grown if complete else None
