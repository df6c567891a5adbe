"""Verifying that nobody rewrote the audit trail: its chain, the notes outside the database, what waits to be sealed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

from django.db import connection, transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import Conflict
from nautilus_site.common.models import AuditEntry, AuditSeal, UnsealedEntry
from nautilus_site.common.services.audit_chain import removed_before_sealing
from nautilus_site.common.services.audit_digests import GENESIS, entry_digests, seal_digest
from nautilus_site.common.services.audit_signing import SigningKeyUnusable

FRESH = timedelta(seconds=60)
"""A seal is noted outside the database right after it is committed; one so young may not be there yet."""
SEALS_AT_ONCE, ENTRIES_AT_ONCE = 100, 20_000
NOTES_AT_ONCE = 5_000


class Head(NamedTuple):
    """A link noted outside the database. `entries` counts those it seals; 0 where an older line does not say.

    `end` is where in the notes it ends: reading on from there gives the next one.
    """

    seal: int
    hash: str
    first_entry: int
    entries: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """What two people accepted as lost: links by (seal id, hash)."""

    lost: frozenset[tuple[int, str]] = frozenset()
    """Noted outside, and not in the chain."""
    unnoted: frozenset[tuple[int, str]] = frozenset()
    """In the chain, and not noted outside."""
    unsigned: frozenset[tuple[int, str]] = frozenset()
    """Signed lines that are gone, or of a key that is: (seal id, digest of the line)."""
    sentences: tuple[str, ...] = ()
    """What was accepted by whom and when, for people."""


NOTHING_ACCEPTED = Accepted()


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


class Numbers:
    """A set of seal numbers, a bit each: a year of notes is 4 MB."""

    def __init__(self, bits: bytes = b"") -> None:
        self.bits = bytearray(bits)

    def add(self, number: int) -> None:
        place, bit = divmod(number, 8)
        if place >= len(self.bits):
            self.bits.extend(bytes(max(place + 1 - len(self.bits), 4096)))
        self.bits[place] |= 1 << bit

    def __contains__(self, number: int) -> bool:
        place, bit = divmod(number, 8)
        return place < len(self.bits) and bool(self.bits[place] >> bit & 1)

    def __len__(self) -> int:
        return int.from_bytes(self.bits, "little").bit_count()


@dataclass(frozen=True, slots=True)
class Checked:
    """How far a verification has got: the last seal that was found right, its hash and form, the entries so far;
    where in the notes, which seals they vouch for, and how many of them are known to be lost.
    """

    seal: int = 0
    hash: str = GENESIS
    rows: int = 0
    form: int = 0
    notes_end: int = 0
    noted: Numbers = field(default_factory=Numbers, compare=False)
    lost: int = 0


class Broken(Exception):
    """What does not hold, and the entry to look at first."""

    def __init__(self, rows: int, entry: int | None, problem: str) -> None:
        super().__init__(problem)
        self.rows, self.entry, self.problem = rows, entry, problem


Notes = Callable[[int], Iterable[Head]]
"""The notes outside the database from a place on; 0 is the beginning."""
Within = Callable[[], bool]
Signed = Callable[[Checked, Accepted], None]
"""Holds what was signed outside the database against the chain. Raises Broken."""


def audit_verify(heads: Iterable[Head] | None = None, accepted: Accepted = NOTHING_ACCEPTED) -> Verdict:
    """Recompute the whole chain from the rows.

    `heads` are the links noted outside the database: they uncover a tail that was cut off, a chain rewritten from
    some point on, and a file of them that was replaced or cut short itself. Without them only the database is asked.
    What two people `accepted` as lost is counted, and nothing else is forgiven.
    """
    reader = None if heads is None else _once(heads)
    _, verdict = audit_verify_piece(Checked(), reader, accepted=accepted)
    assert verdict is not None, "nothing stopped it"
    return verdict


def _once(heads: Iterable[Head]) -> Notes:
    reading = iter(heads)
    return lambda place: reading


def audit_verify_alone(notes: Notes, accepted: Accepted, signed: Signed) -> Verdict:
    """Verify all of it, one at a time in the whole platform: it reads every entry there is.

    Errors: Conflict `VERIFYING` while another one runs.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", ["audit.verify"])
        if not cursor.fetchone()[0]:
            raise Conflict("VERIFYING", "the audit trail is being verified already: ask again in a while")
        try:
            _, verdict = audit_verify_piece(Checked(), notes, accepted=accepted, signed=signed)
            assert verdict is not None, "nothing stopped it"
            return verdict
        finally:
            cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", ["audit.verify"])


