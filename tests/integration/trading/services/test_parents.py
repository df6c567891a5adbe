"""Parents and children: whatever planner and router make of a decision, more than it wanted never leaves."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.db import IntegrityError, transaction

from nautilus_site.common.clock import now
from trading.domain.errors import OutcomeUnknown, VenueRejected
from trading.domain.orders import OrderStatus
from trading.domain.planner import MAX_CHILDREN
from trading.models import Order, Plan
from trading.services.execution.release import order_end, order_release
from trading.services.orders import OrderDenied, judging
from trading.services.planning import plan_refresh

if TYPE_CHECKING:
    from tests.factories.trading import Desk


def _plan(desk: Desk, parent: str) -> Plan:
    return Plan.objects.create(
        account=desk.account,
        instrument=desk.btc,
        version=1,
        price=Decimal(60_000),
        position_quantity=Decimal(0),
        target_quantity=Decimal(parent),
        parent_quantity=Decimal(parent),
        created_at=now(),
    )


def test_children_up_to_the_parent_pass_and_one_step_more_is_denied(desk: Desk) -> None:
    plan = _plan(desk, "0.02")
    desk.submit("BUY", "0.01", plan=plan)
    desk.submit("BUY", "0.01", plan=plan)
    with pytest.raises(OrderDenied) as denied:
        desk.submit("BUY", "0.001", plan=plan)
    assert (denied.value.code, denied.value.extra["rail"]) == ("PARENT_QUANTITY", "parent_quantity")
    plan.refresh_from_db()
    assert (plan.child_quantity, plan.children) == (Decimal("0.02"), 2)
    assert Order.objects.filter(status="DENIED", code="PARENT_QUANTITY").count() == 1


def test_a_denied_child_holds_nothing(desk: Desk) -> None:
    plan = _plan(desk, "0.001")
    with pytest.raises(OrderDenied):
        desk.submit("BUY", "0.01", plan=plan)
    assert desk.held_amounts() == {}


def test_a_plan_has_only_so_many_children(desk: Desk) -> None:
    plan = _plan(desk, "1")
    Plan.objects.filter(pk=plan.pk).update(children=MAX_CHILDREN)
    with pytest.raises(OrderDenied, match="at most"):
        desk.submit("BUY", "0.001", plan=plan)


@pytest.mark.parametrize("end", ["RELEASED", "REJECTED"])
def test_a_child_that_never_was_executed_gives_its_part_back(desk: Desk, end: str) -> None:
    plan = _plan(desk, "0.01")
    order = desk.submit("BUY", "0.01", plan=plan)
    if end == "RELEASED":
        order_release(order_id=order.pk, code="TEST", message="")
    else:
        desk.venue.fails["place"] = [VenueRejected(-2010, "no")]
        desk.send(order)
    plan.refresh_from_db()
    assert (plan.child_quantity, plan.children) == (0, 1)


def test_a_canceled_child_gives_back_what_was_not_executed(desk: Desk) -> None:
    from trading.services.execution.cancel import order_cancel

    plan = _plan(desk, "0.01")
    order = desk.send(desk.submit("BUY", "0.01", price="59900", plan=plan))
    desk.venue.trade(order.client_order_id, Decimal("0.004")) if hasattr(desk.venue, "trade") else None
    order_cancel(order_id=order.pk, venue=desk.venue)
    plan.refresh_from_db()
    assert plan.child_quantity == desk.fresh(order).executed_quantity


def test_an_absent_child_keeps_its_part_in_case_it_lands_after_all(desk: Desk) -> None:
    plan = _plan(desk, "0.01")
    order = desk.submit("BUY", "0.01", plan=plan)
    desk.venue.fails["place"] = [OutcomeUnknown(order.client_order_id, "reset")]
    desk.send(order)
    with transaction.atomic():
        order_end(Order.objects.select_for_update(of=("self",)).get(pk=order.pk), OrderStatus.ABSENT)
    plan.refresh_from_db()
    assert plan.child_quantity == Decimal("0.01")


def test_the_database_itself_refuses_children_above_their_parent(desk: Desk) -> None:
    plan = _plan(desk, "0.01")
    with pytest.raises(IntegrityError, match="children_within_parent"), transaction.atomic():
        Plan.objects.filter(pk=plan.pk).update(child_quantity=Decimal("0.02"))


@pytest.mark.parametrize("factor", [2, 10])
def test_a_router_that_multiplies_every_order_sends_no_more_than_was_planned(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, factor: int
) -> None:
    """Knight: child orders without a count of what the parent had asked for."""
    real = judging.route

    def broken(*args: Any, **kwargs: Any) -> Any:
        routed = real(*args, **kwargs)
        if not hasattr(routed, "order"):
            return routed
        order = replace(routed.order, quantity=routed.order.quantity * factor)
        return replace(routed, order=order, steps=routed.steps * factor)

    monkeypatch.setattr(judging, "route", broken)
    desk.decide(1.0)
    plan_refresh(account_id=desk.account.pk, instrument_id=desk.btc.pk)
    sent = sum((o.quantity for o in Order.objects.filter(status="RESERVED")), Decimal(0))
    plan = Plan.objects.get()
    assert sent <= plan.parent_quantity == plan.target_quantity


def test_the_equal_parts_of_a_large_order_all_go_out(desk: Desk) -> None:
    desk.limit(near_duplicate_window=60)
    desk.decide(1.0)
    instance = desk.instances["trend:BTCUSDT"]
    desk.limit(max_notional=instance.allocation * instance.weight * Decimal("0.4"))
    plan_refresh(account_id=desk.account.pk, instrument_id=desk.btc.pk)
    parts = Order.objects.filter(plan__isnull=False)
    assert (parts.count(), set(parts.values_list("status", flat=True))) == (3, {"RESERVED"})
    assert sum(part.quantity for part in parts) == Plan.objects.get().parent_quantity


def test_a_planner_that_repeats_its_intents_sends_no_more_than_was_planned(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trading.domain import planner

    real = planner.plan

    def broken(*args: Any, **kwargs: Any) -> Any:
        made = real(*args, **kwargs)
        return replace(made, intents=made.intents * 7)

    monkeypatch.setattr("trading.services.planning.planner.plan", broken)
    desk.decide(1.0)
    plan_refresh(account_id=desk.account.pk, instrument_id=desk.btc.pk)
    plan = Plan.objects.get()
    sent = sum((o.quantity for o in Order.objects.filter(status="RESERVED")), Decimal(0))
    assert Decimal(0) < sent <= plan.parent_quantity
    # Near duplicates are a rail of their own, which may speak first.
    denied = Order.objects.filter(status="DENIED", code__in=("PARENT_QUANTITY", "NEAR_DUPLICATE"))
    assert denied.count() == 6
