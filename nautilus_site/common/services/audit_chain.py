"""Sealing the audit trail into a hash chain, and verifying that nobody rewrote it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import Conflict
from nautilus_site.common.models import AuditEntry, AuditSeal, UnsealedEntry
from nautilus_site.common.services.event_numbering import fence_check
from nautilus_site.common.services.leases import Held

GENESIS = "0" * 64
SEAL_BATCH = 5_000
LOSS = "audit.loss_accepted"
"""The action of an entry that says what two people accepted as lost."""
FRESH = timedelta(seconds=60)
"""A seal is noted outside the database right after it is committed; one so young may not be there yet."""


class Head(NamedTuple):
    """A link noted outside the database. `entries` counts those it seals; 0 where an older line does not say."""

    seal: int
    hash: str
    first_entry: int
    entries: int = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """What two people accepted as lost: links by (seal id, hash)."""

    lost: frozenset[tuple[int, str]] = frozenset()
    """Noted outside, and not in the chain."""
    unnoted: frozenset[tuple[int, str]] = frozenset()
    """In the chain, and not noted outside."""
    sentences: tuple[str, ...] = ()
    """What was accepted by whom and when, for people."""


NOTHING_ACCEPTED = Accepted()

_COLUMNS = (
    "id",
    "at",
    "actor_id",
    "actor_name",
    "action",
    "target",
    "reason",
    "before",
    "after",
    "request_id",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verification found. `rows` counts sealed entries; `unsealed` ones wait for the next batch;
    `lost` counts the seals that are known to be lost, `accepted` says who accepted that, and when.
    """

    ok: bool
    rows: int
    first_bad_id: int | None = None
    problem: str = ""
    unsealed: int = 0
    head: str = GENESIS
    lost: int = 0
    accepted: tuple[str, ...] = ()


