"""Exact amounts: every price, quantity and balance is an integer count of 1e-8 units."""

from __future__ import annotations

import re

SCALE = 10**8
DECIMALS = 8
DECIMAL_PATTERN = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_DECIMAL = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,20}))?", re.ASCII)


class MalformedDecimal(ValueError):
    """The text is not a plain decimal number."""


class TooPrecise(ValueError):
    """The text has more than eight significant decimal places."""


def parse_units(text: str) -> int:
    """Read a plain decimal as 1e-8 units.

    Raises
    ------
    MalformedDecimal : signs, exponents, blanks or anything but digits and one point.
    TooPrecise : a non-zero digit beyond the eighth decimal place.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise MalformedDecimal(text)
    whole, fraction = match.group(1), match.group(2) or ""
    if fraction[DECIMALS:].strip("0"):
        raise TooPrecise(text)
    return int(whole) * SCALE + int(fraction[:DECIMALS].ljust(DECIMALS, "0"))


def parse_signed_units(text: str) -> int:
    """Read a decimal with an optional leading minus sign as 1e-8 units."""
    return -parse_units(text[1:]) if text.startswith("-") else parse_units(text)


def units_text(units: int) -> str:
    """Write 1e-8 units with exactly eight decimals, as the venue does."""
    if units < 0:
        return "-" + units_text(-units)
    return f"{units // SCALE}.{units % SCALE:08d}"


def fixed_text(units: int, places: int) -> str:
    """Write 1e-8 units with this many decimals, rounding half up where there are more."""
    if places == DECIMALS:
        return units_text(units)
    scale = 10 ** (DECIMALS - places)
    rounded = (abs(units) + scale // 2) // scale
    if units < 0 and rounded:
        return "-" + fixed_text(-units, places)
    if places == 0:
        return str(rounded)
    base = 10**places
    return f"{rounded // base}.{rounded % base:0{places}d}"


def trimmed_text(units: int) -> str:
    """Write 1e-8 units without trailing zeros."""
    text = units_text(units)
    return text.rstrip("0").rstrip(".")


def decimals_of(units: int) -> int:
    """Decimal places needed to write this many units (a tick of 0.01 needs 2)."""
    places = DECIMALS
    while places > 0 and units % 10 == 0:
        units //= 10
        places -= 1
    return places
