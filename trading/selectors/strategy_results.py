"""Returns of strategies per period: from their own results, over their own capital."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from trading.models import StrategyResult

# A spell begins with each mark that has capital: what follows without any is what becomes of that capital.
_RETURNS = """
    WITH mark AS (
        SELECT strategy.name, result.id, result.market_at, result.result, result.capital,
               floor(extract(epoch FROM result.market_at) / %(period)s)::bigint AS bucket,
               count(*) FILTER (WHERE result.capital > 0)
                   OVER (PARTITION BY strategy.name ORDER BY result.market_at, result.id) AS spell
          FROM trading_strategyresult AS result
          JOIN trading_strategy AS strategy ON strategy.id = result.strategy_id
         WHERE strategy.name = ANY(%(names)s) AND result.market_at >= %(since)s AND result.market_at < %(until)s
    ), held AS (
        SELECT mark.*, first_value(capital) OVER one AS held, first_value(market_at) OVER one AS held_at
          FROM mark WINDOW one AS (PARTITION BY name, spell ORDER BY market_at, id)
    ), step AS (
        SELECT name, bucket, lag(bucket) OVER line AS bucket_before, result - lag(result) OVER line AS change,
               greatest(
                   lag(capital) OVER line,
                   CASE WHEN market_at - held_at <= %(period)s * interval '1 second' THEN held ELSE 0 END
               ) AS capital
          FROM held WINDOW line AS (PARTITION BY name ORDER BY market_at, id)
    )
    SELECT bucket, name, sum(change::float8 / capital::float8) FILTER (WHERE capital > 0)
      FROM step
     GROUP BY bucket, name
    HAVING bool_and(coalesce(bucket_before >= bucket - 1, false)) AND bool_or(capital > 0)
     ORDER BY bucket
"""


@dataclass(frozen=True, slots=True)
class StrategyReturns:
    """Attributes
    ----------
    names : the strategies, one per column.
    rows : one per period in which any of them made a return; oldest first. A return is the sum of the changes of the
        result from mark to mark, each over the capital in force: the larger one where it was changed in between, and
        for one more period the last it had where it has none, while what it held is sold. None where a strategy had
        no capital, or no result at either end.
    ends : the end of each row's period.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[float | None, ...], ...]
    ends: tuple[datetime, ...]


def strategy_returns(
    names: Sequence[str], *, period: timedelta, periods: int, until: datetime | None = None
) -> StrategyReturns:
    """Read at most `periods` whole periods of market time that are over by `until` (the newest result)."""
    wanted = tuple(names)
    newest = (
        StrategyResult.objects.filter(strategy__name__in=wanted)
        .order_by("-market_at")
        .values_list("market_at", flat=True)
        .first()
    )
    if newest is None:
        return StrategyReturns(wanted, (), ())
    seconds = int(period.total_seconds())
    last = int((until or newest).timestamp()) // seconds  # its period still runs
    parameters: dict[str, Any] = {
        "period": seconds,
        "names": list(wanted),
        "since": _moment((last - periods - 1) * seconds, newest),
        "until": _moment(last * seconds, newest),
    }
    known: dict[int, dict[str, float]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_RETURNS, parameters)
        for bucket, name, made in cursor.fetchall():
            known.setdefault(bucket, {})[name] = made
    return StrategyReturns(
        wanted,
        tuple(tuple(row.get(name) for name in wanted) for row in known.values()),
        tuple(_moment((bucket + 1) * seconds, newest) for bucket in known),
    )


def _moment(epoch_s: int, like: datetime) -> datetime:
    return datetime.fromtimestamp(epoch_s, tz=like.tzinfo)
