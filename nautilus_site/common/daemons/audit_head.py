"""The newest link of the audit chain, noted outside the database: a tail cut off the chain is then missed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from nautilus_site.common.models import AuditSeal

MAXIMUM_FILE_BYTES = 32 * 1024 * 1024


class AuditHead:
    """Appends one line per seal to `head.log`; a full file is put aside as `head-SEAL.log`."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "head.log"

    def note(self, seal: AuditSeal) -> None:
        """Append and force to disk. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and self.path.stat().st_size >= MAXIMUM_FILE_BYTES:
            self.path.rename(self.path.with_name(f"head-{seal.pk - 1}.log"))
        line = json.dumps(
            {
                "seal": seal.pk,
                "hash": seal.hash,
                "first_entry": seal.entry_ids[0],
                "sealed_at": seal.sealed_at.isoformat(),
            }
        )
        with self.path.open("a", encoding="utf-8") as file:
            if file.tell() and not _ends_with_newline(self.path):
                file.write("\n")  # a line torn by a crash stays behind as unreadable, this one is whole
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())

    def noted(self) -> Iterator[tuple[int, str, int]]:
        """(seal id, hash, first entry id) of every readable line; nothing when there is no file."""
        for path in sorted(self.path.parent.glob("head*.log")):
            with path.open(encoding="utf-8", errors="replace") as file:
                for line in file:
                    try:
                        note = json.loads(line)
                        yield int(note["seal"]), str(note["hash"]), int(note["first_entry"])
                    except (ValueError, KeyError, TypeError):
                        continue


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
