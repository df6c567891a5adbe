"""The rules of `trend_follow` as functions of numbers, the same in its step and in machine code."""

from __future__ import annotations

from trading.domain.strategies.compiled import numeric


@numeric
def sign(value: float) -> int:
    """Return -1, 0 or 1."""
    if value > 0.0:
        return 1
    return -1 if value < 0.0 else 0


@numeric
def stop_was_hit(target: float, stop: float, high: float, low: float) -> bool:
    """Tell whether a bar traded through the stop that stood during it, not the one its close draws."""
    if stop <= 0.0:
        return False
    return low <= stop if target > 0.0 else high >= stop


@numeric
def side_shut(shut: int, target: float, stopped: bool, signal: float, breakout: int) -> int:
    """Return the side that stays shut: the one just stopped out of, until a fresh breakout or the signal left it."""
    if stopped:
        return sign(target)
    if shut != 0 and (breakout == shut or signal * shut <= 0.0):
        return 0
    return shut


@numeric
def drawn_stop(held: float, stop_before: float, target: float, close: float, distance: float) -> float:
    """Return the stop after a bar, 0.0 for none; of a position that stays it only comes closer.

    Parameters
    ----------
    held, stop_before : target and stop before the bar.
    """
    if target == 0.0 or distance == 0.0:
        return 0.0
    side = sign(target)
    # A stop at or below zero cannot be reached: there is none, until prices have moved up.
    stop = max(0.0, close - side * distance)
    if held * target > 0.0 and stop_before > 0.0:
        return max(stop_before, stop) if side > 0 else min(stop_before, stop)
    return stop
