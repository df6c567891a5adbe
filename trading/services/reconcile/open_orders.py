"""S2: every order the venue lists as open, on both its services, and every order of ours it does not list.

An order is matched by id and never by what positions it would explain: a list of working orders is a fact.
"""

from __future__ import annotations

from datetime import timedelta

import structlog

from nautilus_site.common.clock import now
from trading.domain.errors import VenueRejected
from trading.domain.orders import OrderStatus, from_venue, is_terminal
from trading.domain.ports import OrderReport
from trading.domain.reconcile import DivergenceKind
from trading.domain.sweeps import Sweep
from trading.domain.values import decimal_text
from trading.models import Order, SweepState
from trading.services.adoption import order_adopt, order_of_report
from trading.services.divergences import divergence_open
from trading.services.execution.settle import order_settle
from trading.services.execution.trades import report_trades
from trading.services.reconcile.context import Run

log = structlog.get_logger(__name__)

SHOWN = 200
GRACE = timedelta(seconds=25)
"""After an acknowledgement: a look-up may still read a copy in which the order does not exist (-2013)."""


def sweep_open_orders(run: Run) -> None:
    """Settle what is listed, adopt what is not ours, ask about what is missing."""
    run.report.checked.add(DivergenceKind.ORDER_NOT_AT_VENUE)
    _remember(run)
    listed: set[str] = set()
    for entry in run.open_orders:
        order = order_of_report(run.account, entry)
        listed.add(order.client_order_id if order is not None else entry.client_order_id)
        report_book(run, entry)
    missing = Order.objects.filter(
        account=run.account, status__in=(OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)
    ).exclude(client_order_id__in=listed)
    for order in missing.select_related("instrument", "account"):
        run.keep_lease()
        _ask(run, order)


def _remember(run: Run) -> None:
    """Keep the list as it was read, for people to look at."""
    told = [
        {
            "symbol": o.symbol,
            "client_order_id": o.client_order_id,
            "side": str(o.side),
            "status": o.status,
            "executed": decimal_text(o.executed_quantity),
            "service": str(o.service),
        }
        for o in run.open_orders[:SHOWN]
    ]
    SweepState.objects.update_or_create(
        account=run.account,
        sweep=Sweep.OPEN_ORDERS,
        defaults={"progress": {"at": now().isoformat(), "orders": told, "count": len(run.open_orders)}},
    )


def report_book(run: Run, entry: OrderReport) -> Order | None:
    """Settle one report of the venue with the trades it counts and we do not have."""
    order = order_of_report(run.account, entry)
    if order is None:
        order = order_adopt(account=run.account, report=entry, source="sweep")
        if order is None:
            return None
        run.report.orders_adopted += 1
    ahead = entry.executed_quantity > order.executed_quantity
    told = from_venue(entry.status)
    if not ahead and (order.reported_status == told or is_terminal(OrderStatus(order.status))):
        return order
    before = order.status
    trades = report_trades(order, entry, run.venue) if ahead else ()
    fills = order.executed_quantity
    settled = order_settle(order_id=order.pk, report=entry, trades=trades, source="sweep")
    run.report.fills_booked += len(trades) if settled.executed_quantity > fills else 0
    run.report.orders_settled += settled.status != before
    return settled


def _ask(run: Run, order: Order) -> None:
    try:
        found = run.venue.query(order.instrument.symbol, client_order_id=order.client_order_id)
    except VenueRejected as error:
        # Our clock or the symbol, not the order: never counted against it.
        log.warning("order_not_asked", client_order_id=order.client_order_id, error=str(error)[:200])
        return
    if found is not None:
        report_book(run, found)
        return
    if order.acknowledged_at is not None and now() - order.acknowledged_at < GRACE:
        return
    divergence_open(
        run.account,
        run.report,
        DivergenceKind.ORDER_NOT_AT_VENUE,
        order.client_order_id,
        order.status,
        None,
        symbols=[order.instrument.symbol],
        evidence={"list": "not among the open orders", "look-up": "does not exist"},
    )
