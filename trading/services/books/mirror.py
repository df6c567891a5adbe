"""The JSON-lines mirror of the events against the database: what is missing, altered, or should not be there.

Every line is compared with its event while the database keeps it (a day at least), and every line that tells of a fill
with the fill, which is kept for ever. One line is in memory at a time, and a bit for each fill.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Max, Min

from nautilus_site.common.models import OutboxEvent
from trading.models import Fill
from trading.selectors.fills import fill_members, fill_queryset

_NAME: Final = re.compile(r"events-(\d{8})(?:\.(\d+))?\.jsonl")
BATCH: Final = 500
TOLD: Final = 1_000
"""Differences that are told one by one; the rest are counted."""


@dataclass(slots=True)
class MirrorVerified:
    """What one comparison looked at and found. `behind` are events the relay has not mirrored yet: no difference."""

    files: int = 0
    lines: int = 0
    fills: int = 0
    behind: int = 0
    count: int = 0
    differences: list[dict[str, Any]] = field(default_factory=list)

    def differ(self, what: str, detail: str, at: Line | None = None) -> None:
        """Note a difference: `missing`, `altered`, `extra` or `unreadable`, with its file and byte offset."""
        self.count += 1
        if len(self.differences) < TOLD:
            place = {"file": at.path.name, "offset": at.offset} if at is not None else {}
            self.differences.append({"what": what, **place, "detail": detail})

    def members(self) -> dict[str, Any]:
        """As a command shows it."""
        return {
            "mirror": True,
            "ok": not self.count,
            "files": self.files,
            "lines": self.lines,
            "fills": self.fills,
            "behind": self.behind,
            "count": self.count,
            "differences": self.differences,
        }


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the mirror: where it begins, and what it says; None where it cannot be read."""

    path: Path
    offset: int
    event: dict[str, Any] | None


def mirror_verify(directory: Path) -> MirrorVerified:
    """Compare the mirror in a directory with the database. Read-only; a relay may go on writing meanwhile."""
    found = MirrorVerified()
    newest = OutboxEvent.objects.aggregate(last=Max("event_id"))["last"] or 0
    oldest = OutboxEvent.objects.aggregate(first=Min("event_id"))["first"]
    fills_to = Fill.objects.aggregate(last=Max("pk"))["last"] or 0
    told = bytearray(fills_to // 8 + 1)
    last = 0
    every_line = _lines(directory, found)
    while lines := list(islice(every_line, BATCH)):
        readable = []
        for line in lines:
            found.lines += 1
            if line.event is None:
                found.differ("unreadable", "not a line of JSON with an id", line)
                continue
            number = line.event["id"]
            if number > newest:
                continue  # numbered after we had looked
            if last and number > last + 1:
                found.differ("missing", _span(last + 1, number - 1), line)
            if number <= last:
                found.differ("extra", f"event {number} comes after event {last}", line)
            last = max(last, number)
            readable.append(line)
        _against_events(readable, oldest, found)
        _against_fills(readable, told, fills_to, found)
    found.behind = max(0, newest - last) if last else newest
    if last:
        _fills_untold(directory, told, fills_to, last, found)
    return found


def _span(first: int, last: int) -> str:
    return f"event {first}" if first == last else f"events {first} to {last}"


def _lines(directory: Path, found: MirrorVerified) -> Iterator[Line]:
    """Every complete line, oldest first; the last one of the last file may still be being written."""
    named = [(_NAME.fullmatch(path.name), path) for path in directory.glob("events-*.jsonl")]
    files = [path for *_, path in sorted((int(m[1]), int(m[2] or 0), path) for m, path in named if m)]
    found.files = len(files)
    for path in files:
        offset = 0
        with path.open("rb") as file:
            for text in file:
                if text.endswith(b"\n") or path != files[-1]:
                    yield Line(path, offset, _event(text))
                offset += len(text)


def _event(text: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(text)
    except ValueError:
        return None
    known = isinstance(event, dict) and type(event.get("id")) is int and "data" in event
    return event if known else None


def _against_events(lines: list[Line], oldest: int | None, found: MirrorVerified) -> None:
    """Each line against its event, where the database still has events so old."""
    kept = {line.event["id"]: line for line in lines if line.event and oldest and line.event["id"] >= oldest}
    rows = OutboxEvent.objects.in_bulk(list(kept), field_name="event_id")
    for number, line in kept.items():
        row = rows.get(number)
        assert line.event is not None
        if row is None:
            found.differ("extra", f"the database has no event {number}", line)
            continue
        theirs = {"topic": row.topic, "at": row.at.isoformat(), "data": row.data}
        changed = sorted(name for name, value in theirs.items() if line.event.get(name) != value)
        if changed:
            found.differ("altered", f"event {number}: {', '.join(changed)}", line)


def _against_fills(lines: list[Line], told: bytearray, fills_to: int, found: MirrorVerified) -> None:
    """Each line that tells of a fill against the fill: what was bought or sold, of what, at what price and fee."""
    of_fills = {
        data["id"]: line
        for line in lines
        if line.event and line.event.get("topic") == "fills" and isinstance(data := line.event["data"], dict)
    }
    rows = {row.pk: row for row in fill_queryset().filter(pk__in=of_fills)}
    for pk, line in of_fills.items():
        assert line.event is not None
        found.fills += 1
        row = rows.get(pk)
        if row is None:
            found.differ("extra", f"the database has no fill {pk}", line)
            continue
        if pk <= fills_to:
            told[pk // 8] |= 1 << pk % 8
        theirs = json.loads(json.dumps(fill_members(row), cls=DjangoJSONEncoder))
        changed = sorted(name for name, value in theirs.items() if line.event["data"].get(name) != value)
        if changed:
            found.differ("altered", f"fill {pk}: {', '.join(changed)}", line)


def _fills_untold(directory: Path, told: bytearray, fills_to: int, last: int, found: MirrorVerified) -> None:
    """Fills that were booked since the mirror begins and that no line tells of; those on their way are none."""
    first = next((line.event for line in _lines(directory, MirrorVerified()) if line.event), None)
    if first is None:
        return
    waiting = {
        data.get("id")
        for data in OutboxEvent.objects.filter(topic="fills")
        .exclude(event_id__lte=last)
        .values_list("data", flat=True)
    }
    booked = Fill.objects.filter(pk__lte=fills_to, recorded_at__gt=first["at"]).order_by("pk")
    for pk, trade_id in booked.values_list("pk", "trade_id").iterator(chunk_size=2_000):
        if not told[pk // 8] >> pk % 8 & 1 and pk not in waiting:
            found.differ("missing", f"no line tells of fill {pk}, trade {trade_id}")
