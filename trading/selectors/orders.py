"""Orders as the API, the pages and the events show them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Prefetch, QuerySet

from nautilus_site.common.errors import NotFound
from trading.domain.orders import OPEN, TERMINAL
from trading.models import Order, OrderEvent
from trading.selectors.notation import amount_text, quotient_text, utc_text

OPEN_STATUSES = sorted(status.value for status in OPEN)
CLOSED_STATUSES = sorted(status.value for status in TERMINAL)


def order_queryset(*, with_events: bool = True) -> QuerySet[Order]:
    """Orders newest first with everything `order_members` reads, in at most two queries."""
    orders = Order.objects.select_related("account", "instrument", "strategy").order_by("-id")
    if with_events:
        orders = orders.prefetch_related(Prefetch("events", OrderEvent.objects.order_by("id")))
    return orders


def order_list(
    *,
    account: str | None = None,
    symbol: str | None = None,
    status: str | None = None,
    strategy: str | None = None,
    open_only: bool = False,
    limit: int = 100,
) -> list[Order]:
    """The newest orders that match, for pages; `symbol` in the plain spelling."""
    orders = order_queryset()
    if account is not None:
        orders = orders.filter(account__name=account)
    if symbol is not None:
        orders = orders.filter(instrument__symbol=symbol)
    if status is not None:
        orders = orders.filter(status=status)
    if strategy is not None:
        orders = orders.filter(strategy__name=strategy)
    if open_only:
        orders = orders.filter(status__in=OPEN_STATUSES)
    return list(orders[:limit])


def order_get(uid: UUID | str) -> Order:
    """One order by its public id.

    Raises
    ------
    NotFound : UNKNOWN_ORDER.
    """
    try:
        key = uid if isinstance(uid, UUID) else UUID(uid)
    except ValueError:
        raise NotFound("UNKNOWN_ORDER", "no such order") from None
    order = order_queryset().filter(uid=key).first()
    if order is None:
        raise NotFound("UNKNOWN_ORDER", f"no order has the id {key}")
    return order


def order_members(order: Order, *, with_events: bool = True) -> dict[str, Any]:
    """The public members of an order; `code` only where something was denied, refused or given up.

    `model_version` is null where no model was asked.
    """
    members: dict[str, Any] = {
        "id": str(order.uid),
        "account": order.account.name,
        "symbol": order.instrument.symbol,
        "market": order.instrument.market,
        "side": order.side,
        "type": order.type,
        "status": order.status,
        "quantity": amount_text(order.quantity),
        "price": amount_text(order.price),
        "executed_quantity": amount_text(order.executed_quantity),
        "average_price": quotient_text(order.executed_quote, order.executed_quantity),
        "client_order_id": order.client_order_id,
        "venue_order_id": order.venue_order_id,
        "strategy": order.strategy.name if order.strategy else None,
        "model_version": order.model_version or None,
        "created_at": utc_text(order.created_at),
    }
    if order.code:
        members["code"] = order.code
    if with_events:
        members["events"] = [order_event_members(event) for event in order.events.all()]
    return members


def order_event_members(event: OrderEvent) -> dict[str, Any]:
    """One step of an order's life."""
    return {
        "status": event.status,
        "source": event.source,
        "at": utc_text(event.at),
        "detail": event.detail,
    }
