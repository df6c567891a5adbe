"""Reading recent bars."""

from __future__ import annotations

from datetime import datetime

from trading.domain.clock import datetime_to_ns
from universe.domain.bars import BarRecord
from universe.models import Bar, Instrument

_FIELDS = (
    "open_time", "close_time", "open", "high", "low", "close", "volume", "quote_volume",
    "trades", "taker_base",
)  # fmt: skip


def bars_recent(
    instrument: Instrument, interval: str, limit: int, until: datetime | None = None
) -> list[BarRecord]:
    """Return the latest closed bars, ascending.

    Parameters
    ----------
    limit : how many at most.
    until : market time; only bars that closed at or before it.
    """
    rows = Bar.objects.filter(instrument=instrument, interval=interval)
    if until is not None:
        rows = rows.filter(close_time__lte=until)
    newest_first = rows.order_by("-open_time").values_list(*_FIELDS)[:limit]
    return [
        BarRecord(datetime_to_ns(row[0]), datetime_to_ns(row[1]), *row[2:]) for row in reversed(newest_first)
    ]


def bars_since(instrument: Instrument, interval: str, since: datetime) -> list[BarRecord]:
    """Return the closed bars that opened at or after `since`, ascending."""
    rows = Bar.objects.filter(instrument=instrument, interval=interval, open_time__gte=since)
    return [
        BarRecord(datetime_to_ns(row[0]), datetime_to_ns(row[1]), *row[2:])
        for row in rows.order_by("open_time").values_list(*_FIELDS)
    ]


def bar_latest_open_time(instrument: Instrument, interval: str) -> datetime | None:
    """Return the open time of the newest closed bar, or None when there is none."""
    return (
        Bar.objects.filter(instrument=instrument, interval=interval)
        .order_by("-open_time")
        .values_list("open_time", flat=True)
        .first()
    )


def bar_open_times(
    instrument: Instrument, interval: str, *, since: datetime | None = None, until: datetime | None = None
) -> list[datetime]:
    """Return stored open times, ascending, both ends inclusive."""
    rows = Bar.objects.filter(instrument=instrument, interval=interval)
    if since is not None:
        rows = rows.filter(open_time__gte=since)
    if until is not None:
        rows = rows.filter(open_time__lte=until)
    return list(rows.order_by("open_time").values_list("open_time", flat=True))
