"""The newest link of the audit chain, noted outside the database: a tail cut off the chain is then missed."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from nautilus_site.common.models import AuditEntry, AuditSeal
from nautilus_site.common.services.audit_chain import LOSS
from nautilus_site.common.services.audit_digests import GENESIS
from nautilus_site.common.services.audit_proof import Head

MAXIMUM_FILE_BYTES = 32 * 1024 * 1024


class AuditHead:
    """Appends one line per seal to `head.log`; a full file is put aside as `head-SEAL.log`."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "head.log"

    def note(self, seal: AuditSeal) -> None:
        """Append a seal, and what its entries say was accepted as lost; force it to disk. Raises OSError."""
        lines = [
            {
                "seal": seal.pk,
                "hash": seal.hash,
                "first_entry": seal.entry_ids[0],
                "entries": len(seal.entry_ids),
                "sealed_at": seal.sealed_at.isoformat(),
            },
            *acceptances_among(seal.entry_ids),
        ]
        if self.path.exists() and self.path.stat().st_size >= MAXIMUM_FILE_BYTES:
            self._put_aside(seal.pk - 1)
        self._append(lines)

    def begin(self) -> None:
        """Note that there is no seal yet, so that a first one left out can be made up for. Raises OSError.

        To be called while there is none: a file that somebody removed later does not begin again.
        """
        if not any(self.path.parent.glob("head*.log")):
            self._append([{"seal": 0, "hash": GENESIS, "first_entry": 0, "entries": 0}])

    def _put_aside(self, number: int) -> None:
        """Under a higher number than every file before it, also where a restore gave numbers away again."""
        highest = max((_age(path)[1] for path in self.path.parent.glob("head-*.log")), default=0)
        self.path.rename(self.path.with_name(f"head-{max(number, highest + 1)}.log"))

    def _append(self, lines: list[dict[str, Any]]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            if file.tell() and not _ends_with_newline(self.path):
                file.write("\n")  # a line torn by a crash stays behind as unreadable, this one is whole
            file.writelines(json.dumps(line) + "\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())

    def catch_up(self, newest: AuditSeal | None) -> int:
        """Note `newest`, and the seals between the last note and it: a crash in between, a disk that was full.

        Returns how many were left out before. A chain without any note is not written down anew: whoever removed the
        file would have it back, and a verification must say so until two people accept that. Raises OSError.
        """
        last, late = self._last_noted(), 0
        if last is not None:
            for seal in AuditSeal.objects.filter(pk__gt=last).order_by("pk").iterator(chunk_size=100):
                if newest is None or seal.pk != newest.pk:
                    self.note(seal)
                    late += 1
        if newest is not None:
            self.note(newest)
        return late

    def noted(self, place: int = 0) -> Iterator[Head]:
        """Every readable note from a place on, counted in bytes over all files; nothing when there is no file."""
        begins = 0
        for path in sorted(self.path.parent.glob("head*.log"), key=_age):
            try:
                with path.open("rb") as file:
                    size = os.fstat(file.fileno()).st_size
                    if begins + size > place:
                        yield from _notes_in(file, begins, max(0, place - begins))
            except FileNotFoundError:  # it was put aside just now: a later look finds it under its other name
                return
            begins += size

    def _last_noted(self) -> int | None:
        """The number of the newest note, read from the end of the newest file."""
        for path in sorted(self.path.parent.glob("head*.log"), key=_age, reverse=True):
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - 65_536))
                for line in reversed(file.read().splitlines()):
                    with contextlib.suppress(ValueError, KeyError, TypeError):
                        return int(json.loads(line)["seal"])
        return None


def acceptances_among(entry_ids: list[int]) -> list[dict[str, Any]]:
    """What of these entries says that two people accepted a loss, as the head file keeps it."""
    rows = AuditEntry.objects.filter(pk__in=entry_ids, action=LOSS).order_by("pk")
    return [
        {
            "accepted": row.pk,
            **{name: row.after[name] for name in _ACCEPTED},
        }
        for row in rows
        if isinstance(row.after, dict) and row.after.keys() >= _ACCEPTED
    ]


_ACCEPTED = {"rows", "seals_digest", "by", "accepted_at"}


def _notes_in(file: BinaryIO, begins: int, place: int) -> Iterator[Head]:
    """The notes of one file from a place in it on; a line without its end is not there yet."""
    file.seek(place)
    end = begins + place
    for line in file:
        if not line.endswith(b"\n"):
            return
        end += len(line)
        try:
            note = json.loads(line)
            head = Head(
                int(note["seal"]),
                str(note["hash"]),
                int(note["first_entry"]),
                int(note.get("entries", 0)),
                end,
            )
        except (ValueError, KeyError, TypeError):
            continue
        if head.seal > 0:
            yield head


def _age(path: Path) -> tuple[bool, int]:
    """Oldest file first: `head-SEAL.log` by the number, `head.log` last."""
    number = path.stem.rpartition("-")[2]
    return (path.name == "head.log", int(number) if number.isdecimal() else 0)


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
