"""What the exchange has confirmed of a kill, and waiting for it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from trading.domain.values import Level
from trading.models import Account, KillEnforcement, TradingState
from trading.services.scopes import parse_scope


@dataclass(frozen=True, slots=True)
class KillReport:
    """What the exchange has confirmed of a kill so far."""

    scope: str
    level: Level
    cancel_requested: int
    open_orders_remaining: int | None
    confirmed: bool
    elapsed_s: float


def kill_wait(*, scope: str, timeout_s: float = 5.0) -> KillReport:
    """Watch the exchange follow a kill until it is confirmed for every account, or the time is over."""
    started = time.monotonic()
    scope = parse_scope(scope)
    while True:
        report = kill_report(scope, time.monotonic() - started)
        if report.confirmed or report.elapsed_s >= timeout_s:
            return report
        time.sleep(0.05)


def kill_report(scope: str, elapsed_s: float) -> KillReport:
    """The state of enforcement of a scope's present level, over all active accounts."""
    state = TradingState.objects.get(scope=scope)
    level = state.effective
    accounts = list(Account.objects.filter(is_active=True).values_list("pk", flat=True))
    rows = KillEnforcement.objects.filter(scope=scope, state_version=state.version, account__in=accounts)
    requested, remaining, confirmed, known = 0, 0, True, True
    for account_id in accounts:
        of_account = [row for row in rows if row.account_id == account_id]
        requested += max((row.cancel_requested for row in of_account), default=0)
        counts = [row.open_orders_remaining for row in of_account if row.open_orders_remaining is not None]
        known = known and bool(counts)
        remaining += min(counts, default=0)
        confirmed = confirmed and any(row.confirmed_at for row in of_account)
    if level < Level.CANCEL:
        # Nothing has to be cancelled at HALT_NEW; the commit of the level is all there is to confirm.
        confirmed = confirmed or level is Level.HALT_NEW
    return KillReport(scope, level, requested, remaining if known else None, confirmed, round(elapsed_s, 3))
