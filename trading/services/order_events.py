"""The steps of an order's life as rows and as events for everybody who watches."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from nautilus_site.common.clock import now
from nautilus_site.common.services.outbox import publish, publish_many
from trading.models import Fill, Order, OrderEvent
from trading.selectors.fills import fill_members
from trading.selectors.orders import order_event_members, order_members

CHANGED_CHANNEL = "order_changed"
LATEST_STEPS = 100

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


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an order, to be written down with others."""

    order: Order
    status: str
    source: str
    detail: dict[str, Any]


def order_steps(steps: Sequence[Step]) -> None:
    """Write many steps down in a few statements; the screens are told where each order has come to."""
    moment = now()
    OrderEvent.objects.bulk_create(
        OrderEvent(order=step.order, status=step.status, source=step.source, at=moment, detail=step.detail)
        for step in steps
    )
    orders = {step.order.pk: step.order for step in steps}
    told: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for event in OrderEvent.objects.filter(order_id__in=orders).order_by("id"):
        told[event.order_id].append(order_event_members(event))
    publish_many(
        "orders",
        [
            {**order_members(order, with_events=False), "events": told[pk][-LATEST_STEPS:]}
            for pk, order in orders.items()
        ],
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_notify(%s, pk::text) FROM unnest(%s::bigint[]) AS pk", [CHANGED_CHANNEL, list(orders)]
        )


def fill_events(fills: Sequence[Fill]) -> None:
    """Tell the screens of executions."""
    if len(fills) == 1:
        publish("fills", fill_members(fills[0]))
    else:
        publish_many("fills", [fill_members(fill) for fill in fills])
