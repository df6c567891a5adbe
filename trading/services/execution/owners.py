"""Whom an order trades for, as weights that do not change any more once it was planned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from django.db.models import QuerySet

from trading.domain.subaccounts import PEOPLE
from trading.models import Order, PlanShare

SHARE_UNITS = 10**8
_FORCED = ("autoclose-", "adl_autoclose", "settlement_autoclose-")
"""How the venue names liquidations, auto-deleveraging and settlements."""


def order_shares(orders: Sequence[Order]) -> dict[int, dict[str, int]]:
    """Owner -> weight for each order; empty: whoever holds what its fills reduce."""
    planned = {order.plan_id for order in orders if order.plan_id is not None}
    by_plan = plan_weights(PlanShare.objects.filter(plan_id__in=planned)) if planned else {}
    return {
        order.pk: shares_of(
            origin=order.origin,
            strategy=order.strategy.name if order.strategy else None,
            client_order_id=order.client_order_id,
            planned=by_plan.get(order.plan_id or 0),
        )
        for order in orders
    }


def plan_weights(shares: QuerySet[PlanShare]) -> dict[int, dict[str, int]]:
    """Plan -> strategy -> weight."""
    by_plan: defaultdict[int, dict[str, int]] = defaultdict(dict)
    rows = shares.order_by("pk").values_list("plan_id", "decision__instance__strategy__name", "share")
    for plan_id, name, share in rows:
        weights = by_plan[plan_id]
        weights[name] = weights.get(name, 0) + int(share * SHARE_UNITS)
    return dict(by_plan)


def shares_of(
    *, origin: str, strategy: str | None, client_order_id: str, planned: Mapping[str, int] | None
) -> dict[str, int]:
    """Owner -> weight of one order.

    A planned order is for the shares of its plan, any other one for its strategy. What nobody asked for by name
    (protection of a net position, a flatten, a liquidation) is for those who hold the position. The rest, orders of
    people and adopted ones, is the people's.
    """
    if planned:
        return dict(planned)
    if strategy is not None:
        return {strategy: 1}
    if origin in (Order.Origin.FLATTEN, Order.Origin.PROTECTION):
        return {}
    if origin == Order.Origin.EXTERNAL and client_order_id.startswith(_FORCED):
        return {}
    return {PEOPLE: 1}
