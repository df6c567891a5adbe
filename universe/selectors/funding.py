"""Reading what perpetuals settled."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db.models import Count, Max, Min

from trading.domain.clock import ns_to_datetime
from universe.models import FundingRate

if TYPE_CHECKING:  # numpy comes with whoever reads a column
    import numpy as np
    import numpy.typing as npt

LONGEST = timedelta(hours=8)
"""Between two settlements of any contract."""


def funding_history(
    symbol: str, *, since: datetime, until: datetime
) -> list[tuple[datetime, Decimal, Decimal | None]]:
    """Return (time, rate, mark price) of what was settled up to `until`, ascending.

    Begins with what was in force at `since`: up to eight hours before it.
    """
    rows = FundingRate.objects.filter(
        symbol=symbol, funding_at__gte=since - LONGEST - timedelta(minutes=1), funding_at__lte=until
    )
    return list(rows.order_by("funding_at").values_list("funding_at", "rate", "mark_price"))


def funding_in_force(symbol: str, close_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return (N,) the rate each close knows, a fraction, NaN where none is known; empty where none is stored at all.

    Parameters
    ----------
    close_ns : (N,) market time of closes, ascending.
    """
    import numpy as np

    from trading.domain.clock import datetime_to_ns
    from trading.domain.funding import rates_in_force

    if not len(close_ns) or not FundingRate.objects.filter(symbol=symbol).exists():
        return np.empty(0)
    rows = funding_history(
        symbol, since=ns_to_datetime(int(close_ns[0])), until=ns_to_datetime(int(close_ns[-1]))
    )
    times = np.array([datetime_to_ns(at) for at, _, _ in rows], dtype=np.int64)
    return rates_in_force(close_ns, times, np.array([float(rate) for _, rate, _ in rows]))


def funding_overview() -> list[tuple[str, int, datetime, datetime]]:
    """Return (symbol, rates, first, last) of every contract there is a history of."""
    rows = FundingRate.objects.order_by("symbol").values("symbol")
    return list(
        rows.annotate(n=Count("pk"), first=Min("funding_at"), last=Max("funding_at")).values_list(
            "symbol", "n", "first", "last"
        )
    )


def funding_latest(symbol: str) -> datetime | None:
    """Return when the newest stored settlement was."""
    newest: datetime | None = FundingRate.objects.filter(symbol=symbol).aggregate(at=Max("funding_at"))["at"]
    return newest
