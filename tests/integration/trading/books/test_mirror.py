"""The mirror of the events against the database: each missing, altered and extra line is found and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.core.management import CommandError, call_command

from nautilus_site.common.daemons.mirror import EventMirror
from nautilus_site.common.models import OutboxEvent
from nautilus_site.common.services.event_numbering import events_number
from nautilus_site.common.services.leases import lease_acquire
from trading.models import Fill
from trading.services.books.mirror import mirror_verify

if TYPE_CHECKING:
    from tests.factories.futures import Futures

Lines = list[bytes]


@pytest.fixture
def mirrored(futures: Futures, tmp_path: Path) -> Path:
    """Six fills, told and mirrored by the relay's own parts, over several files."""
    held = lease_acquire(name="relay", holder="test", life=timedelta(minutes=5))
    assert held is not None
    mirror = EventMirror(tmp_path, maximum_file_bytes=3_000)
    mirror.open()
    for number in range(1, 7):
        futures.fill("BUY", "0.001", "60000", trade_id=number)
        mirror.append(events_number(held))
    mirror.close()
    assert len(list(tmp_path.iterdir())) > 1
    return tmp_path


def place_of(folder: Path, number: int) -> tuple[Path, int, Lines]:
    """The file, the line's place in it, and the file's lines, of the event that tells of the n-th fill."""
    for path in sorted(folder.iterdir()):
        lines = path.read_bytes().splitlines(keepends=True)
        for at, line in enumerate(lines):
            event = json.loads(line)
            if event["topic"] == "fills" and event["data"]["venue_trade_id"] == number:
                return path, at, lines
    raise AssertionError(number)


def test_what_was_mirrored_is_equal_and_what_is_on_its_way_is_no_difference(
    mirrored: Path, futures: Futures
) -> None:
    found = mirror_verify(mirrored)
    assert (found.count, found.fills, found.lines) == (0, 6, OutboxEvent.objects.count())
    futures.fill("BUY", "0.001", "60000", trade_id=7)
    held = lease_acquire(name="another", holder="test")
    assert held is not None
    events_number(held)
    found = mirror_verify(mirrored)
    assert (found.count, found.behind > 0) == (0, True)


def altered(lines: Lines, at: int) -> Lines:
    return [*lines[:at], lines[at].replace(b'"price":"60000"', b'"price":"60001"'), *lines[at + 1 :]]


def removed(lines: Lines, at: int) -> Lines:
    return [*lines[:at], *lines[at + 1 :]]


def repeated(lines: Lines, at: int) -> Lines:
    return [*lines[: at + 1], lines[at], *lines[at + 1 :]]


def scribbled(lines: Lines, at: int) -> Lines:
    return [*lines[:at], b"{half a li" + lines[at][-1:], *lines[at + 1 :]]


@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.parametrize(
    ("spoil", "what", "after"),
    [(altered, "altered", 0), (removed, "missing", 0), (repeated, "extra", 1), (scribbled, "unreadable", 0)],
)
def test_a_spoiled_line_is_named_with_its_file_and_offset(
    mirrored: Path, spoil: Callable[[Lines, int], Lines], what: str, after: int, pruned: bool
) -> None:
    """Also when the database has long forgotten the event: the fill it tells of is kept."""
    if pruned:
        newest = OutboxEvent.objects.latest("event_id").pk
        OutboxEvent.objects.exclude(pk=newest).delete()
    path, at, lines = place_of(mirrored, 3)
    spoiled = spoil(lines, at)
    path.write_bytes(b"".join(spoiled))
    told = StringIO()
    with pytest.raises(CommandError):
        call_command("books", "verify", "--mirror", str(mirrored), "--json", stdout=told)
    members = json.loads(told.getvalue().splitlines()[-1])
    first = next(d for d in members["differences"] if d["what"] == what and "file" in d)
    if what == "missing":  # seen where the next line is, maybe in the next file
        assert first["detail"].startswith("event ")
    else:
        assert (first["file"], first["offset"]) == (path.name, sum(map(len, lines[: at + after])))
    fill = Fill.objects.get(trade_id=3)
    if what in ("missing", "unreadable"):
        assert f"no line tells of fill {fill.pk}, trade 3" in [d["detail"] for d in members["differences"]]


def test_a_line_of_a_fill_that_was_never_booked_is_extra(mirrored: Path) -> None:
    path, at, lines = place_of(mirrored, 6)
    event = json.loads(lines[at])
    event["data"]["id"] += 1_000
    path.write_bytes(b"".join([*lines[:at], json.dumps(event).encode() + b"\n", *lines[at + 1 :]]))
    details = [d["detail"] for d in mirror_verify(mirrored).differences]
    assert f"the database has no fill {event['data']['id']}" in details
