"""The steps of an order's life as rows and as events for everybody who watches."""

from __future__ import annotations

import json
from typing import Any

from nautilus_site.common.clock import now
from nautilus_site.common.services.outbox import publish
from trading.models import Fill, Order, OrderEvent
from trading.selectors.fills import fill_members
from trading.selectors.orders import order_event_members, order_members

CHANGED_CHANNEL = "order_changed"

# The new step, the steps before it and the wake-up of whoever waits, in one round trip.
_STEP = """
WITH step AS (
    INSERT INTO trading_orderevent (order_id, status, source, at, detail)
    VALUES (%(order)s, %(status)s, %(source)s, %(at)s, %(detail)s::jsonb)
    RETURNING id, order_id, status, source, at, detail
)
SELECT id, order_id, status, source, at, detail, NULL::text AS told
  FROM trading_orderevent WHERE order_id = %(order)s
 UNION ALL
SELECT id, order_id, status, source, at, detail, pg_notify(%(channel)s, %(payload)s)::text FROM step
 ORDER BY id
"""


def order_event(order: Order, *, source: str, detail: dict[str, Any] | None = None) -> None:
    """Write one step down, tell the screens, and wake whoever waits for this order."""
    parameters: dict[str, Any] = {
        "order": order.pk,
        "status": str(order.status),
        "source": source,
        "at": now(),
        "detail": json.dumps(detail or {}),
        "channel": CHANGED_CHANNEL,
        "payload": str(order.pk),
    }
    steps = OrderEvent.objects.raw(_STEP, parameters)
    members = order_members(order, with_events=False)
    publish("orders", {**members, "events": [order_event_members(step) for step in steps]})


def fill_event(fill: Fill) -> None:
    """Tell the screens of an execution."""
    publish("fills", fill_members(fill))
