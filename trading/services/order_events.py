"""The steps of an order's life as rows and as events for everybody who watches."""

from __future__ import annotations

from typing import Any

from django.db import connection

from nautilus_site.common.clock import now
from nautilus_site.common.services.outbox import publish
from trading.models import Fill, Order, OrderEvent
from trading.selectors.fills import fill_members
from trading.selectors.orders import order_members

CHANGED_CHANNEL = "order_changed"


def order_event(order: Order, *, source: str, detail: dict[str, Any] | None = None) -> None:
    """Write one step down, tell the screens, and wake whoever waits for this order."""
    OrderEvent.objects.create(order=order, status=order.status, source=source, at=now(), detail=detail or {})
    publish("orders", order_members(order))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANGED_CHANNEL, str(order.pk)])


def fill_event(fill: Fill) -> None:
    """Tell the screens of an execution."""
    publish("fills", fill_members(fill))
