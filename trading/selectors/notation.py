"""How amounts and moments are written for people and programs: plain decimals, UTC with a Z."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Context, Decimal

from trading.domain.values import decimal_text

RESOLUTION = Decimal("0.0000000001")
# Wider than any column: the default context refuses to quantize what it could not hold.
_WIDE = Context(prec=80)


def amount_text(value: Decimal | int | None) -> str | None:
    """An amount in plain notation, without exponent or trailing zeros; None stays None.

    A row that was just made still carries its columns' integer defaults.
    """
    return None if value is None else decimal_text(Decimal(value))


def quotient_text(dividend: Decimal, divisor: Decimal) -> str | None:
    """A price that is a quotient, to ten decimals; None when there is nothing to divide by."""
    if divisor == 0:
        return None
    return decimal_text(_WIDE.divide(dividend, divisor).quantize(RESOLUTION, context=_WIDE))


def utc_text(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC with microseconds where there are any, ending in Z."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def age_s(moment: datetime | None, now: datetime) -> float | None:
    """Seconds from a moment until now, never negative; None where nothing happened yet."""
    return None if moment is None else max(0.0, round((now - moment).total_seconds(), 3))