def audit_verify_piece(
    checked: Checked,
    notes: Notes | None = None,
    *,
    accepted: Accepted = NOTHING_ACCEPTED,
    signed: Signed | None = None,
    within: Within = lambda: True,
) -> tuple[Checked, Verdict | None]:
    """Go on verifying while `within()` says so: where it stands then, and the verdict once there is one.

    What is sealed never changes rightly, so a chain checked in pieces is checked as well as in one go; the end of
    it, with what waits to be sealed, is looked at in one snapshot. Files that cannot be read are a verdict, too.
    """
    verdict: Verdict | None = None
    try:
        for reached, found in _steps(checked, notes, accepted, signed, within):
            checked, verdict = reached, found
    except Broken as broken:
        verdict = Verdict(False, broken.rows, broken.entry, broken.problem)
    except (OSError, SigningKeyUnusable) as error:
        # What cannot be read vouches for nothing; a verification that only failed would tell nobody.
        problem = f"what vouches for the trail outside the database cannot be read: {error}"
        verdict = Verdict(False, checked.rows, None, problem)
    return checked, verdict and replace(verdict, lost=checked.lost, accepted=accepted.sentences)


def _steps(
    start: Checked, notes: Notes | None, accepted: Accepted, signed: Signed | None, within: Within
) -> Iterator[tuple[Checked, Verdict | None]]:
    """Each state that was reached, the last with the verdict unless the time was over; always one step further."""
    checked = start

    def goes_on() -> bool:
        return checked is start or within()

    for reached in _chain(checked, goes_on):
        checked = reached
        yield checked, None
    if not goes_on():
        return
    # A seal is committed before it is noted: every note that is there by now must be of a seal a later look finds.
    asof = now()
    if notes is not None:
        for reached in _notes(checked, notes, accepted, goes_on):
            checked = reached
            yield checked, None
        if not goes_on():
            return
    if signed is not None:
        signed(checked, accepted)
    with _snapshot():
        for reached in _chain(checked, lambda: True):
            checked = reached
            yield checked, None
        if notes is not None:
            _all_noted(checked, accepted, asof)
        yield checked, _verify_unsealed(checked)


def _chain(checked: Checked, within: Within) -> Iterator[Checked]:
    """From seal to seal, as long as there is time."""
    while within():
        seals = list(AuditSeal.objects.filter(pk__gt=checked.seal).order_by("pk")[:SEALS_AT_ONCE])
        if not seals:
            return
        for part in _by_entries(seals):
            digests = _digests(part)
            for seal in part:
                if seal is not part[0] and not within():
                    return
                checked = _seal_right(seal, checked, digests)
                yield checked


def _by_entries(seals: Sequence[AuditSeal]) -> Iterator[list[AuditSeal]]:
    """Parts whose entries are looked up at once: of one form, and not too many."""
    part: list[AuditSeal] = []
    count = 0
    for seal in seals:
        if part and (count + len(seal.entry_ids) > ENTRIES_AT_ONCE or seal.form != part[0].form):
            yield part
            part, count = [], 0
        part.append(seal)
        count += len(seal.entry_ids)
    if part:
        yield part


def _digests(seals: Sequence[AuditSeal]) -> dict[int, str]:
    ids = [number for seal in seals for number in seal.entry_ids]
    return entry_digests(AuditEntry.objects.filter(pk__in=ids), seals[0].form)


def _seal_right(seal: AuditSeal, checked: Checked, digests: dict[int, str]) -> Checked:
    """The next state, when a seal continues the chain and its entries are as they were. Raises Broken."""
    rows, first = checked.rows, seal.entry_ids[0] if seal.entry_ids else None
    if seal.previous_hash != checked.hash:
        raise Broken(rows, first, f"seal {seal.pk} does not continue the one before it")
    if seal.form < checked.form:
        raise Broken(rows, first, f"seal {seal.pk} is of an older form than the one before it")
    if len(seal.entry_ids) != len(seal.entry_hashes) or seal.hash != seal_digest(
        seal.form, checked.hash, seal.sealed_at, seal.entry_ids, seal.entry_hashes
    ):
        raise Broken(rows, first, f"seal {seal.pk} was changed")
    for number, expected in zip(seal.entry_ids, seal.entry_hashes, strict=True):
        if number not in digests:
            raise Broken(rows, number, f"entry {number} was removed")
        if digests[number] != expected:
            raise Broken(rows, number, f"entry {number} was changed")
        rows += 1
    return replace(checked, seal=seal.pk, hash=seal.hash, form=seal.form, rows=rows)


