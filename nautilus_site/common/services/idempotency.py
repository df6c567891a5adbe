"""Claiming, answering and releasing an idempotency key: insert first, so that only one caller does the work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db import connection

from nautilus_site.common.clock import now
from nautilus_site.common.models import IdempotencyRecord

CLAIM_LIFE = timedelta(seconds=60)
"""After this an unanswered attempt counts as crashed."""
RECORD_LIFE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do the work of one key. `unique_key` is the same on every attempt at it."""

    record_id: int
    attempt: int

    @property
    def unique_key(self) -> str:
        """Hand this to the service as its own unique key: a repeated attempt then finds what the first one
        did.
        """
        return f"idem-{self.record_id}"


def idempotency_claim(*, user_id: int, key: str, fingerprint: str) -> Claim | None:
    """Take the key if nobody has it, or if its last attempt gave up or crashed. None when it is taken."""
    moment = now()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO common_idempotencyrecord AS record
                   (user_id, key, fingerprint, headers, attempt, claimed_at, created_at)
            VALUES (%(user)s, %(key)s, %(fingerprint)s, '{}', 1, %(now)s, %(now)s)
            ON CONFLICT (user_id, key) DO UPDATE
               SET attempt = record.attempt + 1, claimed_at = %(now)s
             WHERE record.status IS NULL
               AND record.fingerprint = %(fingerprint)s
               AND (record.claimed_at IS NULL OR record.claimed_at < %(stale)s)
            RETURNING id, attempt
            """,
            {
                "user": user_id,
                "key": key,
                "fingerprint": fingerprint,
                "now": moment,
                "stale": moment - CLAIM_LIFE,
            },
        )
        row = cursor.fetchone()
    return Claim(record_id=row[0], attempt=row[1]) if row else None


def idempotency_complete(claim: Claim, *, status: int, body: str, headers: dict[str, str]) -> bool:
    """Keep the answer. False when the claim was taken over meanwhile; the other's answer then stands."""
    return bool(
        IdempotencyRecord.objects.filter(pk=claim.record_id, attempt=claim.attempt, status=None).update(
            status=status, body=body, headers=headers, completed_at=now()
        )
    )


def idempotency_release(claim: Claim) -> None:
    """Give the key up without an answer, so that a retry may try again."""
    IdempotencyRecord.objects.filter(pk=claim.record_id, attempt=claim.attempt, status=None).update(
        claimed_at=None
    )


def idempotency_prune() -> int:
    """Forget keys older than a week. Returns how many."""
    deleted, _ = IdempotencyRecord.objects.filter(created_at__lt=now() - RECORD_LIFE).delete()
    return deleted
