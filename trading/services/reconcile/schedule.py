"""Which sweep is due, asked once a second: one that somebody wants, one that trouble calls for, or its turn."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from nautilus_site.common.clock import now
from trading.domain.ports import ExecutionVenue, MarketData
from trading.domain.sweeps import Standing, Sweep, next_sweep
from trading.models import Account, Divergence, ReconcileRun, SweepState
from trading.services.reconcile.deep import deep_overdue
from trading.services.reconcile.nightly import nightly_due
from trading.services.reconcile.periods import sweep_periods
from trading.services.reconcile.runs import account_reconcile
from trading.services.reconcile.startup import startup_due
from universe.models import StreamState

RESUME_EVERY = timedelta(seconds=5)


def sweep_if_due(
    *,
    account: Account,
    venue: Callable[[], ExecutionVenue],
    market: Callable[[], MarketData] | None = None,
) -> ReconcileRun | None:
    """Run what is due for one account. What somebody asked for and whose message was lost comes first."""
    moment = now()
    asked = ReconcileRun.objects.filter(account=account, finished_at=None).order_by("pk").first()
    if asked is not None:
        attempt = _age(_state(account, Sweep.UNKNOWN).started_at, moment)
        if asked.report.get("waiting") and attempt is not None and attempt < RESUME_EVERY.total_seconds():
            return None
        return account_reconcile(
            account_id=account.pk, venue=venue(), trigger=asked.trigger, run_id=asked.pk, market=market
        )
    standing = standing_read(account, moment)
    sweep = next_sweep(standing, sweep_periods())
    if sweep is None:
        return None
    trigger = "periodic"
    if sweep is Sweep.STARTUP:
        trigger = "start"
    elif sweep is Sweep.NIGHTLY:
        trigger = "nightly"
    elif standing.gap and sweep is Sweep.TRADES:
        trigger = "gap"
    return account_reconcile(
        account_id=account.pk,
        venue=venue(),
        trigger=trigger,
        sweep=sweep,
        market=market,
    )


def standing_read(account: Account, moment: datetime) -> Standing:
    """What the rows say about an account's sweeps."""
    states = {s.sweep: s for s in SweepState.objects.filter(account=account)}
    stream = StreamState.objects.filter(name=f"user:{account.name}").first()
    back = (
        stream is not None
        and stream.gap_since is not None
        and stream.connected_at is not None
        and stream.connected_at >= stream.gap_since
    )
    trades, orders = states.get(Sweep.TRADES), states.get(Sweep.OPEN_ORDERS)
    failures = trades.failures if trades else 0
    return Standing(
        opened=account.opened_at is not None,
        reconciled=not startup_due(account, moment),
        gap=back,
        trouble=failures > 0 or Divergence.objects.filter(account=account, resolved_at=None).exists(),
        failures=failures,
        open_orders_age_s=_age(orders.started_at if orders else None, moment),
        trades_age_s=_age(trades.finished_at if trades else None, moment),
        attempt_age_s=_age(trades.started_at if trades else None, moment),
        deep_due=deep_overdue(account.pk),
        nightly_due=nightly_due(account, moment),
    )


def sweeps_restart() -> None:
    """The platform starts: every account is reconciled from the beginning before it may trade."""
    Account.objects.update(reconciled_at=None)


def _state(account: Account, sweep: Sweep) -> SweepState:
    state, _ = SweepState.objects.get_or_create(account=account, sweep=sweep)
    return state


def _age(at: datetime | None, moment: datetime) -> float | None:
    return None if at is None else (moment - at).total_seconds()
