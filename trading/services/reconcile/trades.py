"""S3, first half: trades the venue lists after each symbol's cursor, by id and so without a gap."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import structlog
from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.services.audit import audit_record
from trading.domain.orders import OrderStatus
from trading.domain.ports import ExecutionVenue, TradeReport
from trading.domain.reconcile import DivergenceKind
from trading.domain.sweeps import MOVED_PER_SWEEP, Sweep
from trading.domain.values import decimal_text
from trading.models import Account, Fill, Order, SweepState, TradeCursor
from trading.services.adoption import order_adopt, order_of_report
from trading.services.divergences import divergence_open
from trading.services.execution.settle import Settlement, settle_all
from trading.services.reconcile.context import Run, instruments_watched
from universe.models import Instrument

log = structlog.get_logger(__name__)

BATCH = 50
"""Orders whose fills are booked in one transaction."""
NAMED = 100
"""Trade ids that one audit row names."""


def sweep_trades(run: Run) -> None:
    """Ask for trades where something moved; in a full run, of every symbol not asked since the run began."""
    run.report.checked.add(DivergenceKind.MISSING_FILL)
    symbols = instruments_watched(run.account) if run.everything else _moved(run)
    for instrument in symbols:
        trades_book(run, instrument)


def trades_book(run: Run, instrument: Instrument) -> None:
    """Book every trade of one symbol after its cursor, unless this run has done so already."""
    cursor = cursor_of(run.account, instrument, run.venue)
    if cursor.swept_at is not None and cursor.swept_at >= run.since:
        run.report.symbols.add(instrument.symbol)
        return
    run.keep_lease()
    asked_at = now()
    trades = run.venue.trades(instrument.symbol, from_id=cursor.last_trade_id + 1, start_ms=None)
    last, finished = missing_book(run, instrument, trades)
    TradeCursor.objects.filter(pk=cursor.pk).update(swept_at=asked_at)
    if finished and last:
        TradeCursor.objects.filter(pk=cursor.pk, last_trade_id__lt=last).update(last_trade_id=last)
    run.report.symbols.add(instrument.symbol)


def missing_book(run: Run, instrument: Instrument, trades: list[TradeReport]) -> tuple[int, bool]:
    """Book those that are not booked. Returns the last id, and whether all up to it are in the books now."""
    if not trades:
        return 0, True
    known = set(
        Fill.objects.filter(
            account=run.account, instrument=instrument, trade_id__in=[t.trade_id for t in trades]
        ).values_list("trade_id", flat=True)
    )
    by_order: dict[int, list[TradeReport]] = {}
    for trade in trades:
        if trade.trade_id not in known:
            by_order.setdefault(trade.venue_order_id, []).append(trade)
    finished = True
    due: list[Settlement] = []
    for venue_order_id, missing in by_order.items():
        order = _order_of(run, instrument, venue_order_id)
        if order is None:
            finished = False
            divergence_open(
                run.account,
                run.report,
                DivergenceKind.MISSING_FILL,
                f"{instrument.symbol}:{missing[0].trade_id}",
                None,
                decimal_text(missing[0].quantity),
                symbols=[instrument.symbol],
                evidence={"trade list": f"order {venue_order_id}", "look-up": "no such order"},
            )
        elif order.status == OrderStatus.SENDING:
            finished = False  # its sender is about to book them; should it have died, the resolver will
        else:
            due.append(Settlement(order.pk, None, tuple(missing), "sweep"))
            if len(due) == BATCH:
                _book(run, instrument, due)
                due = []
    if due:
        _book(run, instrument, due)
    return max(t.trade_id for t in trades), finished


def _book(run: Run, instrument: Instrument, due: list[Settlement]) -> None:
    """Book, and note who repaired what: no repair is silent."""
    trades = sorted(trade.trade_id for settlement in due for trade in settlement.trades)
    with transaction.atomic():
        settle_all(due)
        audit_record(
            action="reconcile.fills_booked",
            target=f"{run.account.name}:{instrument.symbol}",
            actor="reconciliation",
            reason="the venue lists trades that were not in the books",
            after={"sweep": str(run.sweep), "fills": len(trades), "trades": trades[:NAMED]},
        )
    run.report.fills_booked += len(trades)


def _order_of(run: Run, instrument: Instrument, venue_order_id: int) -> Order | None:
    """The order behind a trade: by the venue's id, or by asking the venue what that id is."""
    order = Order.objects.filter(
        account=run.account, instrument=instrument, venue_order_id=venue_order_id
    ).first()
    if order is not None:
        return order
    report = run.venue.query_by_id(instrument.symbol, venue_order_id)
    if report is None:
        return None
    found = order_of_report(run.account, report)
    if found is None:
        found = order_adopt(account=run.account, report=report, source="sweep")
        run.report.orders_adopted += found is not None
    return found


