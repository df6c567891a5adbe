"""From a wish to a level that stands still: hysteresis of the side, and a band around the target."""

from __future__ import annotations

from trading.domain.strategies.compiled import numeric


@numeric
def next_side(side: int, up: float, down: float, enter: float, leave: float) -> int:
    """Return the side, -1, 0 or 1, that probabilities for and against justify.

    Parameters
    ----------
    side : in force.  up, down : probability of the states that favour a long and a short position.
    enter : a side is taken above it.  leave : the side in force is left below it; lower than `enter`, or noise
        around one threshold would trade every bar.
    """
    if (side > 0 and up < leave) or (side < 0 and down < leave):
        side = 0
    if side <= 0 and up > enter and up > down:
        return 1
    if side >= 0 and down > enter and down > up:
        return -1
    return side


@numeric
def banded_target(held: float, wanted: float, band: float) -> float:
    """Return `held` where the change is not worth trading: same sign and |wanted - held| <= band.

    A target of zero and a change of sign always pass: they are decisions, not adjustments.
    """
    if held * wanted > 0.0 and abs(wanted - held) <= band:
        return held
    return wanted
