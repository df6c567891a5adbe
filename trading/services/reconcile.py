"""Comparing our books with the venue: at the start, on a schedule, after a gap, and when somebody asks.

What the venue lists as a trade is booked; what nothing explains stays open as a divergence and keeps new risk
out. Nothing is ever assumed filled, and no sweep gives up.
"""

from __future__ import annotations

import time
from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import Q

from nautilus_site.common.clock import now
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.hints import enqueue_on_commit
from nautilus_site.common.services.leases import lease_acquire, lease_release
from trading import metrics
from trading.domain.errors import DomainError, VenueError, VenueUnavailable
from trading.domain.orders import OrderStatus
from trading.domain.ports import ExecutionVenue, OrderReport, TradeReport
from trading.domain.values import Level, decimal_text
from trading.models import (
    Account,
    Divergence,
    Fill,
    LedgerEntry,
    Order,
    ReconcileRun,
    TradeCursor,
    TradingState,
)
from trading.services.adoption import order_adopt, order_of_report, report_settle
from trading.services.controls.states import kill_raise
from trading.services.divergences import (
    Report,
    balance_totals,
    balances_compare,
    divergence_open,
    last_ledger_entry,
    unseen_resolve,
)
from trading.services.execution.resolve import (
    late_landings_check,
    order_resolve,
    orders_in_doubt,
    report_trades,
)
from trading.services.execution.settle import order_settle
from trading.services.exposure import balances_locked
from trading.services.ledger import Line, ledger_post
from universe.models import Instrument, StreamState
from universe.services import stream_gap_closed

log = structlog.get_logger(__name__)
CONFIRMED_AFTER = 2
MOVED_LATELY = timedelta(seconds=60)
EVERYTHING_EVERY = timedelta(minutes=5)


@transaction.atomic
def reconcile_request(*, account: Account, actor: User | str, trigger: str = "manual") -> ReconcileRun:
    """Ask a worker to reconcile an account now."""
    run = ReconcileRun.objects.create(account=account, trigger=trigger, started_at=now())
    audit_record(action="reconcile.requested", target=account.name, actor=actor)
    enqueue_on_commit(
        "trading.tasks.account_reconcile",
        queue="control",
        account_id=account.pk,
        trigger=trigger,
        run_id=run.pk,
    )
    return run


def account_reconcile(
    *, account_id: int, venue: ExecutionVenue, trigger: str, run_id: int | None = None
) -> ReconcileRun | None:
    """Compare one account with its venue and book what explains itself. None when another worker is at it.

    The first run of an account books its opening balances; from then on every balance is the sum of our ledger.
    """
    account = Account.objects.select_related("venue").get(pk=account_id)
    held = lease_acquire(name=f"reconcile:{account.name}", holder=f"{trigger}:{now().isoformat()}")
    if held is None:
        return None
    run = ReconcileRun.objects.filter(pk=run_id).first() if run_id else None
    if run is None:
        run = ReconcileRun.objects.create(account=account, trigger=trigger, started_at=now())
    started = time.perf_counter()
    try:
        report = Report(every_symbol=trigger != "periodic" or _sweeps_everything(account))
        if account.opened_at is None:
            _open(account, venue)
            account.refresh_from_db()
        _reconcile(account, venue, report)
        _finish(run, account, report)
    except DomainError as error:
        run.outcome, run.report = ReconcileRun.Outcome.FAILED, {"error": f"{type(error).__name__}: {error}"}
        run.finished_at = now()
        run.save()
        log.warning("reconcile_failed", account=account.name, error=str(error))
        if not isinstance(error, VenueError):
            _halt(account, error)
            raise
    finally:
        lease_release(held)
        metrics.RECONCILE_RUNS.inc()
        metrics.RECONCILE_DURATION.observe(time.perf_counter() - started)
    return run


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


