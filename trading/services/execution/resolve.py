"""What became of an order whose answer never came: found and settled, or proven never to have happened."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import structlog
from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.crash_points import crash_point
from trading.domain.errors import VenueError
from trading.domain.orders import OrderStatus
from trading.domain.ports import ExecutionVenue, OrderListVenue, OrderReport
from trading.domain.reconcile import absence_proven
from trading.models import Fill, Order, VenueEvent
from trading.services.execution.release import order_end
from trading.services.execution.send import order_unknown
from trading.services.execution.settle import order_settle
from trading.services.execution.trades import cursor_from_id, report_trades
from trading.services.order_events import order_event

log = structlog.get_logger(__name__)

STUCK_AFTER = timedelta(seconds=8)
LATE_WATCH = timedelta(hours=24)
LATE_WATCH_CLOSE = timedelta(minutes=10)


def orders_in_doubt(account_id: int) -> list[int]:
    """Orders to ask the venue about: UNKNOWN ones, and SENDING ones whose sender must have died."""
    unknown = Order.objects.filter(account_id=account_id, status=OrderStatus.UNKNOWN)
    stuck = Order.objects.filter(
        account_id=account_id, status=OrderStatus.SENDING, sent_at__lt=now() - STUCK_AFTER
    )
    return [*unknown.values_list("pk", flat=True), *stuck.values_list("pk", flat=True)]


def order_resolve(*, order_id: int, venue: ExecutionVenue) -> OrderStatus:
    """Take one step towards knowing. Call again until the order is neither SENDING nor UNKNOWN.

    Raises
    ------
    VenueError : the venue cannot be asked now.
    """
    order = Order.objects.select_related("account", "instrument", "order_list").get(pk=order_id)
    status = OrderStatus(order.status)
    if status not in (OrderStatus.SENDING, OrderStatus.UNKNOWN):
        return status
    if status is OrderStatus.SENDING:
        if order.sent_at is not None and now() - order.sent_at < STUCK_AFTER:
            return status
        order_unknown(order_id=order_id, message="its sender was lost before the answer came")
    symbol = order.instrument.symbol
    report = venue.query(symbol, client_order_id=order.client_order_id)
    if report is not None:
        return _found(order, report, venue)
    return _not_found(order, venue)


def _found(order: Order, report: OrderReport, venue: ExecutionVenue) -> OrderStatus:
    trades = report_trades(order, report, venue)
    settled = order_settle(order_id=order.pk, report=report, trades=trades, source="query")
    return OrderStatus(settled.status)


def _not_found(order: Order, venue: ExecutionVenue) -> OrderStatus:
    """Collect the proof of absence: two lookups late enough, no open order, no trade nobody can explain.

    A leg is also looked for in its list, which the venue takes or refuses as a whole: a list it knows has all its legs.
    """
    if order.order_list is not None:
        lists = cast(OrderListVenue, venue)
        told = lists.query_list(client_list_id=order.order_list.client_list_id)
        if told is not None:
            mine = [leg for leg in told.legs if leg.client_order_id == order.client_order_id]
            return _found(order, mine[0], venue) if mine else OrderStatus.UNKNOWN
    if VenueEvent.objects.filter(account=order.account, settled_at=None).exists():
        return (
            OrderStatus.UNKNOWN
        )  # the stream has told something that is not settled yet: it may be this order
    server_time_ms = venue.server_time_ms()
    seen = [*order.not_found_at_ms, server_time_ms][-10:]
    Order.objects.filter(pk=order.pk).update(not_found_at_ms=seen)
    assert order.timestamp_ms is not None
    assert order.recv_window_ms is not None
    if not absence_proven(
        order.timestamp_ms, order.recv_window_ms, server_time_ms, tuple(seen), False, False
    ):
        return OrderStatus.UNKNOWN
    symbol = order.instrument.symbol
    in_open = any(r.client_order_id == order.client_order_id for r in venue.open_orders(symbol))
    if not absence_proven(
        order.timestamp_ms,
        order.recv_window_ms,
        server_time_ms,
        tuple(seen),
        in_open,
        _unexplained(order, venue),
    ):
        return OrderStatus.UNKNOWN
    return _absent(order.pk)


def _unexplained(order: Order, venue: ExecutionVenue) -> bool:
    """Whether the venue lists a trade of the symbol that belongs to no order of ours."""
    known = set(
        Fill.objects.filter(account=order.account, instrument=order.instrument).values_list(
            "trade_id", flat=True
        )
    )
    ours = set(
        Order.objects.filter(account=order.account, instrument=order.instrument)
        .exclude(venue_order_id=None)
        .values_list("venue_order_id", flat=True)
    )
    trades = venue.trades(order.instrument.symbol, from_id=cursor_from_id(order), start_ms=None)
    return any(t.trade_id not in known and t.venue_order_id not in ours for t in trades)


@transaction.atomic
def _absent(order_id: int) -> OrderStatus:
    order = (
        Order.objects.select_for_update(of=("self",), no_key=True)
        .select_related("account", "instrument", "strategy")
        .get(pk=order_id)
    )
    if order.status != OrderStatus.UNKNOWN:
        return OrderStatus(order.status)
    order.code, order.message = "ABSENT_PROVEN", "the venue never saw it and never will"
    order_end(order, OrderStatus.ABSENT)
    order_event(order, source="query", detail={"not_found_at_ms": order.not_found_at_ms})
    crash_point("absent")
    log.warning("order_absence_proven", client_order_id=order.client_order_id)
    return OrderStatus.ABSENT


def late_landings_check(*, account_id: int, venue: ExecutionVenue, everything: bool = True) -> int:
    """Ask again for orders proven absent in the last day. Returns how many had landed after all: must be 0.

    One that rests or trades shows by itself, in the open orders or the trades; `everything` asks for all of them
    by id all the same, else only for those of the last ten minutes.
    """
    since = now() - (LATE_WATCH if everything else LATE_WATCH_CLOSE)
    watched = Order.objects.select_related("account", "instrument").filter(
        account_id=account_id, status=OrderStatus.ABSENT, ended_at__gt=since
    )
    landed = 0
    for order in watched.order_by("-pk")[:50]:
        try:
            report = venue.query(order.instrument.symbol, client_order_id=order.client_order_id)
        except VenueError:
            return landed
        if report is not None:
            _found(order, report, venue)
            landed += 1
    return landed
