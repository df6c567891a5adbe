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
"""I5 is the sweeper's (`bucket_sweep`), I11 reconciliation's, I13 the audit chain's."""


def invariants_check() -> list[Violation]:
    """Ask all of them about the last minutes. Each contradiction is counted and logged each time it is seen."""
    found: list[Violation] = []
    parameters: dict[str, Any] = {"since": now() - WINDOW}
    for invariant in INVARIANTS:
        with connection.cursor() as cursor:
            cursor.execute(invariant.sql, parameters)
            subjects = [str(row[0]) for row in cursor.fetchmany(20)]
        for subject in subjects:
            metrics.INVARIANT_VIOLATIONS.labels(invariant=invariant.name).inc()
            log.error("invariant_violated", invariant=invariant.name, claim=invariant.claim, subject=subject)
            found.append(Violation(invariant.name, subject))
    return found
