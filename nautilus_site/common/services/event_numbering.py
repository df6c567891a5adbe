"""Numbering outbox events in commit order, and forgetting old ones. Done by the relay alone, under its lease."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from nautilus_site.common.clock import now
from nautilus_site.common.models import OutboxEvent
from nautilus_site.common.services.leases import Held

BATCH = 500
KEEP_EVENTS = 100_000
KEEP_FOR = timedelta(hours=24)
PRUNE_BATCH = 2_000

NumberedEvent = tuple[int, str, datetime, Any]
"""event id, topic, at, data"""


class FenceLost(Exception):
    """The lease is no longer ours: nothing was written."""


def fence_check(held: Held) -> None:
    """Lock the lease row and make sure it is ours; call first in each transaction made under the lease.

    The lock keeps a successor from taking the lease while the transaction is under way.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM common_lease WHERE name = %s AND fence = %s AND holder = %s"
            " AND until > clock_timestamp() FOR UPDATE",
            [held.name, held.fence, held.holder],
        )
        if cursor.fetchone() is None:
            raise FenceLost(held.name)


def events_number(held: Held) -> list[NumberedEvent]:
    """Give the next ids to what has been committed since, oldest first. Ids have no gaps.

    A transaction that commits late gets its numbers late: readers who stand at id n have seen all there is up
    to n.
    """
    if not OutboxEvent.objects.filter(event_id=None).exists():
        return []
    with transaction.atomic():
        return _number_batch(held)


def _number_batch(held: Held) -> list[NumberedEvent]:
    fence_check(held)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH head AS (SELECT coalesce(max(event_id), 0) AS newest FROM common_outboxevent),
                 batch AS (
                     SELECT id, row_number() OVER (ORDER BY id) AS place
                       FROM (SELECT id FROM common_outboxevent
                              WHERE event_id IS NULL ORDER BY id LIMIT %s) AS waiting
                 )
            UPDATE common_outboxevent AS event
               SET event_id = head.newest + batch.place
              FROM head, batch
             WHERE event.id = batch.id
            RETURNING event.id
            """,
            [BATCH],
        )
        ids = [row[0] for row in cursor.fetchall()]
    rows = OutboxEvent.objects.filter(pk__in=ids).order_by("event_id") if ids else []
    return [(row.event_id or 0, row.topic, row.at, row.data) for row in rows]


@transaction.atomic
def events_prune(held: Held, *, mirrored_to: int) -> int:
    """Delete a small batch of events that are mirrored, older than a day and beyond the newest 100,000."""
    fence_check(held)
    newest = (
        OutboxEvent.objects.order_by("-event_id")
        .exclude(event_id=None)
        .values_list("event_id", flat=True)
        .first()
    )
    limit = min((newest or 0) - KEEP_EVENTS, mirrored_to)
    if limit <= 0:
        return 0
    old = OutboxEvent.objects.filter(event_id__lte=limit, at__lt=now() - KEEP_FOR).order_by("event_id")
    deleted, _ = OutboxEvent.objects.filter(
        pk__in=list(old.values_list("pk", flat=True)[:PRUNE_BATCH])
    ).delete()
    return deleted
