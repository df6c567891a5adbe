"""What a rail answers, cheap to make and written out for people only when somebody looks."""

from __future__ import annotations

from typing import Final, NamedTuple

from trading.domain.risk.reasons import DenyReason
from trading.domain.values import UNITS

Number = int | float | str | None

PLAIN: Final = 0
AMOUNT: Final = 1
"""Units of 1e-8, shown as plain decimal text."""
SECONDS: Final = 2
"""Nanoseconds, shown as seconds."""
SHARE: Final = 3
"""Parts of a million, shown as a fraction."""


class RailResult(NamedTuple):
    """One rail's verdict with the number it looked at and the number it allows.

    `raw_measured` and `raw_limit` are whole numbers as the rail compared them; `measured` and `limit` are the
    same numbers in `unit`, amounts as plain decimal text, so that they can be shown and stored as is.
    """

    rail: str
    passed: bool
    code: DenyReason | None
    raw_measured: Number
    raw_limit: Number
    unit: str
    detail: str
    retry_after_s: float | None = None
    scale: int = PLAIN

    @property
    def measured(self) -> Number:
        """The number the rail looked at, for people."""
        return shown(self.raw_measured, self.scale)

    @property
    def limit(self) -> Number:
        """The number the rail allows, for people."""
        return shown(self.raw_limit, self.scale)


def allowed(
    rail: str,
    measured: Number = None,
    limit: Number = None,
    unit: str = "",
    scale: int = PLAIN,
    detail: str = "",
) -> RailResult:
    """Answer that the rail lets the order through."""
    return RailResult(rail, True, None, measured, limit, unit, detail, None, scale)


def denied(
    rail: str,
    code: DenyReason,
    measured: Number,
    limit: Number,
    unit: str,
    detail: str,
    retry_after_s: float | None = None,
    scale: int = PLAIN,
) -> RailResult:
    """Answer that the rail stops the order, with both numbers."""
    return RailResult(rail, False, code, measured, limit, unit, detail, retry_after_s, scale)


def shown(value: Number, scale: int) -> Number:
    """Return a rail's number as it is shown and stored."""
    if value is None or scale == PLAIN or isinstance(value, str):
        return value
    if scale == AMOUNT:
        return amount(int(value))
    return value / 1_000_000_000 if scale == SECONDS else value / 1_000_000


def amount(units: int) -> str:
    """Write units of 1e-8 as plain decimal text."""
    whole, rest = divmod(abs(units), UNITS)
    sign = "-" if units < 0 else ""
    return f"{sign}{whole}.{rest:08d}".rstrip("0") if rest else f"{sign}{whole}"


def seconds(ns: int) -> float:
    """Return nanoseconds as seconds, for people."""
    return ns / 1_000_000_000


def share(parts: int) -> str:
    """Write parts of a million as a percentage, for people."""
    return f"{parts / 10_000:g} %"
