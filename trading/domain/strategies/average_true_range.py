"""Wilder's average true range, one bar at a time."""

from __future__ import annotations

from typing import NamedTuple

from trading.domain.strategies.compiled import numeric


class TrueRange(NamedTuple):
    """The average between two bars.

    Attributes
    ----------
    bars : how many were taken.  close : of the last one, quote currency.
    value : the mean true range so far while `bars` is at most the window, then the smoothed one.
    """

    bars: int = 0
    close: float = 0.0
    value: float = 0.0


@numeric
def next_true_range(state: TrueRange, high: float, low: float, close: float, window: int) -> TrueRange:
    """Take one closed bar; the value counts once `bars` has reached `window`.

    The true range is max(H, C_t-1) - min(L, C_t-1), of the first bar H - L. The first average is the plain mean
    of `window` true ranges; after it ATR_t = ((window - 1) ATR_t-1 + TR_t) / window.

    Source: Wilder (1978), New Concepts in Technical Trading Systems.
    """
    top, bottom = (high, low) if state.bars == 0 else (max(high, state.close), min(low, state.close))
    bars = state.bars + 1
    weight = min(bars, window)
    return TrueRange(bars, close, state.value + (top - bottom - state.value) / weight)
