"""Why an order exists and what became of it: the whole chain from the decision to the fills."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Min, Q

from trading.models import Decision, Order, Plan, VenueEvent
from trading.selectors.brackets import bracket_members, bracket_of_order
from trading.selectors.decisions import decision_members
from trading.selectors.fills import fill_members, fill_queryset
from trading.selectors.notation import amount_text, utc_text
from trading.selectors.orders import order_members

_MESSAGES = 100


def order_explain(order: Order) -> dict[str, Any]:
    """Everything known about an order; read with `order_get`.

    `latency` names each step that has happened, with milliseconds since the first and since the one before.
    """
    fills = list(fill_queryset().filter(order=order).order_by("id"))
    decision = _decision(order)
    return {
        "order": order_members(order),
        "request": {
            "origin": order.origin,
            "requested_by": order.requested_by.username if order.requested_by else None,
            "time_in_force": order.time_in_force or None,
            "reduce_only": order.reduce_only,
            "sent_as": order.venue_type,
            "arrival_mid": amount_text(order.arrival_mid),
            "expires_at": utc_text(order.expires_at),
            "cancel_requested_at": utc_text(order.cancel_requested_at),
            "cancel_reason": order.cancel_reason or None,
        },
        "decision": decision_members(decision) if decision else None,
        "plan": _plan(order),
        "bracket": bracket_members(bracket) if (bracket := bracket_of_order(order)) else None,
        "rails": order.checks,
        "denial": {"code": order.code, "message": order.message} if order.code else None,
        "approvals": [],
        "adjustments": order.adjustments,
        "venue_messages": _venue_messages(order),
        "events": order_members(order)["events"],
        "fills": [fill_members(fill) for fill in fills],
        "latency": _latency(order, decision),
    }


def _decision(order: Order) -> Decision | None:
    if order.decision_id is None:
        return None
    return Decision.objects.select_related(
        "instance__strategy", "instance__account", "instance__instrument"
    ).get(pk=order.decision_id)


def _plan(order: Order) -> dict[str, Any] | None:
    if order.plan_id is None:
        return None
    plan = Plan.objects.get(pk=order.plan_id)
    shares = plan.shares.select_related("decision__instance__strategy").order_by("id")
    return {
        "version": plan.version,
        "price": amount_text(plan.price),
        "position_quantity": amount_text(plan.position_quantity),
        "target_quantity": amount_text(plan.target_quantity),
        "notes": plan.notes,
        "created_at": utc_text(plan.created_at),
        "shares": [
            {
                "strategy": row.decision.instance.strategy.name,
                "decision_id": row.decision_id,
                "target": row.decision.target,
                "share": amount_text(row.share),
            }
            for row in shares
        ],
    }


def _venue_messages(order: Order) -> list[dict[str, Any]]:
    """What the user stream said about the order's client id (`c`, or `C` where a cancel carries its own)."""
    cid = order.client_order_id
    about = Q(payload__c=cid) | Q(payload__C=cid)
    rows = VenueEvent.objects.filter(about, account_id=order.account_id, received_at__gte=order.created_at)
    return [
        {
            "kind": row.kind,
            "received_at": utc_text(row.received_at),
            "settled_at": utc_text(row.settled_at),
            "error": row.error or None,
            "payload": row.payload,
        }
        for row in rows.order_by("id")[:_MESSAGES]
    ]


def _latency(order: Order, decision: Decision | None) -> list[dict[str, Any]]:
    first_fill = order.fills.aggregate(at=Min("recorded_at"))["at"]
    steps: list[tuple[str, datetime | None]] = [
        ("decided", decision.decided_at if decision else None),
        ("created", order.created_at),
        ("sent", order.sent_at),
        ("acknowledged", order.acknowledged_at),
        ("first_fill", first_fill),
    ]
    happened = [(name, at) for name, at in steps if at is not None]
    start = previous = happened[0][1]
    waterfall = []
    for name, at in happened:
        waterfall.append(
            {
                "step": name,
                "at": utc_text(at),
                "since_start_ms": _milliseconds(start, at),
                "since_previous_ms": _milliseconds(previous, at),
            }
        )
        previous = at
    return waterfall


def _milliseconds(start: datetime, end: datetime) -> float:
    return round((end - start).total_seconds() * 1000, 3)
