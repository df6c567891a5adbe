"""The sweeper of caps: every bucket recomputed from orders and positions; a difference halts and is never repaired.

One statement sees one moment, and whatever changes an order or a position changes its buckets in the same
transaction, so a single reading is proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import structlog
from django.db import connection

from trading import metrics
from trading.domain.values import Level
from trading.models import TradingState
from trading.services.controls.states import kill_raise
from trading.services.escrow import escrow_settle
from trading.services.scopes import GLOBAL

log = structlog.get_logger(__name__)

_SQL: Final = """
WITH held AS (
    SELECT a.name AS account, i.symbol::text AS symbol, s.name AS strategy, o.reserved_notional AS amount
      FROM trading_order AS o
      JOIN trading_account AS a ON a.id = o.account_id
      JOIN universe_instrument AS i ON i.id = o.instrument_id
      LEFT JOIN trading_strategy AS s ON s.id = o.strategy_id
     WHERE o.reserved_notional <> 0
    UNION ALL
    SELECT a.name, i.symbol::text, NULL, p.carried_notional
      FROM trading_position AS p
      JOIN trading_account AS a ON a.id = p.account_id
      JOIN universe_instrument AS i ON i.id = p.instrument_id
     WHERE p.carried_notional <> 0
), owned AS (
    SELECT unnest(array['strategy:' || part.key, 'strategy_symbol:' || part.key || ':' || i.symbol]) AS scope,
           part.value::numeric AS amount
      FROM trading_position AS p JOIN universe_instrument AS i ON i.id = p.instrument_id,
           jsonb_each_text(p.carried_by) AS part WHERE part.key <> ''
), expected AS (
    SELECT 'symbol:' || account || ':' || symbol AS scope, amount FROM held
    UNION ALL SELECT 'account:' || account, amount FROM held
    UNION ALL SELECT 'global:' || account, amount FROM held
    UNION ALL SELECT 'strategy:' || strategy, amount FROM held WHERE strategy IS NOT NULL
    UNION ALL SELECT 'strategy_symbol:' || strategy || ':' || symbol, amount FROM held WHERE strategy IS NOT NULL
    UNION ALL SELECT scope, amount FROM owned
), sums AS (
    SELECT scope, sum(amount) AS amount FROM expected GROUP BY scope
)
SELECT coalesce(b.scope, sums.scope), coalesce(b.used, 0), coalesce(sums.amount, 0)
  FROM trading_exposurebucket AS b FULL JOIN sums ON sums.scope = b.scope
 WHERE coalesce(b.used, 0) <> coalesce(sums.amount, 0)
UNION ALL
SELECT 'global', e.granted, parts.amount
  FROM trading_exposureescrow AS e,
       (SELECT coalesce(sum(cap), 0) AS amount FROM trading_exposurebucket WHERE scope LIKE 'global:%') AS parts
 WHERE e.granted <> parts.amount
 ORDER BY 1
"""

_REVALUED: Final = """
SELECT a.name, sum(abs(p.quantity) * coalesce(q.mark_price, (q.bid + q.ask) / 2)) AS worth,
       (SELECT min(l.value) FROM trading_risklimit AS l
         WHERE l.name = 'exposure_account' AND l.scope IN ('global', 'account:' || a.name)) AS cap
  FROM trading_position AS p
  JOIN trading_account AS a ON a.id = p.account_id
  JOIN universe_quote AS q ON q.instrument_id = p.instrument_id
 WHERE p.quantity <> 0 GROUP BY a.name
"""


@dataclass(frozen=True, slots=True)
class BucketDifference:
    """A bucket that does not hold what its orders and positions hold."""

    scope: str
    used: Decimal
    expected: Decimal


def buckets_sweep() -> list[BucketDifference]:
    """Compare, halt the scope of every difference, and give idle escrow back."""
    with connection.cursor() as cursor:
        cursor.execute(_SQL)
        found = [BucketDifference(*row) for row in cursor.fetchall()]
    for difference in found:
        metrics.INVARIANT_VIOLATIONS.labels(invariant="I5").inc()
        log.error(
            "bucket_differs",
            scope=difference.scope,
            used=str(difference.used),
            expected=str(difference.expected),
        )
        _raise(
            level_scope(difference.scope),
            Level.HALT_NEW,
            f"bucket {difference.scope} holds {difference.used:f}, its orders and positions "
            f"{difference.expected:f}",
        )
    escrow_settle()
    return found


def exposures_revalue() -> list[str]:
    """Let accounts only reduce whose positions have grown beyond their cap by price alone."""
    with connection.cursor() as cursor:
        cursor.execute(_REVALUED)
        rows = cursor.fetchall()
    beyond = []
    for account, worth, cap in rows:
        # The cap is counted over orders and positions at reservation prices; at present prices it may be passed.
        if worth is not None and cap is not None and worth > cap * (1 + _TOLERANCE):
            beyond.append(account)
            _raise(
                f"account:{account}",
                Level.REDUCING,
                f"positions are worth {worth:.2f} at present prices, the cap is {cap:.2f}",
            )
    return beyond


_TOLERANCE: Final = Decimal("0.10")
"""How far price alone may carry positions beyond a cap: moves inside a day's range are not a breach of it."""


def level_scope(bucket: str) -> str:
    """The scope of levels that stops a bucket's orders."""
    kind, _, rest = bucket.partition(":")
    if kind == "symbol":
        return f"symbol:{rest.rpartition(':')[2]}"
    if kind == GLOBAL:
        return f"account:{rest}" if rest else GLOBAL
    return bucket


def _raise(scope: str, level: Level, reason: str) -> None:
    state = TradingState.objects.filter(scope=scope).first()
    if state is None or state.level < level:
        kill_raise(scope=scope, level=level, reason=reason[:500], actor="sweeper")
