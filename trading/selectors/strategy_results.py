"""Returns of strategies per period: from their own results, over their own capital."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from trading.models import StrategyResult

_LAST_OF_EACH = """
    SELECT DISTINCT ON (bucket, strategy.name)
           floor(extract(epoch FROM result.market_at) / %(period)s)::bigint AS bucket,
           strategy.name, result.result, result.capital
      FROM trading_strategyresult AS result
      JOIN trading_strategy AS strategy ON strategy.id = result.strategy_id
     WHERE strategy.name = ANY(%(names)s) AND result.market_at >= %(since)s AND result.market_at < %(until)s
     ORDER BY bucket, strategy.name, result.market_at DESC, result.id DESC
"""


@dataclass(frozen=True, slots=True)
class StrategyReturns:
    """Attributes
    ----------
    names : the strategies, one per column.
    rows : one per period in which any of them made a return; oldest first. A return is the change of the result over
        the capital granted at the beginning; None where a strategy had none, or no result at either end.
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
    known: dict[int, dict[str, tuple[float, float]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_LAST_OF_EACH, parameters)
        for bucket, name, result, capital in cursor.fetchall():
            known.setdefault(bucket, {})[name] = (float(result), float(capital))
    rows, ends = [], []
    for bucket in sorted(known):
        before, after = known.get(bucket - 1, {}), known[bucket]
        row = tuple(_return(before.get(name), after.get(name)) for name in wanted)
        if any(value is not None for value in row):
            rows.append(row)
            ends.append(_moment((bucket + 1) * seconds, newest))
    return StrategyReturns(wanted, tuple(rows), tuple(ends))


def _return(before: tuple[float, float] | None, after: tuple[float, float] | None) -> float | None:
    """Of (result, capital) at both ends. Without capital there is no return: nothing could be earned or lost."""
    if before is None or after is None or before[1] <= 0:
        return None
    return (after[0] - before[0]) / before[1]


def _moment(epoch_s: int, like: datetime) -> datetime:
    return datetime.fromtimestamp(epoch_s, tz=like.tzinfo)
