"""Parents and children: the orders of a plan never sum to more than the plan was for (P39, I10).

A child is counted before it is reserved, in the same transaction, whatever planner and router made of it. What an
ended child certainly did not execute goes back to its parent (`domain.execution.GIVES_BACK`); an ABSENT one keeps its
part, so that parent and children still add up should it land after all. A plan is never sent from again by itself: a
strategy that still wants the rest decides anew, and gets a new plan.
"""

from __future__ import annotations

from decimal import Decimal

from django.db.models import F

from trading.domain.execution import given_back
from trading.domain.orders import OrderStatus
from trading.domain.planner import MAX_CHILDREN
from trading.domain.risk import RailResult
from trading.domain.risk.reasons import DenyReason
from trading.domain.values import decimal_text, from_units, to_units
from trading.models import Order, Plan

RAIL = "parent_quantity"


def child_take(plan: Plan | None, quantity: Decimal) -> RailResult | None:
    """Count one child, or deny it. An order without a plan (a person's, the flattener's) has no parent here."""
    if plan is None:
        return None
    taken = Plan.objects.filter(
        pk=plan.pk,
        children__lt=MAX_CHILDREN,
        child_quantity__lte=F("parent_quantity") - quantity,
    ).update(child_quantity=F("child_quantity") + quantity, children=F("children") + 1)
    if taken:
        return None
    row = Plan.objects.get(pk=plan.pk)
    return RailResult(
        RAIL,
        False,
        DenyReason.PARENT_QUANTITY,
        decimal_text(row.child_quantity + quantity),
        decimal_text(row.parent_quantity),
        "base",
        f"order {row.children + 1} of plan {row.version}: at most {MAX_CHILDREN}, and together no more than planned",
    )


def child_give_back(order: Order, end: OrderStatus) -> None:
    """Return what an order that has just ended did not execute. Call once, in the transaction that ends it."""
    if order.plan_id is None:
        return
    unused = from_units(given_back(end, to_units(order.quantity), to_units(order.executed_quantity)))
    if unused:
        Plan.objects.filter(pk=order.plan_id).update(child_quantity=F("child_quantity") - unused)
