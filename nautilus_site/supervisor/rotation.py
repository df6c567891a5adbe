"""A log file that stays small: a full one becomes .1, that one .2, and so on."""

from __future__ import annotations

from pathlib import Path
from typing import IO

LARGEST_BYTES = 10 * 1024 * 1024
KEPT = 5


class RotatingLog:
    """Appends lines to `path`, keeping `kept` older files of `largest_bytes` each."""

    def __init__(self, path: Path, *, largest_bytes: int = LARGEST_BYTES, kept: int = KEPT) -> None:
        self.path = path
        self._largest = largest_bytes
        self._kept = kept
        self._file: IO[bytes] | None = None
        self._size = 0

    def write(self, line: str) -> None:
        """Append one line.

        Raises
        ------
        OSError : the disk is full or the directory gone.
        """
        data = line.encode("utf-8", errors="replace") + b"\n"
        if self._file is not None and self._size + len(data) > self._largest:
            self.close()
            self._shift()
        if self._file is None:
            # Unbuffered, so that a killed supervisor loses no line.
            self._file = self.path.open("ab", buffering=0)
            self._size = self._file.tell()
        self._file.write(data)
        self._size += len(data)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _shift(self) -> None:
        for number in range(self._kept, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            newer = self.path if number == 1 else self.path.with_name(f"{self.path.name}.{number - 1}")
            if newer.exists():
                newer.replace(older)