def _open(account: Account, venue: ExecutionVenue) -> None:
    """Book what the account holds before we ever traded it, and remember the last trade of each symbol."""
    instruments = list(Instrument.objects.filter(venue=account.venue, status="TRADING"))
    last = {
        i.pk: max((t.trade_id for t in venue.trades(i.symbol, from_id=None, start_ms=None)), default=0)
        for i in instruments
    }
    balances = venue.balances()
    if not balances:
        # An account that holds nothing cannot trade; more likely the venue has lost sight of its balances.
        raise VenueUnavailable(None, f"the venue lists no balance of {account.name}: not opened")
    with transaction.atomic():
        locked = Account.objects.select_for_update(of=("self",), no_key=True).get(pk=account.pk)
        if locked.opened_at is not None:
            return
        moment = now()
        for instrument in instruments:
            TradeCursor.objects.get_or_create(
                account=account,
                instrument=instrument,
                defaults={"last_trade_id": last[instrument.pk], "opened_at": moment},
            )
        balances_locked(account, {b.asset for b in balances})
        ledger_post(
            account=account,
            transaction="opening",
            lines=[Line(b.asset, b.free + b.locked, LedgerEntry.Kind.OPENING) for b in balances],
            at=moment,
        )
        locked.opened_at = moment
        locked.save(update_fields=["opened_at"])
        audit_record(
            action="account.opened",
            target=account.name,
            actor="reconciliation",
            after={b.asset: decimal_text(b.free + b.locked) for b in balances},
        )


def _reconcile(account: Account, venue: ExecutionVenue, report: Report) -> None:
    for order_id in orders_in_doubt(account.pk):
        status = order_resolve(order_id=order_id, venue=venue)
        report.resolved += status not in (OrderStatus.SENDING, OrderStatus.UNKNOWN)
    # Balances are read before and after the trades: only what both readings agree on is compared.
    before = venue.balances()
    open_orders = venue.open_orders(None)
    for symbol in _symbols(account, open_orders, report):
        _sweep_trades(account, symbol, venue, report)
    _sweep_orders(account, venue, open_orders, report)
    report.late_landings += late_landings_check(account_id=account.pk, venue=venue)
    booked_to = last_ledger_entry(account)
    after = venue.balances()
    if balance_totals(before) == balance_totals(after):
        balances_compare(account, after, booked_to, report)


def _sweeps_everything(account: Account) -> bool:
    """Whether a periodic run looks at every symbol: while anything is unexplained, and every five minutes.

    Asking for trades costs the venue's weight per symbol; a symbol where no order of ours moved has none to tell.
    """
    if Divergence.objects.filter(account=account, resolved_at=None).exists():
        return True
    return not ReconcileRun.objects.filter(
        account=account, finished_at__gt=now() - EVERYTHING_EVERY, report__every_symbol=True
    ).exists()


def _symbols(account: Account, open_orders: list[OrderReport], report: Report) -> list[str]:
    """Symbols to ask for trades: those with orders that moved lately or are open; in a full run all ever traded."""
    orders = Order.objects.filter(account=account)
    if not report.every_symbol:
        orders = orders.filter(Q(ended_at=None) | Q(updated_at__gt=now() - MOVED_LATELY))
    moved = set(orders.order_by().values_list("instrument__symbol", flat=True).distinct())
    return sorted(moved | {entry.symbol for entry in open_orders})


