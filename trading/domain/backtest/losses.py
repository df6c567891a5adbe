"""What a scope has lost, measured as live measures it, in the subset numba compiles.

A measure is a list or array of six whole numbers: the day it is of, the value that day began with, the last
value, the highest one, losing trades in a row today, and when the last of them closed. The day begins with the
last value before it. Values are quote units; days begin at 00:00 UTC.
"""

from __future__ import annotations

from typing import Any, Final

from trading.domain.backtest.arithmetic import mul_div_up
from trading.domain.backtest.limits import MILLION

DAY: Final = 0
START: Final = 1
LAST: Final = 2
PEAK: Final = 3
STREAK: Final = 4
LOST_NS: Final = 5
MEMBERS: Final = 6

DAY_NS: Final = 86_400_000_000_000
NEVER: Final = -1


def first_measure(value: int) -> list[int]:
    """Return the measure of a scope that begins with a value."""
    return [NEVER, value, value, value, 0, NEVER]


def roll(measure: Any, now_ns: int) -> None:
    """Begin a new day where it is one."""
    day = now_ns // DAY_NS
    if day != measure[DAY]:
        measure[DAY], measure[START], measure[STREAK] = day, measure[LAST], 0


def take(measure: Any, now_ns: int, value: int, flat: bool) -> None:
    """Measure a value; with `flat` nothing was held since the last fill, so it had this value all the time."""
    if flat:
        measure[LAST] = value
    roll(measure, now_ns)
    measure[LAST] = value
    if value > measure[PEAK]:
        measure[PEAK] = value


def closed(measure: Any, now_ns: int, gained: int) -> None:
    """Count an order whose closing fills gained so much before fees; as `losses.fold`."""
    if gained < 0:
        measure[STREAK] += 1
        measure[LOST_NS] = now_ns
    elif gained > 0:
        measure[STREAK] = 0


def lost_today(measure: Any) -> int:
    """Return the quote units lost since the day began; a gain is negative."""
    return measure[START] - measure[LAST]  # type: ignore[no-any-return]


def fallen(measure: Any, capital: int) -> int:
    """Return how far the value is below its peak, in parts of a million of a capital, rounded up.

    As `losses.drawdown_ppm`.
    """
    fall = measure[PEAK] - measure[LAST]
    if fall <= 0:
        return 0
    if capital <= 0 or fall >= capital:
        return MILLION
    return mul_div_up(fall, MILLION, capital)
