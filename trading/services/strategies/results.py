"""Results of strategies, written down as they go, with the model that decided."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection
from django.db.models import Max

from nautilus_site.common.clock import now
from trading.models import Strategy, StrategyResult
from trading.services.models import model_name

EVERY = timedelta(minutes=1)
KEEP_FINE = timedelta(days=7)


def results_mark(
    values: Mapping[str, tuple[Decimal, Decimal]], *, at: datetime, market_at: datetime | None
) -> int:
    """Write (equity, capital) by strategy down, unless the last time is less than a minute ago.

    A model that changed in between begins its own row at once. Returns how many rows are new.
    """
    strategies = {
        row.name: row
        for row in Strategy.objects.filter(name__in=list(values)).annotate(last_id=Max("results__id"))
    }
    ids = [row.last_id for row in strategies.values() if row.last_id is not None]
    latest = {row.pk: row for row in StrategyResult.objects.filter(pk__in=ids)}
    fresh = []
    for name, strategy in strategies.items():
        equity, capital = values[name]
        last, model = latest.get(strategy.last_id), model_name(strategy)
        if last is not None and last.at > at - EVERY and last.model == model:
            continue
        fresh.append(
            StrategyResult(
                strategy=strategy,
                model=model,
                at=at,
                market_at=market_at or at,
                capital=capital,
                result=equity - capital,
            )
        )
    StrategyResult.objects.bulk_create(fresh)
    return len(fresh)


def results_prune() -> int:
    """Thin results older than a week to the first of each hour. Returns how many were deleted."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM trading_strategyresult AS s USING trading_strategyresult AS first
             WHERE s.at < %s AND first.strategy_id = s.strategy_id AND first.model = s.model AND first.id < s.id
               AND date_trunc('hour', first.market_at) = date_trunc('hour', s.market_at)
            """,
            [now() - KEEP_FINE],
        )
        return int(cursor.rowcount)