def _sweep_trades(account: Account, symbol: str, venue: ExecutionVenue, report: Report) -> None:
    """Book every trade after the cursor, then move the cursor over what is certainly booked."""
    instrument = Instrument.objects.get(venue=account.venue, symbol=symbol)
    cursor, _ = TradeCursor.objects.get_or_create(
        account=account, instrument=instrument, defaults={"opened_at": account.opened_at or now()}
    )
    trades = venue.trades(symbol, from_id=cursor.last_trade_id + 1, start_ms=None)
    if not trades:
        return
    known = set(
        Fill.objects.filter(
            account=account, instrument=instrument, trade_id__in=[t.trade_id for t in trades]
        ).values_list("trade_id", flat=True)
    )
    by_order: dict[int, list[TradeReport]] = {}
    for trade in trades:
        if trade.trade_id not in known:
            by_order.setdefault(trade.venue_order_id, []).append(trade)
    unfinished = False
    for venue_order_id, missing in by_order.items():
        order = _order_of(account, instrument, venue_order_id, venue)
        if order is None:
            unfinished = True
            divergence_open(
                account,
                report,
                "MISSING_FILL",
                f"{symbol}:{missing[0].trade_id}",
                None,
                str(missing[0].quantity),
            )
            continue
        if order.status == OrderStatus.SENDING:
            unfinished = True  # its sender is about to book them; should it have died, the resolver will
            continue
        order_settle(order_id=order.pk, report=None, trades=missing, source="sweep")
        report.fills_booked += len(missing)
    if not unfinished:
        last = max(t.trade_id for t in trades)
        TradeCursor.objects.filter(pk=cursor.pk, last_trade_id__lt=last).update(last_trade_id=last)


def _order_of(
    account: Account, instrument: Instrument, venue_order_id: int, venue: ExecutionVenue
) -> Order | None:
    """The order behind a trade: by the venue's id, or by asking the venue what that id is."""
    order = Order.objects.filter(
        account=account, instrument=instrument, venue_order_id=venue_order_id
    ).first()
    if order is not None:
        return order
    report = venue.query_by_id(instrument.symbol, venue_order_id)
    if report is None:
        return None
    return order_of_report(account, report) or order_adopt(account=account, report=report, source="sweep")


def _sweep_orders(
    account: Account, venue: ExecutionVenue, open_orders: list[OrderReport], report: Report
) -> None:
    """Settle every order the venue lists, and ask about every order of ours it does not list."""
    listed = set()
    for entry in open_orders:
        listed.add(entry.client_order_id)
        known = order_of_report(account, entry)
        if known is None:
            report.orders_adopted += 1
        elif known.status == OrderStatus.NEW and entry.executed_quantity == known.executed_quantity:
            continue
        report_settle(account=account, report=entry, source="sweep")
    ours = Order.objects.filter(
        account=account, status__in=(OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)
    ).exclude(client_order_id__in=listed)
    for order in ours.select_related("instrument"):
        found = venue.query(order.instrument.symbol, client_order_id=order.client_order_id)
        if found is None:
            divergence_open(account, report, "ORDER_NOT_AT_VENUE", order.client_order_id, order.status, None)
            continue
        before = order.status
        trades = report_trades(order, found, venue)
        settled = order_settle(order_id=order.pk, report=found, trades=trades, source="sweep")
        report.orders_settled += settled.status != before


def _finish(run: ReconcileRun, account: Account, report: Report) -> None:
    unseen_resolve(account, report)
    open_now = Divergence.objects.filter(account=account, resolved_at=None).exists()
    run.outcome = (
        ReconcileRun.Outcome.DIVERGENT
        if open_now
        else ReconcileRun.Outcome.REPAIRED
        if report.repairs
        else ReconcileRun.Outcome.CLEAN
    )
    run.report = {
        "fills_booked": report.fills_booked,
        "orders_settled": report.orders_settled,
        "orders_adopted": report.orders_adopted,
        "resolved": report.resolved,
        "late_landings": report.late_landings,
        "divergences": report.divergences,
        "every_symbol": report.every_symbol,
    }
    run.finished_at = now()
    run.save()
    if report.repairs:
        metrics.RECONCILE_REPAIRS.inc(report.repairs)
    if not Divergence.objects.filter(
        account=account, resolved_at=None, sightings__gte=CONFIRMED_AFTER
    ).exists():
        Account.objects.filter(pk=account.pk).update(reconciled_at=now())
        if report.every_symbol:
            gap = StreamState.objects.filter(
                name=f"user:{account.name}", gap_since__lte=run.started_at
            ).first()
            if gap is not None and gap.gap_since is not None:
                stream_gap_closed(name=gap.name, since=gap.gap_since)
