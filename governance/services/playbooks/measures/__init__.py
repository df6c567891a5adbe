"""What playbooks judge by: one function each over rows of a scope, higher is worse.

Whatever a breaker measures already is read by the same function. A figure that rests on nothing has no samples; one
that should be known and is not raises (`Unmeasured`, where the reason is known), and is never taken for zero.
"""

from collections.abc import Callable
from datetime import datetime

from governance.services.playbooks.measures.books import (
    daily_loss,
    drawdown,
    leverage,
    open_trades,
    position_size,
)
from governance.services.playbooks.measures.market import STABLE_COINS, data_age, depeg, funding
from governance.services.playbooks.measures.orders import rejects, venue_lag
from governance.services.playbooks.measures.protection import unprotected
from governance.services.playbooks.measures.regimes import entropies_of, entropy_change
from governance.services.playbooks.measures.together import correlation
from governance.services.playbooks.measures.unmeasured import FRESH_S, Unmeasured
from trading.domain.breakers import Reading

__all__ = [
    "FRESH_S",
    "MEASURES",
    "STABLE_COINS",
    "Measure",
    "Unmeasured",
    "entropies_of",
    "venue_lag",
]

Measure = Callable[[str, datetime, datetime], Reading]
"""(scope, start of the window, now)."""

MEASURES: dict[str, Measure] = {
    "drawdown": drawdown,
    "venue_lag": venue_lag,
    "reject_spike": rejects,
    "entropy_spike": entropy_change,
    "corr_spike": correlation,
    "stale_data": data_age,
    "depeg": depeg,
    "funding_spike": funding,
    "unprotected_position": unprotected,
    "daily_loss": daily_loss,
    "position": position_size,
    "leverage": leverage,
    "open_trades": open_trades,
}