def _notes(checked: Checked, notes: Notes, accepted: Accepted, within: Within) -> Iterator[Checked]:
    """Hold what is noted against the chain, note by note. Raises Broken."""
    reading = iter(notes(checked.notes_end))
    while part := list(islice(reading, NOTES_AT_ONCE)):
        there = dict(AuditSeal.objects.filter(pk__in=[head.seal for head in part]).values_list("pk", "hash"))
        lost = checked.lost
        for head in part:
            if there.get(head.seal) == head.hash:
                checked.noted.add(head.seal)
            elif (head.seal, head.hash) in accepted.lost:
                lost += 1
            elif head.seal in there:
                raise Broken(
                    checked.rows, head.first_entry, f"seal {head.seal} is not the one noted in the head file"
                )
            else:
                problem = f"seal {head.seal} is noted in the head file and missing"
                raise Broken(checked.rows, head.first_entry, problem)
        checked = replace(checked, notes_end=part[-1].end, lost=lost)
        yield checked
        if not within():
            return


def _all_noted(checked: Checked, accepted: Accepted, asof: datetime) -> None:
    """Every seal is noted, except what was made just now or is known to be missing there. Raises Broken."""
    missing = AuditSeal.objects.count() - len(checked.noted)
    worst: int | None = None
    newest_first = AuditSeal.objects.order_by("-pk").values_list("pk", "hash", "sealed_at")
    for number, digest, sealed_at in newest_first.iterator(chunk_size=2_000):
        if missing <= 0:
            break
        if number in checked.noted:
            continue
        missing -= 1
        is_young = asof - FRESH < sealed_at <= now()
        if not is_young and (number, digest) not in accepted.unnoted:
            worst = number
    if worst is not None:
        ids = AuditSeal.objects.values_list("entry_ids", flat=True).get(pk=worst)
        raise Broken(checked.rows, ids[0] if ids else None, f"seal {worst} is not noted in the head file")


def _verify_unsealed(checked: Checked) -> Verdict:
    """Each entry is sealed once or waits in the queue, and nothing else waits there."""
    removed = removed_before_sealing()
    if removed is not None:
        raise Broken(checked.rows, removed, f"entry {removed} was removed before it was sealed")
    waiting = UnsealedEntry.objects.count()
    if not _same_ids():
        with connection.cursor() as cursor:
            cursor.execute(_STRAY)
            number, times = cursor.fetchone()
        what = "was put in past the audit trail" if times == 0 else f"is sealed or queued {times} times"
        raise Broken(checked.rows, number, f"entry {number} {what}")
    return Verdict(True, checked.rows, unsealed=waiting, head=checked.hash)


def _same_ids() -> bool:
    """Whether the entries are exactly what is sealed or queued, each once: equal counts, and equal sums of a hash of
    each id. The hash is another one each time, so that nobody can choose ids whose sums are equal.
    """
    seed = secrets.randbits(62)
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, {"seed": seed})
        counts, accounted, sums, accounted_sums = cursor.fetchone()
    return bool(counts == accounted and sums == accounted_sums)


_ACCOUNTED = """
    SELECT jsonb_array_elements_text(entry_ids)::bigint AS id FROM common_auditseal
    UNION ALL SELECT entry_id FROM common_unsealedentry
"""
_SUMS = f"""
    SELECT entries.number, accounted.number, entries.total, accounted.total
      FROM (SELECT count(*) AS number, sum(hashint8extended(id, %(seed)s::bigint)::numeric) AS total
              FROM common_auditentry) AS entries,
           (SELECT count(*) AS number, sum(hashint8extended(id, %(seed)s::bigint)::numeric) AS total
              FROM ({_ACCOUNTED}) AS each) AS accounted
"""  # noqa: S608  no input in it
_STRAY = f"""
    SELECT coalesce(entry.id, accounted.id), coalesce(accounted.times, 0)
      FROM common_auditentry AS entry
      FULL JOIN (SELECT id, count(*) AS times FROM ({_ACCOUNTED}) AS each GROUP BY id) AS accounted USING (id)
     WHERE accounted.times IS DISTINCT FROM 1 OR entry.id IS NULL
     ORDER BY 1 LIMIT 1
"""  # noqa: S608  no input in it


@contextmanager
def _snapshot() -> Iterator[None]:
    """One consistent view, so that sealing meanwhile does not look like tampering."""
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield
