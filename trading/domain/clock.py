"""The only converter between nanoseconds, venue milliseconds and datetimes. It does not tell the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000

_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

# The bar lengths Binance offers (spot REST `klines`), except the month, which has no fixed length.
INTERVALS: Final = MappingProxyType(
    {
        text: int(text[:-1]) * _SECONDS[text[-1]] * NS_PER_S
        for text in (
            "1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w",
        )
    }
)  # fmt: skip

# Weekly bars open on Monday 00:00 UTC; the epoch was a Thursday, so the first Monday is day 4.
_WEEK_OFFSET_NS: Final = 4 * 86_400 * NS_PER_S

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def ms_to_ns(ms: int) -> int:
    """Convert milliseconds since the epoch to nanoseconds."""
    return ms * NS_PER_MS


def ns_to_ms(ns: int) -> int:
    """Convert nanoseconds since the epoch to whole milliseconds, rounding towards the past."""
    return ns // NS_PER_MS


def ns_to_datetime(ns: int) -> datetime:
    """Return the aware UTC datetime of `ns`; a datetime holds microseconds, the rest is cut."""
    return _EPOCH + timedelta(microseconds=ns // 1_000)


def datetime_to_ns(at: datetime) -> int:
    """Return nanoseconds since the epoch of an aware datetime.

    Raises
    ------
    ValueError : `at` is naive, so its zone would be a guess.
    """
    if at.utcoffset() is None:
        raise ValueError(f"expected an aware datetime, was {at.isoformat()} without a zone")
    delta = at - _EPOCH
    return ((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds) * 1_000


def written_moment(text: str) -> datetime:
    """Return the aware UTC datetime of ISO 8601 that came from outside.

    Raises
    ------
    ValueError : it is no time, names no zone, or lies outside the years 1 to 9999 once it is put into UTC.
    """
    at = datetime.fromisoformat(text)
    if at.utcoffset() is None:
        raise ValueError(f"expected a time with its zone, was {text[:40]!r}")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"expected a time within the years 1 to 9999, was {text[:40]!r}") from None


def interval_ns(interval: str) -> int:
    """Return the length of a bar in nanoseconds.

    Raises
    ------
    ValueError : the venue has no such interval, or it is `1M`, whose length depends on the month.
    """
    if interval == "1M":
        raise ValueError("interval 1M has no fixed length; use 1d bars and group them by month")
    try:
        return INTERVALS[interval]
    except KeyError:
        raise ValueError(f"unknown interval {interval!r}; expected one of {', '.join(INTERVALS)}") from None


def bar_open_ns(ns: int, interval: str) -> int:
    """Return the opening time of the bar that contains `ns`.

    Bars are aligned to the epoch, weekly bars to Monday 00:00 UTC. For `3d` the epoch is an assumption that
    no document confirms; take the opening times of those bars from the venue.

    Raises
    ------
    ValueError : as `interval_ns`.
    """
    length = interval_ns(interval)
    offset = _WEEK_OFFSET_NS if interval == "1w" else 0
    return (ns - offset) // length * length + offset
