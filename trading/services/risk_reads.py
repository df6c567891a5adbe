"""Everything the rails ask of the tables, in one statement, each part by its own index.

The states stand in the text so that the partial index of the open orders serves, however long the history is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import psycopg
from django.db import connection

from trading.domain.orders import OPEN

MINUTE: Final = timedelta(seconds=60)
REFUSED_FOR: Final = timedelta(minutes=10)

_PARTS: Final = {
    "net": """working AS (
    SELECT account_id, coalesce(sum(amount) FILTER (WHERE side = 'BUY'), 0) AS buy,
           coalesce(sum(amount) FILTER (WHERE side = 'SELL'), 0) AS sell
      FROM (SELECT account_id, side, (quantity - executed_quantity) * price AS amount FROM trading_order
             WHERE status IN (<open>) AND price IS NOT NULL AND NOT reduce_only) AS o
     GROUP BY account_id
), carried AS (
    SELECT account_id, sum(sign(quantity) * carried_notional) AS amount
      FROM trading_position WHERE quantity <> 0 GROUP BY account_id
)""",
    "net_global": """array[coalesce((SELECT sum(amount) FROM carried), 0),
             coalesce((SELECT sum(buy) FROM working), 0), coalesce((SELECT sum(sell) FROM working), 0)]""",
    "groups": """SELECT json_agg(json_build_array(g.name, (
           SELECT coalesce(sum(b.used), 0)::text FROM trading_exposurebucket AS b
            WHERE b.scope LIKE 'symbol:%%' AND g.symbols ? split_part(b.scope, ':', 3))) ORDER BY g.name)
         FROM trading_correlationgroup AS g WHERE g.symbols ? %(symbol)s""",
    "open": ", ".join(f"'{status.value}'" for status in sorted(OPEN)),
}


def _complete(sql: str) -> str:
    for name, text in _PARTS.items():
        sql = sql.replace(f"<{name}>", text)
    return sql


# The parts of one plan are alike by nature; what they may come to together is the rail on parents.
# `recent` is what the account asked for in the 60 s before this moment, whatever the clock's minute; `leaving_at` is
# the order that must grow older than that before there is room for one more. A confirmed difference that nobody has
# explained yet disturbs; a reading of the venue that failed is as old as its last success.
_SQL: Final = _complete("""
WITH recent AS MATERIALIZED (
    SELECT created_at, instrument_id, strategy_id, side, quantity, price, executed_quantity, origin, plan_id
      FROM trading_order
     WHERE account_id = %(account)s AND created_at > %(since)s
       AND status <> 'DENIED' AND origin <> 'external'
), minute AS (
    SELECT count(*) AS orders,
           count(*) FILTER (WHERE strategy_id = %(strategy)s) AS strategy_orders,
           count(*) FILTER (WHERE strategy_id = %(strategy)s AND instrument_id = %(instrument)s
                              AND side = %(side)s AND origin = 'strategy' AND executed_quantity > 0) AS executions,
           max(created_at) FILTER (WHERE strategy_id = %(strategy)s AND instrument_id = %(instrument)s
                                     AND side = %(side)s AND origin = 'strategy'
                                     AND (%(plan)s::bigint IS NULL OR plan_id IS DISTINCT FROM %(plan)s::bigint)
                                     AND abs(quantity - %(quantity)s) <= 0.01 * %(quantity)s
                                     AND abs(price - %(price)s) <= 0.001 * %(price)s) AS near_at
      FROM recent
), open AS (
    SELECT count(*) FILTER (WHERE instrument_id = %(instrument)s) AS orders,
           min(sent_at) FILTER (WHERE instrument_id = %(instrument)s AND status = 'UNKNOWN') AS unknown_at,
           count(*) FILTER (WHERE strategy_id = %(strategy)s) AS strategy_orders,
           CASE WHEN %(side)s = 'BUY'
                THEN min(price) FILTER (WHERE instrument_id = %(instrument)s AND stop_price IS NULL
                    AND time_in_force NOT IN ('IOC', 'FOK') AND side = 'SELL')
                ELSE max(price) FILTER (WHERE instrument_id = %(instrument)s AND stop_price IS NULL
                    AND time_in_force NOT IN ('IOC', 'FOK') AND side = 'BUY') END AS crossing
      FROM trading_order
     WHERE account_id = %(account)s AND status IN (<open>)
), refused AS (
    SELECT count(*) AS orders, max(created_at) AS last_at
      FROM trading_order
     WHERE account_id = %(account)s AND instrument_id = %(instrument)s AND status = 'REJECTED'
       AND created_at > %(refused_since)s AND side = %(side)s AND type = %(type)s
       AND quantity = %(quantity)s AND price IS NOT DISTINCT FROM %(price)s
), <net>
SELECT minute.orders AS last_minute,
       CASE WHEN %(rate)s::bigint BETWEEN 1 AND minute.orders
            THEN (SELECT created_at FROM recent ORDER BY created_at DESC OFFSET %(rate)s::bigint - 1 LIMIT 1)
        END AS leaving_at,
       minute.strategy_orders AS last_minute_strategy,
       CASE WHEN %(rate_strategy)s::bigint BETWEEN 1 AND minute.strategy_orders
            THEN (SELECT created_at FROM recent WHERE strategy_id = %(strategy)s
                   ORDER BY created_at DESC OFFSET %(rate_strategy)s::bigint - 1 LIMIT 1)
        END AS strategy_leaving_at, minute.executions, minute.near_at,
       open.orders AS open_orders, open.unknown_at, open.strategy_orders AS open_orders_strategy, open.crossing,
       refused.orders AS refused, refused.last_at AS refused_at,
       (SELECT array[parent_quantity, child_quantity, children] FROM trading_plan
         WHERE id = %(plan)s) AS parent,
       EXISTS (SELECT 1 FROM trading_divergence
                WHERE account_id = %(account)s AND resolved_at IS NULL AND confirmed_at IS NOT NULL) AS diverging,
       (SELECT in_force_until FROM trading_strategyinstance
         WHERE account_id = %(account)s AND instrument_id = %(instrument)s AND strategy_id = %(strategy)s
         LIMIT 1) AS grant_until,
       (SELECT array_agg(i.symbol::text) FROM trading_symbolallowance AS a
          JOIN universe_instrument AS i ON i.id = a.instrument_id
         WHERE a.account_id = %(account)s) AS allowed,
       EXISTS (SELECT 1 FROM trading_order
                WHERE account_id = %(account)s AND client_order_id = %(client_order_id)s) AS known,
       EXISTS (SELECT 1 FROM trading_decision AS d JOIN trading_order AS o ON o.decision_id = d.id
                WHERE d.instance_id = %(instance)s AND d.bar_open_at > %(bar)s
                  AND o.status <> 'DENIED') AS overtaken,
       (SELECT json_agg(json_build_array(scope, greatest(level, auto_level))) FROM trading_tradingstate
         WHERE scope = ANY(%(scopes)s::text[])) AS levels,
       (SELECT json_agg(json_build_array(name, scope, reason, extract(epoch FROM retry_at)))
          FROM trading_circuitbreaker
         WHERE scope = ANY(%(scopes)s::text[]) AND state = 'open') AS breakers,
       (SELECT json_agg(json_build_array(scope, reason, extract(epoch FROM ends_at))) FROM trading_blackout
         WHERE scope = ANY(%(scopes)s::text[]) AND starts_at <= %(now)s AND ends_at > %(now)s
           AND ended_at IS NULL) AS blackouts,
       (SELECT json_agg(json_build_array(scope, value::text, day_start::text, drawdown_ppm, streak,
                                         extract(epoch FROM last_loss_at), extract(epoch FROM measured_at), day))
          FROM trading_lossmeasure WHERE scope = ANY(%(scopes)s::text[])) AS losses,
       (SELECT last_message_at FROM universe_streamstate
         WHERE name = %(stream)s AND connected_at IS NOT NULL) AS stream_at,
       clock.offset_ms, clock.measured_at AS clock_at,
       weight.used_weight, weight.used_at AS weight_at, weight.weight_limit,
       (SELECT array[max_notional::text, extract(epoch FROM expires_at)::text, id::text]
          FROM trading_overridegrant
         WHERE account_id = %(account)s AND instrument_id = %(instrument)s AND side = %(side)s
           AND used_by_id IS NULL AND expires_at > %(now)s
         ORDER BY max_notional DESC LIMIT 1) AS grant,
       (SELECT coalesce(sum(used), 0) FROM trading_exposurebucket WHERE scope LIKE 'global:%%') AS used_global,
       array[coalesce((SELECT amount FROM carried WHERE account_id = %(account)s), 0),
             coalesce((SELECT buy FROM working WHERE account_id = %(account)s), 0),
             coalesce((SELECT sell FROM working WHERE account_id = %(account)s), 0)] AS net_account,
       <net_global> AS net_global,
       (<groups>) AS groups,
       (SELECT digest FROM trading_servingheartbeat
         WHERE strategy_id = %(strategy)s ORDER BY beat_at DESC LIMIT 1) AS loaded_digest
  FROM minute, open, refused
  LEFT JOIN trading_venueclock AS clock ON clock.venue = %(venue)s
  LEFT JOIN universe_venuebackoff AS weight ON weight.venue = %(venue)s
