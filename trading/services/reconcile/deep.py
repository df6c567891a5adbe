"""S4: every order of the last day on every symbol, in slices; and trades again from where the day began.

It finds what no other sweep can: an order of ours that the books have in the wrong end state, a stranger's order
that was placed and over between two looks, and a fill that was in the books once and is not any more.
"""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.db.models import F, Max, Min

from nautilus_site.common.clock import now
from trading.domain.orders import OrderStatus, from_venue, is_terminal
from trading.domain.ports import OrderReport
from trading.domain.reconcile import DivergenceKind
from trading.domain.sweeps import Sweep, deep_slice
from trading.domain.values import decimal_text
from trading.models import Fill, Order, TradeCursor
from trading.services.adoption import order_of_report
from trading.services.divergences import divergence_open
from trading.services.reconcile.context import Run, instruments_watched
from trading.services.reconcile.open_orders import report_book
from trading.services.reconcile.periods import sweep_periods
from trading.services.reconcile.repair import facts_restore
from trading.services.reconcile.trades import cursor_of, missing_book
from universe.models import Instrument

log = structlog.get_logger(__name__)
DAY = timedelta(hours=24)


def sweep_deep(run: Run) -> None:
    """Look at a slice of the symbols, those longest not looked at first; in a full run at all of them."""
    run.report.checked |= {DivergenceKind.STATUS_BEHIND, DivergenceKind.FILL_MISMATCH}
    instruments = list(instruments_watched(run.account))
    cursors = {i.pk: cursor_of(run.account, i, run.venue) for i in instruments}
    if run.everything:
        due = [i for i in instruments if (at := cursors[i.pk].deep_swept_at) is None or at < run.since]
    else:
        order = TradeCursor.objects.filter(account=run.account, instrument__in=instruments).order_by(
            F("deep_swept_at").asc(nulls_first=True)
        )
        by_pk = {i.pk: i for i in instruments}
        size = deep_slice(len(instruments), sweep_periods())
        due = [by_pk[pk] for pk in order.values_list("instrument_id", flat=True)[:size]]
    for instrument in due:
        run.keep_lease()
        _look(run, instrument, cursors[instrument.pk])


def deep_overdue(account_id: int) -> bool:
    """Whether some symbol's turn has come."""
    limit = now() - timedelta(seconds=sweep_periods()[Sweep.DEEP])
    cursors = TradeCursor.objects.filter(account_id=account_id)
    return cursors.filter(deep_swept_at=None).exists() or cursors.filter(deep_swept_at__lt=limit).exists()


def _look(run: Run, instrument: Instrument, cursor: TradeCursor) -> None:
    began = now()
    _trades_again(run, instrument, cursor)
    newest = seen_to = _seen_to(run, instrument, cursor)
    for entry in run.venue.orders_since(instrument.symbol, from_id=_first_order(run, instrument, seen_to)):
        newest = max(newest, entry.venue_order_id)
        if entry.venue_order_id <= seen_to and order_of_report(run.account, entry) is None:
            continue  # from before we knew this account: in its opening
        _compare(run, entry)
    TradeCursor.objects.filter(pk=cursor.pk).update(deep_swept_at=began, last_order_id=newest)
    run.report.deep_symbols += 1


def _seen_to(run: Run, instrument: Instrument, cursor: TradeCursor) -> int:
    """The newest order that was looked at. Without a note of it, whatever is over by now is older than we."""
    if cursor.last_order_id is not None:
        return cursor.last_order_id
    placed = run.venue.orders_since(instrument.symbol, from_id=None)
    return max((o.venue_order_id for o in placed if is_terminal(from_venue(o.status))), default=0)


def _first_order(run: Run, instrument: Instrument, seen_to: int) -> int:
    """By ids, which know no clock: the oldest order of the last day, or the first we have not seen."""
    ours = Order.objects.filter(account=run.account, instrument=instrument, created_at__gt=now() - DAY)
    oldest: int | None = ours.aggregate(first=Min("venue_order_id"))["first"]
    return min(oldest, seen_to + 1) if oldest is not None else seen_to + 1


def _trades_again(run: Run, instrument: Instrument, cursor: TradeCursor) -> None:
    """Every trade since the oldest fill of the last day, whatever the cursor says."""
    recent = Fill.objects.filter(
        account=run.account, instrument=instrument, recorded_at__gt=now() - DAY
    ).aggregate(first=Min("trade_id"), last=Max("trade_id"))
    # The last fill of before: everything after it was ours to book, also what is not in the books now.
    before = Fill.objects.filter(
        account=run.account, instrument=instrument, recorded_at__lte=now() - DAY
    ).aggregate(last=Max("trade_id"))["last"]
    opened_after = cursor.opening_trade_id
    start = max(before or 0, opened_after) + 1
    trades = run.venue.trades(instrument.symbol, from_id=start, start_ms=None)
    known = {
        row.trade_id: row
        for row in Fill.objects.filter(
            account=run.account, instrument=instrument, trade_id__gte=min(start, recent["first"] or start)
        )
    }
    lost = [t for t in trades if t.trade_id not in known and t.trade_id <= cursor.last_trade_id]
    if lost:
        facts_restore(run, instrument, [t.venue_order_id for t in lost])
    for trade in trades:
        row = known.get(trade.trade_id)
        if row is not None and (row.price, row.quantity, row.side) != (
            trade.price,
            trade.quantity,
            trade.side,
        ):
            divergence_open(
                run.account,
                run.report,
                DivergenceKind.FILL_MISMATCH,
                f"{instrument.symbol}:{trade.trade_id}",
                f"{row.side} {decimal_text(row.quantity)} @ {decimal_text(row.price)}",
                f"{trade.side} {decimal_text(trade.quantity)} @ {decimal_text(trade.price)}",
                symbols=[instrument.symbol],
                evidence={"trade list": f"trade {trade.trade_id}"},
            )
    missing_book(run, instrument, trades)


def _compare(run: Run, entry: OrderReport) -> None:
    order = order_of_report(run.account, entry)
    if order is None or entry.executed_quantity > order.executed_quantity:
        report_book(run, entry)
        return
    told, ours = from_venue(entry.status), OrderStatus(order.status)
    if told == ours or ours in (OrderStatus.SENDING, OrderStatus.UNKNOWN, OrderStatus.RESERVED):
        return
    settled = report_book(run, entry)
    if settled is not None and settled.status != told:
        divergence_open(
            run.account,
            run.report,
            DivergenceKind.STATUS_BEHIND,
            f"{entry.symbol}:{entry.client_order_id}",
            f"{settled.status} executed {decimal_text(settled.executed_quantity)}",
            f"{told} executed {decimal_text(entry.executed_quantity)}",
            symbols=[entry.symbol],
            evidence={"order list": f"order {entry.venue_order_id}"},
        )
