"""The steps of an order's life as rows and as events for everybody who watches."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from nautilus_site.common.clock import now
from nautilus_site.common.services.outbox import WAKE_CHANNEL, publish_many
from trading.models import Fill, Order, OrderEvent
from trading.selectors.fills import fill_members
from trading.selectors.orders import order_event_members, order_members

CHANGED_CHANNEL = "order_changed"
LATEST_STEPS = 100

# What follows the statement that changed an order, named `stepped` and returning its id: the new step, the event with
# every step so far, and the wake-up of whoever waits. Nothing of it happens when `stepped` is empty.
STEP_FOLLOWS = """
step AS (
    INSERT INTO trading_orderevent (order_id, status, source, at, detail)
    SELECT id, %(step_status)s::text, %(step_source)s::text, %(step_at)s::timestamptz, %(step_detail)s::jsonb
      FROM stepped
    RETURNING id, status, source, at, detail
), life AS (
    SELECT e.id, e.status, e.source, e.at, e.detail
      FROM trading_orderevent AS e WHERE e.order_id = (SELECT id FROM stepped)
     UNION ALL SELECT id, status, source, at, detail FROM step
), told AS (
    INSERT INTO common_outboxevent (topic, at, data)
    SELECT 'orders', %(step_at)s::timestamptz, %(step_members)s::jsonb || jsonb_build_object('events', (
               SELECT jsonb_agg(jsonb_build_object(
                          'status', status, 'source', source, 'detail', detail,
                          'at', replace(to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '')
                                || 'Z') ORDER BY id)
                 FROM life))
      FROM stepped
    RETURNING id
)
"""
STEP_ENDS = f"""
SELECT stepped.id, pg_notify('{CHANGED_CHANNEL}', stepped.id::text), pg_notify('{WAKE_CHANNEL}', '')
  FROM stepped, told
"""  # noqa: S608  only our own constants are put in
_STEP = f"WITH stepped AS (SELECT %(order)s::bigint AS id), {STEP_FOLLOWS} {STEP_ENDS}"


def step_parameters(order: Order, *, source: str, detail: dict[str, Any] | None = None) -> dict[str, Any]:
    """The parameters of `STEP_FOLLOWS` for an order as it is now."""
    return {
        "step_status": str(order.status),
        "step_source": source,
        "step_at": now(),
        "step_detail": json.dumps(detail or {}),
        "step_members": json.dumps(order_members(order, with_events=False)),
    }


def order_event(order: Order, *, source: str, detail: dict[str, Any] | None = None) -> None:
    """Write one step down, tell the screens, and wake whoever waits for this order."""
    with connection.cursor() as cursor:
        cursor.execute(_STEP, {"order": order.pk, **step_parameters(order, source=source, detail=detail)})


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
    publish_many("fills", [fill_members(fill) for fill in fills])
