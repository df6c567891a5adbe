"""The invariants of execution as questions to the database, asked on a schedule; the right answer is always nothing.

Each names what breaks it. Constraints make most of them impossible; these look at the rows anyway, as an auditor would.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog
from django.db import connection

from nautilus_site.common.clock import now
from nautilus_site.common.services.audit_chain import audit_verify_tail
from trading import metrics

log = structlog.get_logger(__name__)

WINDOW: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Invariant:
    """One claim about the rows; its statement returns what contradicts it."""

    name: str
    claim: str
    sql: str


@dataclass(frozen=True, slots=True)
class Violation:
    """A row that contradicts an invariant."""

    invariant: str
    subject: str


INVARIANTS: Final = (
    Invariant(
        "I1",
        "one intent per decision key",
        """SELECT intent_key FROM trading_order WHERE created_at > %(since)s
           GROUP BY intent_key HAVING count(*) > 1""",
    ),
    Invariant(
        "I2",
        "at most one send per intent",
        """SELECT order_id::text FROM trading_orderevent
           WHERE at > %(since)s AND status = 'SENDING' AND source = 'authorise'
           GROUP BY order_id HAVING count(*) > 1""",
    ),
    Invariant(
        "I3",
        "no send under a fence older than one that has sent on the lane already",
        """SELECT uid::text FROM (
               SELECT uid, fence, max(fence) OVER (PARTITION BY account_id, shard ORDER BY sent_at, id) AS newest
                 FROM trading_order WHERE created_at > %(since)s AND sent_at IS NOT NULL AND fence IS NOT NULL
           ) AS sent WHERE fence < newest""",
    ),
    Invariant(
        "I4",
        "no send after a kill of its scope has committed",
        # A send that had the level's lock first may carry a moment later than the raise that waited for it.
        """SELECT o.uid::text FROM trading_order AS o
             JOIN trading_account AS a ON a.id = o.account_id
             JOIN universe_venue AS v ON v.id = a.venue_id
             JOIN universe_instrument AS i ON i.id = o.instrument_id
             LEFT JOIN trading_strategy AS s ON s.id = o.strategy_id
             JOIN trading_tradingstate AS t
               ON t.scope IN ('global', 'venue:' || v.name, 'account:' || a.name, 'symbol:' || i.symbol,
                              'strategy:' || s.name, 'strategy_symbol:' || s.name || ':' || i.symbol)
            WHERE o.created_at > %(since)s AND t.level >= 2 AND o.origin NOT IN ('flatten', 'protection', 'external')
              AND o.sent_at > t.changed_at + interval '5 seconds'""",
    ),
    Invariant(
        "I6",
        "each trade of the venue is booked once",
        """SELECT account_id || ':' || instrument_id || ':' || trade_id FROM trading_fill
           WHERE recorded_at > %(since)s GROUP BY account_id, instrument_id, trade_id HAVING count(*) > 1""",
    ),
    Invariant(
        "I7",
        "what an order has executed is the sum of its fills",
        """SELECT o.uid::text FROM trading_order AS o
             LEFT JOIN (SELECT order_id, sum(quantity) AS quantity FROM trading_fill
                         WHERE order_id IN (SELECT id FROM trading_order WHERE created_at > %(since)s)
                         GROUP BY order_id) AS f ON f.order_id = o.id
            WHERE o.created_at > %(since)s AND o.origin <> 'external'
              AND o.executed_quantity <> coalesce(f.quantity, 0)""",
    ),
    Invariant(
        "I7",
        "a position is the sum of its fills",
        # From the newest snapshot on: the sum of a long history costs more than a tick has.
        """SELECT a.name || ' ' || i.symbol || ' ' || p.position_side
             FROM trading_position AS p
             JOIN trading_account AS a ON a.id = p.account_id
             JOIN universe_instrument AS i ON i.id = p.instrument_id
             LEFT JOIN LATERAL (
                 SELECT s.last_fill_id, s.last_transfer_id,
                        s.content #>> ARRAY['positions', p.instrument_id || ':' || p.position_side, 'quantity'] AS held
                   FROM trading_booksnapshot AS s WHERE s.account_id = p.account_id ORDER BY s.id DESC LIMIT 1
             ) AS start ON true
            WHERE p.updated_at > %(since)s AND p.quantity <> coalesce(start.held::numeric, 0)
                + coalesce((
                    SELECT sum(CASE WHEN f.side = 'BUY' THEN f.quantity ELSE -f.quantity END
                        - CASE WHEN i.market = 'spot' AND f.commission > 0 AND f.commission_asset = i.base_asset
                               THEN f.commission ELSE 0 END)
                      FROM trading_fill AS f JOIN trading_order AS o ON o.id = f.order_id
                     WHERE f.account_id = p.account_id AND f.instrument_id = p.instrument_id
                       AND o.position_side = p.position_side AND f.id > coalesce(start.last_fill_id, 0)), 0)
                + coalesce((
                    SELECT sum(CASE WHEN t.side = 'BUY' THEN t.quantity ELSE -t.quantity END)
                      FROM trading_positiontransfer AS t
                     WHERE t.position_id = p.id AND t.kind = 'opening'
                       AND t.id > coalesce(start.last_transfer_id, 0)), 0)""",
    ),
    Invariant(
        "I8",
        "the entries of a ledger transaction sum to zero per asset",
        # Entries carry market time; the newest ones are the last written.
        """SELECT transaction || ' ' || asset FROM trading_ledgerentry
            WHERE (account_id, transaction) IN (
                  SELECT account_id, transaction FROM trading_ledgerentry ORDER BY id DESC LIMIT 2000)
            GROUP BY account_id, transaction, asset HAVING sum(amount) <> 0""",
    ),
    Invariant(
        "I9",
        "an order that is over stays over, and nothing executed is ever taken back",
        """SELECT order_id::text FROM (
               SELECT order_id, status, lag(status) OVER (PARTITION BY order_id ORDER BY id) AS before
                 FROM trading_orderevent WHERE at > %(since)s
           ) AS steps
            WHERE before IN ('FILLED', 'CANCELED', 'REJECTED', 'EXPIRED', 'RELEASED', 'DENIED')
              AND status <> before""",
    ),
    Invariant(
        "I10",
        "the orders of a plan sum to no more than the plan was for",
        """SELECT p.id::text FROM trading_plan AS p
             JOIN (SELECT plan_id, sum(CASE WHEN ended_at IS NULL THEN quantity ELSE executed_quantity END) AS taken
                     FROM trading_order WHERE plan_id IS NOT NULL AND status <> 'DENIED' AND created_at > %(since)s
                    GROUP BY plan_id) AS c ON c.plan_id = p.id
            WHERE c.taken > p.parent_quantity""",
    ),
    Invariant(
        "I11",
        "every order at the venue has an intent of ours or is EXTERNAL",
        # Ours went through Tx A and Tx B; what the venue told of and is in no row was lost on the way here.
        """SELECT o.uid::text FROM trading_order AS o
            WHERE o.created_at > %(since)s AND o.origin <> 'external'
              AND (o.venue_order_id IS NOT NULL OR o.algo_id IS NOT NULL)
              AND (o.sent_at IS NULL OR o.fence IS NULL
                   OR NOT EXISTS (SELECT 1 FROM trading_orderevent AS e
                                   WHERE e.order_id = o.id AND e.source = 'authorise'))
           UNION ALL
           SELECT 'event ' || told.id FROM (
               SELECT id, account_id, settled_at, payload ->> 's' AS symbol, payload ->> 'i' AS number
                 FROM trading_venueevent WHERE kind = 'executionReport'
                  AND id > (SELECT coalesce(max(id), 0) - 2000 FROM trading_venueevent)
               UNION ALL
               SELECT id, account_id, settled_at, payload -> 'o' ->> 's', payload -> 'o' ->> 'i'
                 FROM trading_venueevent WHERE kind = 'ORDER_TRADE_UPDATE'
                  AND id > (SELECT coalesce(max(id), 0) - 2000 FROM trading_venueevent)
           ) AS told
            WHERE told.settled_at BETWEEN %(since)s AND %(now)s - interval '60 seconds'
              AND NOT EXISTS (SELECT 1 FROM trading_order AS o
                                JOIN universe_instrument AS i ON i.id = o.instrument_id
                               WHERE o.account_id = told.account_id AND i.symbol = told.symbol
                                 AND o.venue_order_id = told.number::bigint)""",
    ),
    Invariant(
        "I12",
        "an order UNKNOWN for more than 60 s lets no new one of its symbol through",
        """SELECT n.uid::text FROM trading_order AS u
             JOIN trading_order AS n ON n.account_id = u.account_id AND n.instrument_id = u.instrument_id
            WHERE u.status = 'UNKNOWN' AND n.created_at > u.sent_at + interval '60 seconds'
              AND n.status <> 'DENIED' AND n.origin NOT IN ('protection', 'external')
              AND n.created_at > %(since)s""",
    ),
    Invariant(
        "I14",
        "one holder per lease",
        "SELECT name FROM common_lease GROUP BY name HAVING count(*) > 1",
    ),
)
"""I5 is the sweeper's (`bucket_sweep`); I13, the audit chain, is asked beside these."""

SEALS: Final = 20
"""The newest links of the chain a tick looks at; `manage.py audit verify` looks at all."""


def invariants_check() -> list[Violation]:
    """Ask all of them about the last minutes. Each contradiction is counted and logged each time it is seen."""
    found: list[Violation] = []
    moment = now()
    parameters: dict[str, Any] = {"since": moment - WINDOW, "now": moment}
    for invariant in INVARIANTS:
        with connection.cursor() as cursor:
            cursor.execute(invariant.sql, parameters)
            subjects = [str(row[0]) for row in cursor.fetchmany(20)]
        found += [_violated(invariant.name, invariant.claim, subject) for subject in subjects]
    if not audit_verify_tail(SEALS):
        found.append(_violated("I13", "the audit chain verifies", f"one of the newest {SEALS} seals"))
    return found


def _violated(name: str, claim: str, subject: str) -> Violation:
    metrics.INVARIANT_VIOLATIONS.labels(invariant=name).inc()
    log.error("invariant_violated", invariant=name, claim=claim, subject=subject)
    return Violation(name, subject)
