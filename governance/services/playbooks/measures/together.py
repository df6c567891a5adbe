"""Whether what may be traded moves together."""

from __future__ import annotations

from datetime import datetime

from governance.domain.playbooks import in_common, mean_correlation
from trading.domain.breakers import Reading
from trading.models import SymbolAllowance
from universe.models import Bar

_MINUTE_S = 60


def correlation(scope: str, since: datetime, moment: datetime) -> Reading:
    """Mean correlation of the one-minute returns of what may be traded, over the bars of the window.

    A symbol that has too few of the minutes the others have is left out and named: it would leave nothing to compare.
    """
    symbols: dict[str, int] = {}
    for pk, symbol in SymbolAllowance.objects.order_by("instrument__market", "instrument_id").values_list(
        "instrument_id", "instrument__symbol"
    ):
        symbols.setdefault(symbol, pk)
    # By when they were received: while the demo's market hurries, its minutes are not ours.
    most = int((moment - since).total_seconds()) // _MINUTE_S + 1
    columns: dict[str, dict[datetime, float]] = {}
    for symbol, pk in symbols.items():
        bars = Bar.objects.filter(instrument_id=pk, interval="1m", received_at__gt=since)
        columns[symbol] = {
            at: float(close)
            for at, close in bars.order_by("-open_time").values_list("open_time", "close")[:most]
        }
    kept, minutes = in_common(columns)
    left_out = sorted(set(columns) - set(kept))
    without = f"; too few bars of {', '.join(left_out)}" if left_out else ""
    if len(kept) < 2 or len(minutes) < 3:
        return Reading(0.0, 0, f"fewer than two symbols with bars in common{without}")
    try:
        value = mean_correlation([[columns[name][at] for name in kept] for at in minutes])
    except ValueError:
        return Reading(0.0, 0, f"fewer than two symbols moved{without}")
    return Reading(value, len(minutes) - 1, f"mean correlation {value:.2f} of {len(kept)} symbols{without}")
