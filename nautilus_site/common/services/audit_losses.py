"""What a restore cut off the audit trail: asked for by one person, accepted by another, and known from then on.

The acceptance is an entry of the trail that names every lost link, sealed like all others and noted in the head
file. A verification forgives exactly these links, only while the request behind the entry was decided by two people.
The same way two people accept signed lines that are gone, or that nobody can check because their key is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings

from nautilus_site.common.clock import now
from nautilus_site.common.daemons.audit_head import AuditHead
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import AuditEntry, AuditSeal, ChangeRequest, User
from nautilus_site.common.services.appliers import Applier, TargetChanged, register_applier
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.audit_chain import LOSS, audit_verify_tail
from nautilus_site.common.services.audit_proof import FRESH, Accepted, Head, Verdict, audit_verify_alone
from nautilus_site.common.services.audit_signed_proof import SignedProof
from nautilus_site.common.services.outbox import publish

KIND, TARGET = "audit.accept_loss", "audit:chain"
Link = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Loss:
    """What head file and chain say differently: (seal id, hash), in order."""

    lost: tuple[Link, ...]
    """Noted in the head file, and not in the chain."""
    unnoted: tuple[Link, ...]
    """In the chain, and not noted: nothing outside the database vouches for them."""
    rows: int
    """Entries the lost links had sealed; at least so many where the head file does not say."""
    unsigned: tuple[Link, ...] = ()
    """Signed lines that are gone, or of a key that is: (seal id, digest of the line)."""

    def digest(self) -> str:
        """sha256 over every link."""
        lines = [
            f"{name}:{number}:{digest}"
            for name in ("lost", "unnoted", "unsigned")
            for number, digest in getattr(self, name)
        ]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def told(self) -> str:
        """How much it is, for people."""
        return f"{self.rows} rows" + (f" and {len(self.unsigned)} signed lines" if self.unsigned else "")

    def members(self) -> dict[str, Any]:
        """What a request shows, and what its approval is bound to."""
        return {
            "rows": self.rows,
            "lost_seals": _span(self.lost),
            "unnoted_seals": _span(self.unnoted),
            **({"unsigned_lines": _span(self.unsigned)} if self.unsigned else {}),
            "seals_digest": self.digest(),
        }


def audit_verified_now() -> Verdict:
    """Verify the whole trail against the head file, what was signed and what was accepted; one at a time.

    Errors: Conflict `VERIFYING` while another one runs.
    """
    return audit_verify_alone(audit_notes().noted, audit_losses_accepted(), audit_signed_proof())


def audit_losses_accepted() -> Accepted:
    """What two people have accepted. An entry without such a request behind it forgives nothing."""
    lost: set[Link] = set()
    unnoted: set[Link] = set()
    unsigned: set[Link] = set()
    sentences = []
    for entry in AuditEntry.objects.filter(action=LOSS).order_by("pk"):
        loss = _loss_told(entry.after)
        request = _request_behind(entry.after or {}, loss) if loss is not None else None
        if loss is None or request is None or request.approver is None:
            continue
        lost |= set(loss.lost)
        unnoted |= set(loss.unnoted)
        unsigned |= set(loss.unsigned)
        sentences.append(
            f"{loss.told()} known lost, accepted by {request.requester.username} and"
            f" {request.approver.username} at {entry.at:%Y-%m-%d %H:%M:%S} UTC"
        )
    return Accepted(frozenset(lost), frozenset(unnoted), frozenset(unsigned), tuple(sentences))


def audit_loss(heads: Iterable[Head], accepted: Accepted, signed: SignedProof) -> Loss | None:
    """Find what the files outside and the chain say differently and nobody has accepted. None when there is nothing."""
    noted = list(dict.fromkeys(heads))
    there = set(_links_of(head.seal for head in noted))
    lost = [head for head in noted if head[:2] not in there and head[:2] not in accepted.lost]
    known = {head[:2] for head in noted}
    sealed = AuditSeal.objects.filter(sealed_at__lt=now() - FRESH).order_by("pk").values_list("pk", "hash")
    unnoted = [
        link
        for link in sealed.iterator(chunk_size=5_000)
        if link not in known and link not in accepted.unnoted
    ]
    links = {head[:2] for head in lost}
    unsigned = [
        (fault.seal, fault.digest) for fault in signed.faults(replace(accepted, lost=accepted.lost | links))
    ]
    if not lost and not unnoted and not unsigned:
        return None
    gaps = {a: b.first_entry - a.first_entry for a, b in pairwise(noted)}
    rows = sum(head.entries or max(1, gaps.get(head, 1)) for head in lost)
    return Loss(tuple(head[:2] for head in lost), tuple(unnoted), rows, tuple(unsigned))


def loss_clean(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked to be accepted: found now, never told by who asks.

    Errors: ApplicationError `INVALID_LOSS`; Conflict `AUDIT_NOTHING_LOST`; Conflict `AUDIT_BROKEN` when the newest
    part does not match by itself. What is broken further down stays broken: only the named links are forgiven.
    """
    if target != TARGET or payload:
        raise ApplicationError("INVALID_LOSS", f"expected the target {TARGET} and an empty payload")
    return _loss_there().members()


