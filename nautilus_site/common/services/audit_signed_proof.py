"""Holding the signed head lines against the chain, and against what the trail says was signed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, AuditSeal
from nautilus_site.common.services.audit_proof import FRESH, Accepted, Broken, Checked
from nautilus_site.common.services.audit_signed_heads import SIGNED, SignedHead, SignedHeads
from nautilus_site.common.services.audit_signing import public_key

SIGN_EVERY = timedelta(hours=1)
LATE = timedelta(minutes=5)
"""A line is made with the first seal after its hour, and tried again each minute where it could not be written."""
LINES_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Fault:
    """A signed line that does not hold, by its seal and its digest; the entry to look at first, if one is known."""

    seal: int
    hash: str
    digest: str
    entry: int | None
    problem: str


class SignedProof:
    """What a folder's signed lines say for the chain. Called by a verification; raises Broken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.heads = SignedHeads(folder)

    def __call__(self, checked: Checked, accepted: Accepted) -> None:
        asof = now()
        for fault in self.faults(accepted):
            raise Broken(checked.rows, fault.entry, fault.problem)
        self._is_up_to_date(checked, asof)

    def faults(self, accepted: Accepted) -> Iterator[Fault]:
        """Each line that is forged, changed, of no link of this chain, or gone, and that nobody has accepted.

        What the trail says was signed is read first: its line was written before it.
        """
        told = _told_by_trail()
        known: set[str] = set()
        key = public_key(self.folder)
        reading = self.heads.lines()
        while part := list(islice(reading, LINES_AT_ONCE)):
            there = dict(
                AuditSeal.objects.filter(pk__in=[head.seal for head in part]).values_list("pk", "hash")
            )
            for head in part:
                known.add(head.digest)
                if (head.seal, head.digest) in accepted.unsigned:
                    continue
                problem = _problem(head, key, there, accepted)
                if problem is not None:
                    entry = told[head.digest][0] if head.digest in told else None
                    yield Fault(head.seal, head.hash, head.digest, entry, problem)
        for digest, (entry, seal) in told.items():
            if digest not in known and (seal, digest) not in accepted.unsigned:
                problem = f"the signed line of seal {seal} is gone from signed.log, or was changed"
                yield Fault(seal, "", digest, entry, problem)

    def _is_up_to_date(self, checked: Checked, asof: datetime) -> None:
        """Something was signed an hour before the newest seal. Raises Broken. It begins with the first line."""
        last: SignedHead | None = None
        for head in self.heads.lines():
            last = head
        newest = (
            AuditSeal.objects.filter(sealed_at__lt=asof - FRESH)
            .order_by("-pk")
            .only("pk", "sealed_at")
            .first()
        )
        if last is None or newest is None or newest.sealed_at <= last.at + SIGN_EVERY + LATE:
            return
        problem = f"nothing was signed since {last.at:%Y-%m-%d %H:%M:%S} UTC; the newest seal is {newest.pk}"
        raise Broken(checked.rows, None, problem)


def _problem(head: SignedHead, key: str | None, there: dict[int, str], accepted: Accepted) -> str | None:
    if not head.is_of(key):
        whose = "and signing.pub is not there" if key is None else "by the key of this installation"
        return f"the line of seal {head.seal} in signed.log is not signed {whose}"
    if there.get(head.seal) == head.hash or (head.seal, head.hash) in accepted.lost:
        return None
    return f"seal {head.seal} as it was signed is not in the chain"


def _told_by_trail() -> dict[str, tuple[int, int]]:
    """The digest of each line that was signed: the entry that says so, and the seal."""
    told: dict[str, tuple[int, int]] = {}
    rows: Any = AuditEntry.objects.filter(action=SIGNED).order_by("pk").values_list("pk", "target", "after")
    for number, target, after in rows.iterator(chunk_size=2_000):
        seal = target.rpartition(":")[2]
        if isinstance(after, dict) and seal.isdecimal():
            told[str(after.get("sha256"))] = (number, int(seal))
    return told