""")
_WIDE: Final = _complete("WITH <net> SELECT (<groups>), <net_global>")


@dataclass(frozen=True, slots=True)
class Facts:
    """One row of what the tables tell; times are wall times, amounts as stored."""

    last_minute: int
    leaving_at: datetime | None
    last_minute_strategy: int
    strategy_leaving_at: datetime | None
    executions: int
    near_at: datetime | None
    open_orders: int
    unknown_at: datetime | None
    open_orders_strategy: int
    crossing: Decimal | None
    refused: int
    refused_at: datetime | None
    parent: list[Decimal] | None
    diverging: bool
    grant_until: datetime | None
    allowed: list[str] | None
    known: bool
    overtaken: bool
    levels: list[Any] | None
    breakers: list[Any] | None
    blackouts: list[Any] | None
    losses: list[Any] | None
    stream_at: datetime | None
    offset_ms: int | None
    clock_at: datetime | None
    used_weight: int | None
    weight_at: datetime | None
    weight_limit: int | None
    grant: list[str] | None
    used_global: Decimal
    net_account: list[Decimal]
    net_global: list[Decimal]
    groups: list[Any] | None
    loaded_digest: str | None


def facts_read(parameters: dict[str, Any]) -> Facts:
    """Ask everything at once. Call with the order's rows locked, so that what is counted cannot change.

    The statement is prepared once per connection: planning its many parts would cost more than answering them.
    """
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:
        row = cursor.execute(_SQL, parameters, prepare=True).fetchone()
    assert row is not None
    return Facts(*row)


def wide_read(symbol: str) -> tuple[list[Any] | None, list[Decimal]]:
    """What the symbol's groups hold, and the net sums over everything, as committed by now."""
    with connection.cursor() as cursor:
        cursor.execute(_WIDE, {"symbol": symbol})
        groups, net = cursor.fetchone()
    return groups, net
