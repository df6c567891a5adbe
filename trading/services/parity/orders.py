"""The orders that an instance's decisions led to, with its share of each."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from trading.models import Order, PlanShare, StrategyInstance

_ALWAYS = datetime.min.replace(tzinfo=UTC)


def held_before(instance: StrategyInstance, first: datetime) -> Decimal:
    """What the instance's orders had bought less sold before a decision."""
    held = Decimal(0)
    for order, share in orders_of(instance, None, first - timedelta(milliseconds=1)):
        held += (order.executed_quantity if order.side == "BUY" else -order.executed_quantity) * share
    return held


def orders_of(
    instance: StrategyInstance, first: datetime | None, last: datetime
) -> list[tuple[Order, Decimal]]:
    """Orders that these decisions led to, each with the instance's share of it."""
    rows = list(
        Order.objects.select_related("decision")
        .filter(
            account=instance.account,
            instrument=instance.instrument,
            origin=Order.Origin.STRATEGY,
            plan__isnull=False,
            decision__bar_open_at__gte=_ALWAYS if first is None else first,
            decision__bar_open_at__lte=last,
        )
        .order_by("id")
    )
    shares: dict[int, dict[int, Decimal]] = {}
    for share in PlanShare.objects.filter(plan__in=[row.plan_id for row in rows]).select_related("decision"):
        shares.setdefault(share.plan_id, {})[share.decision.instance_id] = share.share
    found = []
    for order in rows:
        assert order.plan_id is not None
        split_between = shares.get(order.plan_id)
        if split_between:
            share_of = split_between.get(instance.pk, Decimal(0))
        else:  # a plan to hold nothing has no shares: the order is the decision's
            alone = order.decision is not None and order.decision.instance_id == instance.pk
            share_of = Decimal(1) if alone else Decimal(0)
        if share_of:
            found.append((order, share_of))
    return found


def timing(orders: Sequence[tuple[Order, Decimal]]) -> dict[str, float | None]:
    """Medians in seconds of wall time from a decision to its order made, sent, acknowledged, filled."""
    waits: dict[str, list[float]] = {"to_order": [], "to_sent": [], "to_acknowledged": [], "to_filled": []}
    for order, _ in orders:
        if order.decision is None:
            continue
        moments = {
            "to_order": order.created_at,
            "to_sent": order.sent_at,
            "to_acknowledged": order.acknowledged_at,
            "to_filled": order.ended_at if order.executed_quantity else None,
        }
        for name, moment in moments.items():
            if moment is not None:
                waits[name].append((moment - order.decision.decided_at) / timedelta(seconds=1))
    return {name: round(statistics.median(values), 3) if values else None for name, values in waits.items()}


def denied(orders: Sequence[tuple[Order, Decimal]]) -> dict[str, int]:
    """How often each code ended or refused one."""
    return dict(Counter(order.code for order, _ in orders if order.code))
