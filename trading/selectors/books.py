"""Snapshots of the books, as monitoring sees them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from trading.models import BookSnapshot


def snapshot_is_intact(snapshot: BookSnapshot) -> bool:
    """Whether a snapshot is what was written: the hash is over everything it says."""
    last = [snapshot.last_fill_id, snapshot.last_transfer_id, snapshot.last_ledger_id]
    text = json.dumps([snapshot.content, last], sort_keys=True, separators=(",", ":"))
    return snapshot.digest == hashlib.sha256(text.encode()).hexdigest()


def books_snapshots_intact(account_ids: Iterable[int]) -> bool:
    """Whether the newest snapshot of each account is intact; one that has none yet disturbs nothing."""
    newest = BookSnapshot.objects.filter(account_id__in=list(account_ids)).order_by("account_id", "-pk")
    return all(snapshot_is_intact(row) for row in newest.distinct("account_id"))
