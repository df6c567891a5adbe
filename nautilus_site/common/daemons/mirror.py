"""The events once more as JSON lines on disk, for people with grep and for what outlives the database."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import IO

from nautilus_site.common.clock import now
from nautilus_site.common.services.event_numbering import NumberedEvent

SCHEMA_VERSION = 1
MAXIMUM_FILE_BYTES = 64 * 1024 * 1024
_NAME = re.compile(r"events-(\d{8})(?:\.(\d+))?\.jsonl")


class EventMirror:
    """Appends events to `events-YYYYMMDD.jsonl` (then `.1`, `.2` past 64 MiB), each id once.

    Where to go on is read from the last complete line on disk, so a crash between a write and anything else
    neither loses nor repeats a line; a line torn by the crash is cut off first.
    """

    def __init__(self, directory: Path, *, maximum_file_bytes: int = MAXIMUM_FILE_BYTES) -> None:
        self.directory = directory
        self.maximum_file_bytes = maximum_file_bytes
        self.last_id = 0
        self._file: IO[bytes] | None = None
        self._place = (0, 0)

    def open(self) -> None:
        """Find the last mirrored id. Raises OSError when the directory cannot be used."""
        self.close()
        self.directory.mkdir(parents=True, exist_ok=True)
        files = sorted((place, path) for path in self.directory.iterdir() if (place := _place(path)))
        self.last_id, self._place = 0, (0, 0)
        for place, path in reversed(files):
            self._place = max(self._place, place)
            last = _repair(path)
            if last is not None:
                self.last_id = last
                break

    def append(self, events: Iterable[NumberedEvent]) -> None:
        """Write events that are newer than `last_id`; the caller hands them over in order, without gaps.

        Raises OSError; `last_id` then still says what is surely on disk, and `open` repairs the rest.
        """
        lines = [
            (number, _line(number, topic, at.isoformat(), data))
            for number, topic, at, data in events
            if number > self.last_id
        ]
        if not lines:
            return
        target = self._current()
        target.write(b"".join(line for _, line in lines))
        target.flush()
        self.last_id = lines[-1][0]

    def sync(self) -> None:
        """Force what was written to the disk."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _current(self) -> IO[bytes]:
        today = _day(now().date())
        if self._file is not None and self._place[0] >= today and self._file.tell() < self.maximum_file_bytes:
            return self._file
        self.close()
        # Never back to an earlier day's file, whatever the clock does: file order is id order.
        day, number = self._place if self._place[0] >= today else (today, 0)
        while (
            self._path(day, number).exists()
            and self._path(day, number).stat().st_size >= self.maximum_file_bytes
        ):
            number += 1
        self._place = (day, number)
        self._file = self._path(day, number).open("ab")
        return self._file

    def _path(self, day: int, number: int) -> Path:
        suffix = f".{number}" if number else ""
        return self.directory / f"events-{day}{suffix}.jsonl"


def _line(number: int, topic: str, at: str, data: object) -> bytes:
    event = {"schema_version": SCHEMA_VERSION, "id": number, "topic": topic, "at": at, "data": data}
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False, default=str).encode() + b"\n"


def _repair(path: Path) -> int | None:
    """Cut off a torn last line; the id of the last complete one, None in a file without any."""
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        end, start, tail = size, size, b""
        while start > 0 and tail.count(b"\n", 0, len(tail) - 1 if tail.endswith(b"\n") else len(tail)) < 1:
            start = max(0, start - 65536)
            file.seek(start)
            tail = file.read(end - start)
        complete = tail.rfind(b"\n")
        if start + complete + 1 < size:
            file.truncate(start + complete + 1)
        if complete < 0:
            return None
        body = tail[:complete]
        return int(json.loads(body[body.rfind(b"\n") + 1 :])["id"])


def _place(path: Path) -> tuple[int, int] | None:
    match = _NAME.fullmatch(path.name)
    return (int(match[1]), int(match[2] or 0)) if match else None


def _day(day: date) -> int:
    return int(day.strftime("%Y%m%d"))
