"""Equity over all accounts as it was written down, at even steps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from trading.models import Account, EquityAnchor

# One look into the index for each step and account, however many snapshots there are between.
_SAMPLES = """
SELECT steps.at, sum(s.equity), sum(s.transferred), max(coalesce(s.market_at, s.at))
  FROM generate_series(%(since)s::timestamptz, %(until)s::timestamptz, %(step)s) AS steps (at)
 CROSS JOIN unnest(%(accounts)s::bigint[]) AS account (id)
 CROSS JOIN LATERAL (
        SELECT equity, transferred, at, market_at FROM trading_equitysnapshot
         WHERE account_id = account.id AND at >= steps.at AND at < steps.at + %(step)s
         ORDER BY at LIMIT 1) AS s
 GROUP BY steps.at HAVING count(*) = cardinality(%(accounts)s::bigint[])
 ORDER BY steps.at
"""


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """`equity` and what had been `transferred` until then, quote currency; `day` is of the market."""

    at: datetime
    equity: Decimal
    transferred: Decimal
    day: date


@dataclass(frozen=True, slots=True)
class PastEquity:
    """`points` in order; `peak` is the highest equity before them, None where it was reached among them."""

    points: tuple[EquityPoint, ...]
    peak: Decimal | None


def equity_past(since: datetime, until: datetime, step: timedelta) -> PastEquity:
    """Equity of all open accounts together. A step at which one of them has no value is left out, as in force."""
    accounts = list(
        Account.objects.filter(is_active=True, opened_at__isnull=False).values_list("pk", flat=True)
    )
    if not accounts:
        return PastEquity((), None)
    with connection.cursor() as cursor:
        parameters: dict[str, Any] = {"since": since, "until": until, "step": step, "accounts": accounts}
        cursor.execute(_SAMPLES, parameters)
        rows = cursor.fetchall()
    points = tuple(EquityPoint(at, equity, moved, told.date()) for at, equity, moved, told in rows)
    anchor = EquityAnchor.objects.filter(pk="global").first()
    if not points or anchor is None:
        return PastEquity(points, None)
    moved = points[-1].transferred - points[0].transferred
    highest = max(point.equity + points[-1].transferred - point.transferred for point in points)
    return PastEquity(points, anchor.peak_equity - moved if anchor.peak_equity > highest else None)
