"""Sealing the audit trail into a hash chain, and a cheap look at its newest part."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Exists, OuterRef

from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, AuditSeal, UnsealedEntry
from nautilus_site.common.services.audit_digests import FORM, GENESIS, entry_digests, seal_digest
from nautilus_site.common.services.event_numbering import fence_check
from nautilus_site.common.services.leases import Held

SEAL_BATCH = 5_000
LOSS = "audit.loss_accepted"
"""The action of an entry that says what two people accepted as lost."""
TAIL_ENTRIES = 500
"""About so many entries are hashed to see whether the newest part still holds: a scrape and every page ask for it."""


def audit_seal(held: Held) -> AuditSeal | None:
    """Seal a batch of what is committed and not sealed yet, lowest id first. None when there is nothing.

    An entry that is queued and not there was removed: its place in the queue stays, as the evidence of that.
    """
    if not UnsealedEntry.objects.exists():
        return None
    with transaction.atomic():
        return _seal_batch(held)


def _seal_batch(held: Held) -> AuditSeal | None:
    fence_check(held)
    waiting = UnsealedEntry.objects.filter(Exists(AuditEntry.objects.filter(pk=OuterRef("entry_id"))))
    ids = list(waiting.order_by("entry_id").values_list("entry_id", flat=True)[:SEAL_BATCH])
    if not ids:
        return None
    found = entry_digests(AuditEntry.objects.filter(pk__in=ids), FORM)
    sealed = sorted(found)
    UnsealedEntry.objects.filter(entry_id__in=sealed).delete()
    previous = AuditSeal.objects.order_by("-pk").values_list("hash", flat=True).first() or GENESIS
    digests, moment = [found[number] for number in sealed], now()
    return AuditSeal.objects.create(
        form=FORM,
        entry_ids=sealed,
        entry_hashes=digests,
        previous_hash=previous,
        hash=seal_digest(FORM, previous, moment, sealed, digests),
        sealed_at=moment,
    )


def removed_before_sealing() -> int | None:
    """The lowest id that waits to be sealed and has no entry any more: somebody removed it. None when there is none."""
    entries = AuditEntry.objects.filter(pk=OuterRef("entry_id"))
    return (
        UnsealedEntry.objects.filter(~Exists(entries))
        .order_by("entry_id")
        .values_list("entry_id", flat=True)
        .first()
    )


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
            break
        before = next(newest, None)
        if not _tail_right(seal, before.hash if before is not None else GENESIS):
            return False
        looked += len(seal.entry_ids)
        seal = before
    return removed_before_sealing() is None


def _tail_right(seal: AuditSeal, before: str) -> bool:
    if seal.previous_hash != before:
        return False
    if seal.hash != seal_digest(seal.form, before, seal.sealed_at, seal.entry_ids, seal.entry_hashes):
        return False
    wanted = dict(zip(seal.entry_ids[-TAIL_ENTRIES:], seal.entry_hashes[-TAIL_ENTRIES:], strict=True))
    return entry_digests(AuditEntry.objects.filter(pk__in=list(wanted)), seal.form) == wanted