def _moved(run: Run) -> list[Instrument]:
    """Symbols with fills since the last sweep, a few at a time; the rest keep their place in the queue.

    Where nothing was booked there is nothing to check: an order that executed unheard shows in the open orders or
    by its absence there, and anything else in a balance or a position, which then has its symbols asked.
    """
    state, _ = SweepState.objects.get_or_create(account=run.account, sweep=Sweep.TRADES)
    newest = Fill.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    fresh = set(
        Fill.objects.filter(account=run.account, pk__gt=state.progress.get("fill", newest), pk__lte=newest)
        .order_by()
        .values_list("instrument_id", flat=True)
        .distinct()
    )
    queue = [pk for pk in state.progress.get("waiting", []) if pk not in fresh]
    queue += sorted(fresh)
    now_asked, waiting = queue[:MOVED_PER_SWEEP], queue[MOVED_PER_SWEEP:]
    SweepState.objects.filter(pk=state.pk).update(
        progress={**state.progress, "fill": newest, "waiting": waiting}
    )
    return list(Instrument.objects.filter(pk__in=now_asked).order_by("symbol"))


def stalest(account: Account, instruments: Iterable[Instrument], since: datetime) -> list[Instrument]:
    """Those whose trades were not asked for since a moment, longest ago first."""
    asked = dict(TradeCursor.objects.filter(account=account).values_list("instrument_id", "swept_at"))
    due = [i for i in instruments if (at := asked.get(i.pk)) is None or at < since]
    return sorted(due, key=lambda i: (asked.get(i.pk) is not None, asked.get(i.pk), i.symbol))


def cursor_of(account: Account, instrument: Instrument, venue: ExecutionVenue) -> TradeCursor:
    """The symbol's cursor. One that is missing begins after whatever was traded here before we knew the symbol.

    What orders of ours (adopted ones too) have traded meanwhile is not older than we: the cursor stays before it.
    """
    found = TradeCursor.objects.filter(account=account, instrument=instrument).first()
    if found is not None:
        return found
    trades = venue.trades(instrument.symbol, from_id=None, start_ms=None)
    ours = {
        pk
        for pk in Order.objects.filter(account=account, instrument=instrument).values_list(
            "venue_order_id", flat=True
        )
        if pk is not None
    }
    of_ours = [t.trade_id for t in trades if t.venue_order_id in ours]
    last_trade = min(of_ours) - 1 if of_ours else max((t.trade_id for t in trades), default=0)
    if ours:
        last_order = min(ours) - 1
    else:
        placed = venue.orders_since(instrument.symbol, from_id=None)
        last_order = max((o.venue_order_id for o in placed), default=0)
    cursor, _ = TradeCursor.objects.get_or_create(
        account=account,
        instrument=instrument,
        defaults={
            "last_trade_id": last_trade,
            "opening_trade_id": last_trade,
            "last_order_id": last_order,
            "opened_at": account.opened_at or now(),
        },
    )
    return cursor
