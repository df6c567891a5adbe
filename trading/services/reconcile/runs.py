"""One run over one account: its steps in their order, its report, and what follows from it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import cast

import structlog

from nautilus_site.common.clock import now
from nautilus_site.common.services.leases import Held, lease_acquire, lease_release
from nautilus_site.common.services.outbox import publish
from trading import metrics
from trading.domain.errors import DomainError, VenueError, VenueUnavailable
from trading.domain.ports import ExecutionVenue, FuturesVenue, MarketData
from trading.domain.sweeps import Sweep
from trading.domain.values import Level
from trading.models import Account, Divergence, ReconcileRun, SweepState, TradingState
from trading.services.books.verify import books_check
from trading.services.controls.states import kill_raise
from trading.services.divergences import Report, reconciled, unseen_resolve
from trading.services.execution.resolve import late_landings_check
from trading.services.income import income_sweep
from trading.services.reconcile.balances import sweep_balances
from trading.services.reconcile.context import Run
from trading.services.reconcile.deep import sweep_deep
from trading.services.reconcile.nightly import sweep_nightly
from trading.services.reconcile.open_orders import sweep_open_orders
from trading.services.reconcile.opening import account_open
from trading.services.reconcile.requests import SWEEP_OF
from trading.services.reconcile.startup import check_key, startup_due, sweep_startup
from trading.services.reconcile.trades import sweep_trades
from trading.services.reconcile.unknown import sweep_unknown
from universe.models import StreamState

log = structlog.get_logger(__name__)

RATE_CODES = frozenset({-1003})
RESUMED_FOR = timedelta(minutes=10)
"""A run over everything that the venue's rate stops goes on later where it stopped, for at most this long."""


def account_reconcile(
    *,
    account_id: int,
    venue: ExecutionVenue,
    trigger: str,
    run_id: int | None = None,
    sweep: Sweep | None = None,
    market: Callable[[], MarketData] | None = None,
) -> ReconcileRun | None:
    """Compare one account with its venue and book what explains itself. None when another worker is at it.

    The first run of an account books its opening balances; from then on every balance is the sum of our ledger.
    The first run after a start does S0's part, whatever it was asked for; a smaller one becomes S0.
    """
    account = Account.objects.select_related("venue").get(pk=account_id)
    held = lease_acquire(name=f"reconcile:{account.name}", holder=f"{trigger}:{now().isoformat()}")
    if held is None:
        return None
    startup = startup_due(account, now())
    row = ReconcileRun.objects.filter(pk=run_id).first() if run_id else None
    if row is None:
        row = ReconcileRun(
            account=account, trigger=trigger, sweep=sweep or SWEEP_OF[trigger], started_at=now()
        )
    if startup:
        # Until one has ended well: the attempt alone must not make a later, smaller run look like enough.
        Account.objects.filter(pk=account.pk).update(reconciled_at=None)
        row.sweep = Sweep.STARTUP if row.sweep <= Sweep.TRADES else row.sweep
    if row.pk is not None or row.sweep > Sweep.OPEN_ORDERS or row.sweep == Sweep.STARTUP:
        row.save()
    started = time.perf_counter()
    try:
        run = _run(account, venue, market, row, held, startup=startup)
        _begun(run)
        _steps(run)
        _finish(row, run)
    except DomainError as error:
        if _to_be_resumed(row, error):
            row.report = {**row.report, "waiting": str(error)[:200]}
            row.save()
            return row
        _failed(row, account, error)
        if not isinstance(error, VenueError):
            _halt(account, error)
            raise
    finally:
        lease_release(held)
        metrics.RECONCILE_RUNS.inc()
        metrics.RECONCILE_DURATION.observe(time.perf_counter() - started)
    return row


def _run(
    account: Account,
    venue: ExecutionVenue,
    market: Callable[[], MarketData] | None,
    row: ReconcileRun,
    held: Held,
    *,
    startup: bool,
) -> Run:
    sweep = Sweep(row.sweep)
    startup = startup or sweep is Sweep.STARTUP
    everything = startup or row.trigger != "periodic" or sweep is Sweep.NIGHTLY
    return Run(
        account=account,
        venue=venue,
        market=market,
        sweep=sweep,
        startup=startup,
        everything=everything,
        since=row.started_at,
        held=held,
        report=Report(every_symbol=everything),
    )


