"""The newest link of the audit chain, signed, a line an hour in a file of its own: `signed.log`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from django.db import connection

from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditSeal
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.audit_signing import HEAD, Signer, is_signed_by

SIGNED = "audit.head_signed"
"""The action of an entry that says which line was signed: a line that is gone is missed through it."""


class SignedHead(NamedTuple):
    """One line. `entries` counts what is sealed up to there; `digest` is the sha256 of the line as it stands."""

    seal: int
    hash: str
    entries: int
    at: datetime
    public_key: str
    signature: str
    digest: str

    def text(self) -> str:
        """What is signed."""
        return _text(self.seal, self.hash, self.entries, self.at, self.public_key)

    def is_of(self, public_key: str | None) -> bool:
        """Whether it is what that key signed, byte for byte."""
        if public_key is None or self.public_key != public_key or self.digest != _digest(_line(self)):
            return False
        return is_signed_by(public_key, HEAD, self.text(), self.signature)


class SignedHeads:
    """The file of signed lines in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "signed.log"

    def sign(self, seal: AuditSeal, signer: Signer) -> SignedHead:
        """Append the line of a seal, force it to disk, and say so in the trail. Raises OSError.

        The file first: an entry without its line would look like a line that somebody removed.
        """
        at, entries = now(), self._entries_up_to(seal)
        public_key = signer.public_key
        signature = signer.sign(HEAD, _text(seal.pk, seal.hash, entries, at, public_key))
        head = SignedHead(seal.pk, seal.hash, entries, at, public_key, signature, "")
        line = _line(head)
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+") as file:
            torn = file.tell() > 0 and not _ends_whole(file)
            # A line torn by a crash stays behind as unreadable, this one is whole.
            file.write((b"\n" if torn else b"") + line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        head = head._replace(digest=_digest(line))
        audit_record(
            action=SIGNED,
            target=f"seal:{seal.pk}",
            actor="relay",
            after={"sha256": head.digest, "public_key": public_key},
        )
        return head

    def lines(self) -> Iterator[SignedHead]:
        """Every readable line, oldest first; nothing where there is no file. One that is not ended is not there yet."""
        try:
            with self.path.open("rb") as file:
                for line in file:
                    head = _read(line[:-1]) if line.endswith(b"\n") else None
                    if head is not None:
                        yield head
        except FileNotFoundError:
            return

    def _entries_up_to(self, seal: AuditSeal) -> int:
        """Entries sealed up to a seal: counted on from the newest line, where that still is of this chain."""
        last: SignedHead | None = None
        for head in self.lines():
            last = head
        if last is None or not AuditSeal.objects.filter(pk=last.seal, hash=last.hash).exists():
            return _entries_between(0, seal.pk)
        return last.entries + _entries_between(last.seal, seal.pk)


def _entries_between(after: int, upto: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(jsonb_array_length(entry_ids)), 0) FROM common_auditseal WHERE id > %s AND id <= %s",
            [after, upto],
        )
        return int(cursor.fetchone()[0])


def _text(seal: int, digest: str, entries: int, at: datetime, public_key: str) -> str:
    return "\n".join([str(seal), digest, str(entries), at.isoformat(timespec="microseconds"), public_key])


def _line(head: SignedHead) -> bytes:
    members: dict[str, Any] = {
        "seal": head.seal,
        "hash": head.hash,
        "entries": head.entries,
        "at": head.at.isoformat(timespec="microseconds"),
        "public_key": head.public_key,
        "signature": head.signature,
    }
    return json.dumps(members).encode()


def _read(line: bytes) -> SignedHead | None:
    try:
        told = json.loads(line)
        at = datetime.fromisoformat(told["at"])
        seal = int(told["seal"])
        if at.tzinfo is None or not 0 < seal < 2**63:
            return None
        return SignedHead(
            seal,
            str(told["hash"]),
            int(told["entries"]),
            at,
            str(told["public_key"]),
            str(told["signature"]),
            _digest(line),
        )
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _ends_whole(file: Any) -> bool:
    file.seek(-1, os.SEEK_END)
    return bool(file.read(1) == b"\n")
