"""Numbers and times as people read them; a figure without a value is a dash."""

from __future__ import annotations

import math

from trading.domain.clock import NS_PER_S, ns_to_datetime
from trading.domain.statistics import Figure

NONE = "–"
MINUS = "−"


def number(value: float, places: int = 2) -> str:
    """Return 1234.5 as "1,234.50"; nothing prints as minus zero."""
    text = f"{abs(value):,.{places}f}"
    negative = value < 0 and any(digit in "123456789" for digit in text)
    return f"{MINUS}{text}" if negative else text


def money(value: float) -> str:
    """Return an amount with as many decimals as its size deserves: two, or six significant digits below 1."""
    if value != 0 and abs(value) < 1:
        places = min(8, max(2, 5 - math.floor(math.log10(abs(value)))))
        return number(value, places).rstrip("0").rstrip(".")
    return number(value, 2)


def percent(value: float, places: int = 2) -> str:
    """Return 0.0213 as "2.13 %"."""
    return f"{number(value * 100, places)} %"


def duration(seconds: float) -> str:
    """Return "45 s", "12 min", "5.5 h", "12.3 d"."""
    for size, unit, places in ((86_400, "d", 1), (3_600, "h", 1), (60, "min", 0)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.{places}f} {unit}"
    return f"{seconds:,.0f} s"


def stamp(at_ns: int) -> str:
    """Return "2026-03-01 14:05" UTC to the nearest second, which is left out where it is zero."""
    seconds = (at_ns + NS_PER_S // 2) // NS_PER_S
    at = ns_to_datetime(seconds * NS_PER_S)
    return f"{at:%Y-%m-%d %H:%M:%S}" if seconds % 60 else f"{at:%Y-%m-%d %H:%M}"


def shown(figure: Figure, write: str = "ratio") -> str:
    """Return a figure written as "ratio", "percent", "money", "days" or "bps"; a dash where there is none."""
    if figure.value is None:
        return NONE
    writers = {
        "ratio": lambda x: number(x, 3),
        "percent": percent,
        "money": money,
        "days": lambda x: f"{number(x, 1)} d",
        "bps": lambda x: f"{number(x, 2)} bps",
        "seconds": duration,
    }
    return writers[write](figure.value)
