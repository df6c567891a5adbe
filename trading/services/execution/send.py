"""One send, and the name of what came back: accepted, refused, certainly not executed, or unknown."""

from __future__ import annotations

from typing import cast

import structlog
from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.crash_points import crash_point
from nautilus_site.common.services.hints import enqueue_on_commit
from nautilus_site.common.services.leases import lease_is_newest
from trading import metrics
from trading.domain.errors import OutcomeUnknown, VenueError, VenueUnavailable
from trading.domain.execution import Verdict, after_answer
from trading.domain.orders import TRANSITIONS, OrderStatus, advance
from trading.domain.ports import ExecutionVenue, OrderListVenue, OrderReport
from trading.models import Order, OrderList
from trading.services import breakers
from trading.services.execution.authorise import Authorised, AuthorisedList
from trading.services.execution.release import order_end
from trading.services.execution.settle import order_settle
from trading.services.execution.trades import report_trades
from trading.services.order_events import order_event
from trading.services.protection_hints import protection_hint

log = structlog.get_logger(__name__)


def order_send(*, authorised: Authorised | AuthorisedList, venue: ExecutionVenue, venue_name: str) -> None:
    """Send an authorised order, or a list of them, once and settle whatever is certain about it."""
    crash_point("C3")
    failure: VenueError | None = None
    reports: tuple[OrderReport, ...] = ()
    try:
        reports = _place(authorised, venue)
    except VenueError as error:
        failure = error
    crash_point("C5")
    if failure is None:
        for order_id, report in zip(_ids(authorised), reports, strict=True):
            settled = order_settle(order_id=order_id, report=report, trades=report.fills, source="response")
            if settled.acknowledged_at is not None:
                waited = settled.acknowledged_at - settled.created_at
                metrics.DECISION_TO_ACK.observe(waited.total_seconds())
    else:
        _failed(authorised, failure, venue_name)
    if isinstance(authorised, Authorised) and authorised.order.replaces is not None:
        _settle_replaced(authorised, venue)
    crash_point("C6")


def _settle_replaced(authorised: Authorised, venue: ExecutionVenue) -> None:
    """Ask what became of the order that was to be replaced; unanswered, the stream or the next sweep tells."""
    old = Order.objects.select_related("instrument", "account").get(replacements=authorised.order_id)
    try:
        report = venue.query(old.instrument.symbol, client_order_id=old.client_order_id)
        if report is not None:
            order_settle(
                order_id=old.pk, report=report, trades=report_trades(old, report, venue), source="query"
            )
    except VenueError as error:
        log.warning("replaced_order_not_known", client_order_id=old.client_order_id, error=str(error))


def _ids(authorised: Authorised | AuthorisedList) -> tuple[int, ...]:
    return authorised.order_ids if isinstance(authorised, AuthorisedList) else (authorised.order_id,)


def _place(authorised: Authorised | AuthorisedList, venue: ExecutionVenue) -> tuple[OrderReport, ...]:
    if isinstance(authorised, Authorised):
        report = venue.place(
            authorised.order, timestamp_ms=authorised.timestamp_ms, recv_window_ms=authorised.recv_window_ms
        )
        return (report,)
    orders = authorised.orders
    told = cast(OrderListVenue, venue).place_list(
        orders, timestamp_ms=authorised.timestamp_ms, recv_window_ms=authorised.recv_window_ms
    )
    by_id = {report.client_order_id: report for report in told.legs}
    missing = [leg.client_order_id for leg in orders.legs if leg.client_order_id not in by_id]
    if missing:
        # The list was taken, but nobody can say as what: each leg is asked for by its own id.
        raise OutcomeUnknown(orders.client_list_id, f"an answer without the legs {', '.join(missing)}")
    OrderList.objects.filter(legs=authorised.order_ids[0]).update(venue_list_id=told.venue_list_id)
    return tuple(by_id[leg.client_order_id] for leg in orders.legs)


def _failed(authorised: Authorised | AuthorisedList, failure: VenueError, venue_name: str) -> None:
    verdict = _refused_or_doubted(authorised, failure)
    if verdict.status is OrderStatus.UNKNOWN:
        for order_id in _ids(authorised):
            order_unknown(order_id=order_id, message=verdict.message)
    if isinstance(failure, VenueUnavailable) and failure.retry_after_s and failure.code in (None, -1003):
        breakers.breaker_trip(
            name=breakers.VENUE_RATE_LIMIT,
            scope=f"venue:{venue_name}",
            reason=failure.message,
            for_s=failure.retry_after_s,
        )


@transaction.atomic
def _refused_or_doubted(authorised: Authorised | AuthorisedList, failure: VenueError) -> Verdict:
    """End a refused order in the transaction that holds the sender's fence still; else leave it in doubt."""
    held = authorised.held
    verdict = after_answer(failure, fence_holds=held is None or lease_is_newest(held))
    if verdict.status in (OrderStatus.REJECTED, OrderStatus.RELEASED):
        for order_id in _ids(authorised):
            order_refuse(order_id=order_id, status=verdict.status, code=verdict.code, message=verdict.message)
    return verdict


@transaction.atomic
def order_refuse(*, order_id: int, status: OrderStatus, code: str, message: str) -> None:
    """End an order that the venue refused, or that certainly never reached its engine."""
    order = _locked(order_id)
    if order.status not in (OrderStatus.SENDING, OrderStatus.UNKNOWN):
        return  # the user stream was faster and knows better
    if status not in TRANSITIONS[OrderStatus(order.status)]:
        return  # in doubt already: that nothing was sent is for the venue to show
    order.code, order.message = code, message
    order_end(order, status)
    if status is OrderStatus.REJECTED:
        metrics.ORDERS_REJECTED.inc()
    order_event(order, source="response", detail={"code": code, "message": message})
    if order.origin == Order.Origin.PROTECTION:
        protection_hint(order, traded=False)


@transaction.atomic
def order_unknown(*, order_id: int, message: str) -> None:
    """Name an outcome as not known. The order keeps everything it holds; nobody sends it again."""
    order = _locked(order_id)
    after = advance(OrderStatus(order.status), OrderStatus.UNKNOWN)
    if after == order.status:
        return
    order.status, order.message, order.updated_at = after, message, now()
    order.save(update_fields=["status", "message", "updated_at"])
    metrics.ORDERS_UNKNOWN.inc()
    log.warning("order_outcome_unknown", client_order_id=order.client_order_id, message=message)
    order_event(order, source="response", detail={"message": message})
    enqueue_on_commit("trading.tasks.order_resolve", queue="control", order_id=order_id)


def _locked(order_id: int) -> Order:
    return (
        Order.objects.select_for_update(of=("self",), no_key=True)
        .select_related("account", "instrument", "strategy")
        .get(pk=order_id)
    )
