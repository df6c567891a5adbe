"""The newest link of the audit chain, noted outside the database: a tail cut off the chain is then missed."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nautilus_site.common.models import AuditEntry, AuditSeal
from nautilus_site.common.services.audit_chain import LOSS, Head

MAXIMUM_FILE_BYTES = 32 * 1024 * 1024


class AuditHead:
    """Appends one line per seal to `head.log`; a full file is put aside as `head-SEAL.log`."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "head.log"

    def note(self, seal: AuditSeal) -> None:
        """Append a seal, and what its entries say was accepted as lost; force it to disk. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and self.path.stat().st_size >= MAXIMUM_FILE_BYTES:
            self.path.rename(self.path.with_name(f"head-{seal.pk - 1}.log"))
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

    def noted(self) -> Iterator[Head]:
        """Every readable line; nothing when there is no file."""
        for path in sorted(self.path.parent.glob("head*.log"), key=_age):
            with path.open(encoding="utf-8", errors="replace") as file:
                for line in file:
                    try:
                        note = json.loads(line)
                        yield Head(
                            int(note["seal"]),
                            str(note["hash"]),
                            int(note["first_entry"]),
                            int(note.get("entries", 0)),
                        )
                    except (ValueError, KeyError, TypeError):
                        continue

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
            **{name: row.after[name] for name in ("rows", "seals_digest", "by", "accepted_at")},
        }
        for row in rows
        if isinstance(row.after, dict)
    ]


def _age(path: Path) -> tuple[bool, int]:
    """Oldest file first: `head-SEAL.log` by the number, `head.log` last."""
    number = path.stem.rpartition("-")[2]
    return (path.name == "head.log", int(number) if number.isdecimal() else 0)


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
