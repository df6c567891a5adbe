"""What a restore cut off the audit trail, named by an entry of the trail itself: known, not forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction

from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import AuditSeal
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.audit_chain import LOSS, Head, acknowledged_losses, audit_verify


@dataclass(frozen=True, slots=True)
class Loss:
    """Seals that the head file notes and the chain does not have, in the order they were noted."""

    seals: tuple[tuple[int, str], ...]
    first_entry: int


def audit_loss(heads: Iterable[Head]) -> Loss | None:
    """Find what is noted, is not in the chain and was not acknowledged. None when there is nothing."""
    chain = set(AuditSeal.objects.values_list("pk", "hash"))
    known = acknowledged_losses()
    missing = [head for head in heads if head[:2] not in chain and head[:2] not in known]
    if not missing:
        return None
    return Loss(tuple(dict.fromkeys(head[:2] for head in missing)), min(first for *_, first in missing))


def audit_loss_acknowledge(*, heads: Iterable[Head], actor: str, reason: str) -> Loss:
    """Write down that the seals the chain lacks were lost with a restore; it then verifies again.

    Errors: `REASON_REQUIRED`; Conflict `AUDIT_NOTHING_LOST`; Conflict `AUDIT_BROKEN` when what is there does
    not verify by itself: a loss does not explain that.
    """
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "say which restore lost them")
    noted = list(heads)
    with transaction.atomic():
        loss = audit_loss(noted)
        if loss is None:
            raise Conflict("AUDIT_NOTHING_LOST", "every seal noted in the head file is in the chain or known")
        gone = set(loss.seals)
        verdict = audit_verify(head for head in noted if head[:2] not in gone)
        if not verdict.ok:
            raise Conflict(
                "AUDIT_BROKEN",
                f"what is there does not verify: {verdict.problem}; a restore does not explain that",
            )
        audit_record(
            action=LOSS,
            target=f"audit:{loss.seals[0][0]}-{loss.seals[-1][0]}",
            actor=actor,
            reason=reason,
            after={"seals": [list(seal) for seal in loss.seals], "first_entry": loss.first_entry},
        )
        return loss
