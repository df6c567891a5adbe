"""Equity over time, thinned to what a chart can show."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Min

from trading.models import EquitySnapshot
from trading.selectors.notation import amount_text, utc_text

MAXIMUM_POINTS = 5000
START_UP = timedelta(minutes=5)
"""Accounts that are first worth something within this time of each other began together."""
_COLUMNS = ("equity", "cash", "market_value", "unrealized", "realized", "commission")

# Each bucket of time keeps its last snapshot of every account; accounts are added up afterwards, each
# carrying its latest value forward, so that a total never dips because one account reported later.
_THINNED = """
    SELECT DISTINCT ON (bucket, account_id)
        width_bucket(extract(epoch FROM s.at), %(first)s, %(last)s, %(points)s) AS bucket,
        s.account_id, s.at, s.market_at,
        s.equity, s.cash, s.market_value, s.unrealized, s.realized, s.commission
    FROM trading_equitysnapshot s
    JOIN trading_account a ON a.id = s.account_id
    WHERE s.at >= %(since)s AND (%(account)s::text IS NULL OR a.name = %(account)s)
    ORDER BY bucket, account_id, s.at DESC, s.id DESC
"""


def equity_series(
    *, account: str | None = None, since: datetime, until: datetime, points: int = 500
) -> list[dict[str, Any]]:
    """Equity from `since` on, oldest first, at most `points` long; summed over accounts unless one is named.

    Every point is a real snapshot (per account the last one of its stretch of time), never an average. Accounts that
    began together are a sum from the first moment all of them are known; one that came later adds what it brought.
    """
    began = sorted(
        EquitySnapshot.objects.filter(at__gte=since, **({"account__name": account} if account else {}))
        .values_list("account")
        .annotate(first=Min("at"))
        .values_list("first", flat=True)
    )
    complete = max((at for at in began if at - began[0] <= START_UP), default=since)
    # The stretches divide the time there is data for, so that a young platform has a curve, not a dot.
    first = (began[0] if began else since).timestamp()
    last = max(until.timestamp(), first + 1)
    parameters: dict[str, float | int | datetime | str | None] = {
        "first": first,
        "last": last,
        "points": max(1, min(points, MAXIMUM_POINTS) - 1),
        "since": since,
        "account": account,
    }
    with connection.cursor() as cursor:
        cursor.execute(_THINNED, parameters)
        rows = cursor.fetchall()
    latest: dict[int, tuple[Any, ...]] = {}
    series: dict[int, dict[str, Any]] = {}
    for bucket, account_id, at, market_at, *amounts in rows:
        latest[account_id] = tuple(amounts)
        sums = [sum(column) for column in zip(*latest.values(), strict=True)]
        known = series.get(bucket)
        series[bucket] = {
            "at": max(at, known["at"]) if known else at,
            "market_at": market_at,
            "amounts": sums,
        }
    return [_point_members(point) for _, point in sorted(series.items()) if point["at"] >= complete]


def _point_members(point: dict[str, Any]) -> dict[str, Any]:
    amounts = dict(zip(_COLUMNS, point["amounts"], strict=True))
    return {
        "at": utc_text(point["at"]),
        "market_at": utc_text(point["market_at"]),
        "equity": amount_text(amounts["equity"]),
        "cash": amount_text(amounts["cash"]),
        "market_value": amount_text(amounts["market_value"]),
        "unrealized_pnl": amount_text(amounts["unrealized"]),
        "realized_pnl": amount_text(amounts["realized"]),
        "fees": amount_text(amounts["commission"]),
    }
