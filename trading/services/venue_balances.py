"""What the venue says an account holds, noted beside what our own books say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from nautilus_site.common.clock import now
from trading.models import Account

# Sorted by name like every lock of balances.
_NOTE: Final = """
INSERT INTO trading_balance AS balance
       (account_id, asset, amount, reserved, venue_free, venue_locked, venue_seen_at)
SELECT %(account)s, told.asset, 0, 0, told.free, told.locked, %(at)s::timestamptz
  FROM unnest(%(assets)s::text[], %(free)s::numeric[], %(locked)s::numeric[]) AS told (asset, free, locked)
 ORDER BY told.asset COLLATE "C"
    ON CONFLICT (account_id, asset) DO UPDATE
   SET venue_free = EXCLUDED.venue_free, venue_locked = EXCLUDED.venue_locked, venue_seen_at = EXCLUDED.venue_seen_at
"""


@dataclass(frozen=True, slots=True)
class BalanceTold:
    """One asset as the venue told it."""

    asset: str
    free: Decimal
    locked: Decimal


def balances_note(account: Account, told: Sequence[BalanceTold]) -> None:
    """Keep what was told last of every asset."""
    latest = {balance.asset: balance for balance in told}
    if not latest:
        return
    parameters: dict[str, Any] = {
        "account": account.pk,
        "at": now(),
        "assets": list(latest),
        "free": [balance.free for balance in latest.values()],
        "locked": [balance.locked for balance in latest.values()],
    }
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, parameters)