def entry_hash(row: Mapping[str, Any]) -> str:
    """sha256 of an entry's canonical JSON: sorted keys, no spaces, UTC time with microseconds."""
    text = json.dumps(
        {**row, "at": row["at"].isoformat(timespec="microseconds")},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def seal_hash(previous: str, ids: Sequence[int], hashes: Sequence[str]) -> str:
    """The link: the previous link, then `id:hash` of each entry, one a line."""
    lines = [previous, *(f"{number}:{digest}" for number, digest in zip(ids, hashes, strict=True))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def audit_seal(held: Held) -> AuditSeal | None:
    """Seal a batch of what is committed and not sealed yet, lowest id first. None when there is nothing."""
    if not UnsealedEntry.objects.exists():
        return None
    with transaction.atomic():
        return _seal_batch(held)


def _seal_batch(held: Held) -> AuditSeal | None:
    fence_check(held)
    ids = list(UnsealedEntry.objects.order_by("entry_id").values_list("entry_id", flat=True)[:SEAL_BATCH])
    rows = list(AuditEntry.objects.filter(pk__in=ids).order_by("pk").values(*_COLUMNS))
    UnsealedEntry.objects.filter(entry_id__in=ids).delete()
    if not rows:
        return None
    previous = AuditSeal.objects.order_by("-pk").values_list("hash", flat=True).first() or GENESIS
    sealed, hashes = [row["id"] for row in rows], [entry_hash(row) for row in rows]
    return AuditSeal.objects.create(
        entry_ids=sealed,
        entry_hashes=hashes,
        previous_hash=previous,
        hash=seal_hash(previous, sealed, hashes),
        sealed_at=now(),
    )


def audit_verify(heads: Iterable[Head] | None = None, accepted: Accepted = NOTHING_ACCEPTED) -> Verdict:
    """Recompute the whole chain from the rows.

    `heads` are the links noted outside the database: they uncover a tail that was cut off, a chain rewritten from
    some point on, and a file of them that was replaced or cut short itself. Without them only the database is asked.
    What two people `accepted` as lost is counted, and nothing else is forgiven.
    """
    _, verdict = audit_verify_piece(Checked(), heads, accepted=accepted)
    assert verdict is not None, "nothing stopped it"
    return verdict


def audit_verify_alone(heads: Iterable[Head], accepted: Accepted) -> Verdict:
    """`audit_verify`, one at a time in the whole platform: it reads every entry there is.

    Errors: Conflict `VERIFYING` while another one runs.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", ["audit.verify"])
        if not cursor.fetchone()[0]:
            raise Conflict("VERIFYING", "the audit trail is being verified already: ask again in a while")
        try:
            return audit_verify(heads, accepted)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", ["audit.verify"])


@dataclass(frozen=True, slots=True)
class Checked:
    """How far a verification has got: the last seal that was found right, its hash, and the entries so far."""

    seal: int = 0
    hash: str = GENESIS
    rows: int = 0


def audit_verify_piece(
    checked: Checked,
    heads: Iterable[Head] | None = None,
    *,
    accepted: Accepted = NOTHING_ACCEPTED,
    within: Callable[[], bool] = lambda: True,
) -> tuple[Checked, Verdict | None]:
    """Go on verifying while `within()` says so: where it stands then, and the verdict once there is one.

    What is sealed never changes rightly, so a chain checked in pieces is checked as well as in one go; the end of
    it, with what waits to be sealed, is looked at in one snapshot.
    """
    noted: dict[int, Head] = {}
    with _snapshot():
        lost = 0
        for head in heads or ():
            if head[:2] in accepted.lost:
                lost += 1
            elif noted.setdefault(head.seal, head).hash != head.hash:
                # A database that came back without its newest rows gives their numbers away a second time.
                problem = f"seal {head.seal} is noted in the head file as two different ones"
                return checked, Verdict(False, checked.rows, head.first_entry, problem)
        outside = None if heads is None else noted
        checked, verdict = _verify_from(checked, outside, accepted, within)
        return checked, verdict and replace(verdict, lost=lost, accepted=accepted.sentences)


def _verify_from(
    checked: Checked, noted: dict[int, Head] | None, accepted: Accepted, within: Callable[[], bool]
) -> tuple[Checked, Verdict | None]:
    for seal in AuditSeal.objects.filter(pk__gt=checked.seal).order_by("pk").iterator(chunk_size=100):
        if not within():
            return checked, None
        found = _seal_wrong(seal, checked)
        if found is None and noted is not None:
            found = _unlike_noted(seal, checked, noted.get(seal.pk), accepted)
        if found is not None:
            return checked, found
        checked = Checked(seal.pk, seal.hash, checked.rows + len(seal.entry_ids))
    missing = _not_in_the_chain(noted or {})
    if missing is not None:
        problem = f"seal {missing.seal} is noted in the head file and missing"
        return checked, Verdict(False, checked.rows, missing.first_entry, problem)
    return checked, _verify_unsealed(checked.rows, checked.hash)


def _not_in_the_chain(noted: dict[int, Head]) -> Head | None:
    """The first link that is noted and has no row."""
    numbers = sorted(noted)
    for start in range(0, len(numbers), 10_000):
        part = numbers[start : start + 10_000]
        there = set(AuditSeal.objects.filter(pk__in=part).values_list("pk", flat=True))
        for number in part:
            if number not in there:
                return noted[number]
    return None


def _unlike_noted(
    seal: AuditSeal, checked: Checked, noted: Head | None, accepted: Accepted
) -> Verdict | None:
    """What is wrong between a link and its note outside, or None."""
    first = seal.entry_ids[0] if seal.entry_ids else None
    if noted is not None:
        if noted.hash == seal.hash:
            return None
        return Verdict(False, checked.rows, first, f"seal {seal.pk} is not the one noted in the head file")
    if (seal.pk, seal.hash) in accepted.unnoted or seal.sealed_at > now() - FRESH:
        return None
    return Verdict(False, checked.rows, first, f"seal {seal.pk} is not noted in the head file")


def _seal_wrong(seal: AuditSeal, checked: Checked) -> Verdict | None:
    """What is wrong with the next seal or its entries, or None."""
    rows, first = checked.rows, seal.entry_ids[0] if seal.entry_ids else None
    if seal.previous_hash != checked.hash:
        return Verdict(False, rows, first, f"seal {seal.pk} does not continue the one before it")
    if len(seal.entry_ids) != len(seal.entry_hashes) or seal.hash != seal_hash(
        checked.hash, seal.entry_ids, seal.entry_hashes
    ):
        return Verdict(False, rows, first, f"seal {seal.pk} was changed")
    stored = {row["id"]: row for row in AuditEntry.objects.filter(pk__in=seal.entry_ids).values(*_COLUMNS)}
    for number, expected in zip(seal.entry_ids, seal.entry_hashes, strict=True):
        row = stored.get(number)
        if row is None:
            return Verdict(False, rows, number, f"entry {number} was removed")
        if entry_hash(row) != expected:
            return Verdict(False, rows, number, f"entry {number} was changed")
        rows += 1
    return None


def _verify_unsealed(rows: int, head: str) -> Verdict:
    waiting = UnsealedEntry.objects.filter(entry_id__in=AuditEntry.objects.values("pk")).count()
    if AuditEntry.objects.count() != rows + waiting:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT min(id) FROM common_auditentry
                 WHERE id NOT IN (SELECT jsonb_array_elements(entry_ids)::bigint FROM common_auditseal)
                   AND id NOT IN (SELECT entry_id FROM common_unsealedentry)
                """
            )
            stray = cursor.fetchone()[0]
        return Verdict(False, rows, stray, f"entry {stray} was put in past the audit trail")
    return Verdict(True, rows, unsealed=waiting, head=head)


def _snapshot() -> AbstractContextManager[None]:
    """One consistent view, so that sealing meanwhile does not look like tampering."""

    @contextmanager
    def repeatable_read() -> Any:
        outermost = not connection.in_atomic_block
        with transaction.atomic():
            if outermost:
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield

    return repeatable_read()


TAIL_ENTRIES = 500
"""About so many entries are hashed to see whether the newest part still holds: a scrape and every page ask for it."""


def audit_verify_tail(seals: int = 20) -> bool:
    """Whether the newest seals link up and match their entries; at least the newest one, whatever it holds.

    A seal of a busy second holds thousands: the look ends with the one that passes `TAIL_ENTRIES`, so that its cost
    grows with neither the trail nor the traffic. The newest seal's own entries are looked at up to that number, too.
    """
    newest = AuditSeal.objects.order_by("-pk")[: seals + 1].iterator(chunk_size=seals + 1)
    seal: AuditSeal | None = next(newest, None)
    looked = 0
    for _ in range(seals):
        if seal is None or looked >= TAIL_ENTRIES:
            return True
        before = next(newest, None)
        if not _tail_right(seal, before.hash if before is not None else GENESIS):
            return False
        looked += len(seal.entry_ids)
        seal = before
    return True


def _tail_right(seal: AuditSeal, before: str) -> bool:
    if seal.previous_hash != before:
        return False
    if seal.hash != seal_hash(before, seal.entry_ids, seal.entry_hashes):
        return False
    wanted = dict(zip(seal.entry_ids[-TAIL_ENTRIES:], seal.entry_hashes[-TAIL_ENTRIES:], strict=True))
    stored = AuditEntry.objects.filter(pk__in=list(wanted)).values(*_COLUMNS)
    return {row["id"]: entry_hash(row) for row in stored} == wanted