def _steps(run: Run) -> None:
    """Everything the sweep contains. Balances are read before and after the trades, and compared where both agree."""
    if run.startup:
        sweep_startup(run)
    if run.account.opened_at is None:
        account_open(run)
        run.account.refresh_from_db()
    if run.startup or run.sweep is Sweep.NIGHTLY:
        books_check(run.account, full=run.sweep is Sweep.NIGHTLY)
    sweep_unknown(run)
    before = run.venue.balances() if run.includes(Sweep.TRADES) else []
    run.open_orders = run.venue.open_orders(None)
    if run.includes(Sweep.TRADES):
        sweep_trades(run)
    sweep_open_orders(run)
    if run.includes(Sweep.DEEP):
        sweep_deep(run)
        check_key(run)
    if run.includes(Sweep.TRADES):
        run.report.late_landings += late_landings_check(
            account_id=run.account.pk, venue=run.venue, everything=run.includes(Sweep.DEEP)
        )
        if run.is_usdm:
            run.report.income_booked += income_sweep(
                run.account, cast("FuturesVenue", run.venue), deep=run.includes(Sweep.DEEP)
            )
        sweep_balances(run, before)
    if run.includes(Sweep.NIGHTLY):
        unseen_resolve(run.account, run.report)
        sweep_nightly(run)


def _begun(run: Run) -> None:
    """Note the attempt for this sweep and those it contains."""
    for sweep in _contained(run.sweep):
        SweepState.objects.update_or_create(account=run.account, sweep=sweep, defaults={"started_at": now()})


def _contained(sweep: Sweep) -> list[Sweep]:
    top = Sweep.TRADES if sweep is Sweep.STARTUP else sweep
    return [s for s in Sweep if s is not Sweep.STARTUP and s <= top]


def _finish(row: ReconcileRun, run: Run) -> None:
    account, report = run.account, run.report
    unseen_resolve(account, report)
    open_now = Divergence.objects.filter(account=account, resolved_at=None).exists()
    row.outcome = (
        ReconcileRun.Outcome.DIVERGENT
        if open_now
        else ReconcileRun.Outcome.REPAIRED
        if report.repairs
        else ReconcileRun.Outcome.CLEAN
    )
    row.report = report.members()
    row.finished_at = now()
    if row.pk or report.repairs or report.divergences:
        row.save()
    if report.repairs:
        metrics.RECONCILE_REPAIRS.inc(report.repairs)
    states = SweepState.objects.filter(account=account, sweep__in=_contained(run.sweep))
    states.update(finished_at=row.finished_at)
    if run.includes(Sweep.TRADES):
        # S0 lets trading start only when it ends clean; later a difference has to be confirmed to stop it.
        if reconciled(account) and not (run.startup and open_now):
            # The platform may have been started anew while this ran: then it counts only if it did S0's part.
            stands = Account.objects.filter(pk=account.pk)
            stands = stands if run.startup else stands.exclude(reconciled_at=None)
            stands.update(reconciled_at=row.finished_at)
            if report.every_symbol:
                _gap_closed(account, row)
        _count_trouble(account, open_now)
    _tell(row)


def _gap_closed(account: Account, row: ReconcileRun) -> None:
    gap = StreamState.objects.filter(name=f"user:{account.name}", gap_since__lte=row.started_at).first()
    if gap is not None and gap.gap_since is not None:
        from universe.services import stream_gap_closed  # the venue's libraries, which few processes need

        stream_gap_closed(name=gap.name, since=gap.gap_since)


def _count_trouble(account: Account, trouble: bool) -> None:
    state, _ = SweepState.objects.get_or_create(account=account, sweep=Sweep.TRADES)
    state.failures = state.failures + 1 if trouble else 0
    state.save(update_fields=["failures"])


def _to_be_resumed(row: ReconcileRun, error: DomainError) -> bool:
    """Whether the venue's rate alone stopped a run over everything: what it has looked at is not lost."""
    return (
        row.pk is not None
        and row.trigger in ("manual", "start", "gap", "nightly")
        and isinstance(error, VenueUnavailable)
        and error.code in RATE_CODES
        and now() - row.started_at < RESUMED_FOR
    )


def _failed(row: ReconcileRun, account: Account, error: DomainError) -> None:
    row.outcome, row.report = ReconcileRun.Outcome.FAILED, {"error": f"{type(error).__name__}: {error}"}
    row.finished_at = now()
    row.save()
    _count_trouble(account, trouble=True)
    log.warning("reconcile_failed", account=account.name, sweep=row.sweep, error=str(error))
    _tell(row)


def _tell(row: ReconcileRun) -> None:
    """Let the screens know: a run worth a row has ended."""
    if row.pk is not None:
        publish(
            "reconcile",
            {"id": row.pk, "account": row.account.name, "sweep": row.sweep, "outcome": row.outcome},
        )


def _halt(account: Account, error: DomainError) -> None:
    """What can never be was found in the books: nothing new is sent for this account until people have looked."""
    scope = f"account:{account.name}"
    state = TradingState.objects.filter(scope=scope).first()
    if state is None or state.level < Level.HALT_NEW:
        kill_raise(
            scope=scope,
            level=Level.HALT_NEW,
            reason=f"reconciliation: {type(error).__name__}: {error}"[:500],
            actor="reconciliation",
        )
