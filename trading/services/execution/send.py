"""One send, and the name of what came back: accepted, refused, certainly not executed, or unknown."""

from __future__ import annotations

import structlog
from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.crash_points import crash_point
from nautilus_site.common.services.hints import enqueue_on_commit
from trading import metrics
from trading.domain.errors import OutcomeUnknown, VenueRejected, VenueUnavailable
from trading.domain.orders import OrderStatus, advance
from trading.domain.ports import ExecutionVenue
from trading.models import Order
from trading.services import breakers
from trading.services.execution.authorise import Authorised
from trading.services.execution.release import order_end
from trading.services.execution.settle import order_settle
from trading.services.order_events import order_event

log = structlog.get_logger(__name__)


def order_send(*, authorised: Authorised, venue: ExecutionVenue, venue_name: str) -> None:
    """Send an authorised order once and settle whatever is certain about it."""
    crash_point("C3")
    try:
        report = venue.place(
            authorised.order, timestamp_ms=authorised.timestamp_ms, recv_window_ms=authorised.recv_window_ms
        )
    except VenueRejected as error:
        order_refuse(
            order_id=authorised.order_id,
            status=OrderStatus.REJECTED,
            code=str(error.code),
            message=error.message,
        )
    except VenueUnavailable as error:
        order_refuse(
            order_id=authorised.order_id,
            status=OrderStatus.RELEASED,
            code=str(error.code or "VENUE_UNAVAILABLE"),
            message=error.message,
        )
        if error.retry_after_s and error.code in (None, -1003):
            breakers.breaker_trip(
                name=breakers.VENUE_RATE_LIMIT,
                scope=f"venue:{venue_name}",
                reason=error.message,
                for_s=error.retry_after_s,
            )
    except OutcomeUnknown as error:
        order_unknown(order_id=authorised.order_id, message=error.message)
    else:
        crash_point("C5")
        settled = order_settle(
            order_id=authorised.order_id, report=report, trades=report.fills, source="response"
        )
        if settled.acknowledged_at is not None:
            metrics.DECISION_TO_ACK.observe((settled.acknowledged_at - settled.created_at).total_seconds())
    crash_point("C6")


@transaction.atomic
def order_refuse(*, order_id: int, status: OrderStatus, code: str, message: str) -> None:
    """End an order that the venue refused, or that certainly never reached its engine."""
    order = _locked(order_id)
    if order.status not in (OrderStatus.SENDING, OrderStatus.UNKNOWN):
        return  # the user stream was faster and knows better
    order.code, order.message = code, message
    order_end(order, status)
    if status is OrderStatus.REJECTED:
        metrics.ORDERS_REJECTED.inc()
    order_event(order, source="response", detail={"code": code, "message": message})


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
        Order.objects.select_for_update(of=("self",))
        .select_related("account", "instrument", "strategy")
        .get(pk=order_id)
    )
