"""How long runs are kept. What they found is kept for ever: it lives in their differences, fills and audit rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from django.db import connection

from nautilus_site.common.clock import now
from trading.models import ReconcileRun

KEEP: Final[Mapping[ReconcileRun.Outcome, timedelta]] = {
    ReconcileRun.Outcome.CLEAN: timedelta(days=7),
    ReconcileRun.Outcome.FAILED: timedelta(days=30),
    ReconcileRun.Outcome.REPAIRED: timedelta(days=90),
}
"""By outcome; a run that found a difference, and one that is not finished, stays."""
AT_ONCE: Final = 5_000


def reconcile_runs_prune() -> int:
    """Delete runs that are older than their outcome is kept, but the newest of each account and sweep.

    Returns how many; a long backlog goes over several calls.
    """
    deleted = 0
    for outcome, life in KEEP.items():
        with connection.cursor() as cursor:
            cursor.execute(
                """
                DELETE FROM trading_reconcilerun WHERE id IN (
                    SELECT old.id FROM trading_reconcilerun AS old
                     WHERE old.outcome = %s AND old.started_at < %s
                       AND coalesce(jsonb_array_length(old.report -> 'divergences'), 0) = 0
                       AND EXISTS (SELECT FROM trading_reconcilerun AS newer
                                    WHERE newer.account_id = old.account_id AND newer.sweep = old.sweep
                                      AND newer.id > old.id)
                     ORDER BY old.id LIMIT %s)
                """,
                [outcome, now() - life, AT_ONCE],
            )
            deleted += int(cursor.rowcount)
    return deleted
