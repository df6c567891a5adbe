"""The append-only record on disk: one JSON object a line, replayed after a restart."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

JOURNAL_NAME = "journal.jsonl"
SNAPSHOT_NAME = "snapshot.json"
LOCK_NAME = "lock"


class DataDirectoryInUse(RuntimeError):
    """Another exchange already writes to this directory."""


class Journal:
    """Buffers records and hands them to the operating system in order.

    `flush` is one `write`, after which the records survive the death of the process; `sync` is an fsync,
    after which they survive the machine. Without a directory nothing is kept.
    """

    def __init__(self, folder: Path | None, number: int = 0) -> None:
        self.number = number
        self.folder = folder
        self._buffer: list[str] = []
        self._file: int | None = None
        self._dirty = False
        self._lock: int | None = None

    def lock(self) -> None:
        """Take the directory for this process.

        Raises
        ------
        DataDirectoryInUse : another process holds it.
        """
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = None
            raise DataDirectoryInUse(f"another paper exchange already uses {self.folder}") from None

    def open(self) -> None:
        """Start appending after the records already there; until then records are only counted."""
        if self.folder is None:
            return
        self._file = os.open(self.folder / JOURNAL_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def append(self, record: dict[str, Any]) -> None:
        """Add a record; it is not yet written."""
        self.number += 1
        if self._file is not None:
            record["n"] = self.number
            self._buffer.append(json.dumps(record, separators=(",", ":")))

    def flush(self) -> None:
        """Hand everything buffered to the operating system."""
        if self._file is None or not self._buffer:
            return
        data = ("\n".join(self._buffer) + "\n").encode()
        self._buffer.clear()
        while data:
            data = data[os.write(self._file, data) :]
        self._dirty = True

    def take_sync(self) -> int | None:
        """The file to fsync, or None when nothing was written since the last time."""
        if not self._dirty:
            return None
        self._dirty = False
        return self._file

    def size(self) -> int:
        """Bytes in the journal file."""
        return os.fstat(self._file).st_size if self._file is not None else 0

    def replace(self, snapshot: dict[str, Any]) -> None:
        """Write a snapshot of everything so far and start an empty journal after it.

        Safe to interrupt: lines the snapshot already holds are skipped by their number when read again.
        """
        if self.folder is None or self._file is None:
            return
        self.flush()
        snapshot["n"] = self.number
        temporary = self.folder / (SNAPSHOT_NAME + ".new")
        # It holds the keys' secrets: nobody else may read it.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            json.dump(snapshot, out, separators=(",", ":"))
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(self.folder / SNAPSHOT_NAME)
        os.ftruncate(self._file, 0)

    def close(self) -> None:
        """Flush, fsync and release the directory."""
        self.flush()
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def read_snapshot(folder: Path) -> dict[str, Any] | None:
    """The last snapshot, None when there is none."""
    path = folder / SNAPSHOT_NAME
    if not path.exists():
        return None
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def read_records(folder: Path, after: int) -> Iterator[dict[str, Any]]:
    """Journal records numbered above `after`; a torn last line is cut off the file.

    Raises
    ------
    ValueError : a damaged line that is not the last one.
    """
    path = folder / JOURNAL_NAME
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole != len(data):
        with path.open("r+b") as damaged:
            damaged.truncate(whole)
    for number, line in enumerate(data[:whole].splitlines(), start=1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: damaged record") from error
        if record["n"] > after:
            yield record


def sync_file(descriptor: int) -> None:
    """fsync, tolerating a file closed meanwhile (its close has synced it)."""
    with contextlib.suppress(OSError):
        os.fsync(descriptor)
