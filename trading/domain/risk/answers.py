"""The two ways a rail answers."""

from __future__ import annotations

from trading.domain.risk.checks import RailResult
from trading.domain.risk.reasons import DenyReason
from trading.domain.values import decimal_text, from_units

Number = int | float | str | None


def allowed(
    rail: str, measured: Number = None, limit: Number = None, unit: str = "", detail: str = ""
) -> RailResult:
    """Answer that the rail lets the order through."""
    return RailResult(rail, True, None, measured, limit, unit, detail)


def denied(
    rail: str,
    code: DenyReason,
    measured: Number,
    limit: Number,
    unit: str,
    detail: str,
    retry_after_s: float | None = None,
) -> RailResult:
    """Answer that the rail stops the order, with both numbers."""
    return RailResult(rail, False, code, measured, limit, unit, detail, retry_after_s)


def amount(units: int) -> str:
    """Write units of 1e-8 as plain decimal text."""
    return decimal_text(from_units(units))


def seconds(ns: int) -> float:
    """Return nanoseconds as seconds, for people."""
    return ns / 1_000_000_000