def loss_snapshot(target: str) -> dict[str, Any]:
    """What must not change between the request and its approval: what is lost."""
    loss = audit_loss(audit_notes().noted(), audit_losses_accepted(), audit_signed_proof())
    return loss.members() if loss is not None else {}


def loss_effect(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What a verification will say afterwards."""
    return {
        "the_trail_verifies_again_with": f"{payload['rows']} rows known lost",
        "all_else_is_still_found": True,
    }


def loss_accept(request: ChangeRequest, approver: User) -> None:
    """Write down what two people accept, link by link; runs inside the approving transaction."""
    loss = _loss_there()
    if loss.digest() != request.payload["seals_digest"]:
        raise TargetChanged("what is lost has changed after the request was made")
    audit_record(
        action=LOSS,
        target=TARGET,
        actor=approver,
        reason=request.reason,
        after={
            **request.payload,
            "by": [request.requester.username, approver.username],
            "accepted_at": now().isoformat(),
            "request": str(request.pk),
            "lost": [list(link) for link in loss.lost],
            "unnoted": [list(link) for link in loss.unnoted],
            "unsigned": [list(link) for link in loss.unsigned],
        },
    )
    publish(
        "incidents",
        {
            "kind": "audit_loss_accepted",
            "severity": "warning",
            "title": f"{loss.told()} of the audit trail are accepted as lost",
            "reason": f"{request.reason} ({request.requester.username} and {approver.username})",
        },
    )


def _loss_there() -> Loss:
    loss = audit_loss(audit_notes().noted(), audit_losses_accepted(), audit_signed_proof())
    if loss is None:
        raise Conflict("AUDIT_NOTHING_LOST", "files and chain say the same, or it is accepted already")
    if not audit_verify_tail():
        raise Conflict(
            "AUDIT_BROKEN", "the newest seals do not match their entries; a restore does not explain that"
        )
    return loss


def _loss_told(after: Any) -> Loss | None:
    """The loss an entry names; None where it is not one of ours, which then forgives nothing."""
    try:
        UUID(after["request"])
        told = {"unsigned": [], **after}  # an earlier version signed nothing
        lost, unnoted, unsigned = (
            tuple((int(number), str(digest)) for number, digest in told[name])
            for name in ("lost", "unnoted", "unsigned")
        )
        return Loss(lost, unnoted, int(after["rows"]), unsigned)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _request_behind(after: Mapping[str, Any], loss: Loss) -> ChangeRequest | None:
    """The applied request of an acceptance, when it was of two people and of this very loss."""
    request = (
        ChangeRequest.objects.filter(pk=after["request"], kind=KIND, state=ChangeRequest.State.APPLIED)
        .select_related("requester", "approver")
        .first()
    )
    if request is None or request.approver_id in (None, request.requester_id):
        return None
    return request if loss.digest() == request.payload["seals_digest"] else None


def _links_of(numbers: Iterable[int]) -> Iterator[Link]:
    ordered = sorted(set(numbers))
    for start in range(0, len(ordered), 10_000):
        part = ordered[start : start + 10_000]
        yield from AuditSeal.objects.filter(pk__in=part).values_list("pk", "hash")


def audit_folder() -> Path:
    """Where files vouch for the chain outside the database."""
    return Path(settings.NAUTILUS_HOME) / "audit"


def audit_notes() -> AuditHead:
    """Where the links are noted outside the database."""
    return AuditHead(audit_folder())


def audit_signed_proof() -> SignedProof:
    """What was signed outside the database."""
    return SignedProof(audit_folder())


def _span(links: tuple[Link, ...]) -> str:
    return f"{len(links)}, from {links[0][0]} to {links[-1][0]}" if links else "none"


register_applier(
    KIND,
    Applier(
        snapshot=loss_snapshot,
        apply=loss_accept,
        effect=loss_effect,
        clean=loss_clean,
        permission="audit.read",
        # What is lost is told by a file and by seals that are only ever added: `loss_accept` looks again.
        rows=lambda target: [],
        target=re.compile(re.escape(TARGET)),
    ),
)
