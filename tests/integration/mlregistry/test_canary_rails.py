"""Rails for what is not known: lost answers, workers that no longer decide, prices that no longer come; who is told."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from governance.models import Incident
from governance.services.playbooks.incidents import incidents_consume
from mlregistry.models import Canary
from mlregistry.services.canaries import canaries_check, canary_check
from nautilus_site.common.models import OutboxEvent
from tests.factories.canaries import earned, instance, live_bars
from tests.factories.trading import Desk
from trading.domain.orders import OrderStatus
from trading.models import Order, OrderEvent, StrategyInstance
from trading.services.planning import plan_refresh
from trading.services.strategies import strategy_step
from universe.models import Bar, Quote

pytestmark = pytest.mark.django_db


def rail(name: str) -> dict[str, Any]:
    (found,) = (one for one in Canary.objects.get().rails if one["name"] == name)
    return dict(found)


def shared_order(desk: Desk) -> Order:
    """An order both have a part in, executed; it carries the champion's name."""
    live_bars(desk, 60)
    Quote.objects.update(bid="60000", ask="60010")
    for name in ("trend", "trend-canary"):
        strategy_step(instance_id=instance(name).pk)
    Quote.objects.update(received_at=timezone.now())  # a busy machine takes its time for the steps
    (order,) = plan_refresh(account_id=desk.account.pk, instrument_id=desk.btc.pk)
    return desk.send(order)


def test_an_order_whose_answer_was_lost_counts_even_after_it_was_found(desk: Desk, canary: Canary) -> None:
    order = shared_order(desk)
    Canary.objects.update(rules={**canary.rules, "rejects_of": 1})
    canaries_check()
    assert (rail("errors")["measured"], Canary.objects.get().state) == (0.0, "running")
    OrderEvent.objects.create(order=order, status=OrderStatus.UNKNOWN, source="response", at=timezone.now())
    canaries_check()
    ended = Canary.objects.get()
    assert (ended.state, ended.reason) == (Canary.State.BREACHED, "errors 1 above 0.1")


def test_an_order_that_never_arrived_counts_too(desk: Desk, canary: Canary) -> None:
    order = shared_order(desk)
    Canary.objects.update(rules={**canary.rules, "rejects_of": 1})
    Order.objects.filter(pk=order.pk).update(status=OrderStatus.ABSENT)
    canaries_check()
    assert "errors 1 above" in Canary.objects.get().reason


def test_an_order_whose_fate_stays_unknown_for_45_seconds_ends_it(desk: Desk, canary: Canary) -> None:
    order = shared_order(desk)
    Order.objects.filter(pk=order.pk).update(status=OrderStatus.UNKNOWN)
    sent = OrderEvent.objects.get(order=order, status=OrderStatus.SENDING).at
    canary_check(canary_id=canary.pk, moment=sent + timedelta(seconds=45))
    assert (rail("unknown_s")["measured"], Canary.objects.get().state) == (45.0, "running")
    canary_check(canary_id=canary.pk, moment=sent + timedelta(seconds=46))
    assert Canary.objects.get().reason == "unknown_s 46 above 45"


def test_when_neither_decides_any_more_the_bars_that_closed_tell(desk: Desk, canary: Canary) -> None:
    live_bars(desk, 60)
    for name in ("trend", "trend-canary"):
        strategy_step(instance_id=instance(name).pk)
    live_bars(desk, 4, first=60)
    # They may just be catching up: for half a minute that is no breach.
    canaries_check()
    assert (rail("stale")["measured"], Canary.objects.get().state) == (0.0, "running")
    Bar.objects.update(received_at=timezone.now() - timedelta(seconds=31))
    canaries_check()
    ended = Canary.objects.get()
    assert (ended.state, ended.reason) == (Canary.State.BREACHED, "stale 4 above 3")


def test_prices_that_no_longer_come_end_it(canary: Canary) -> None:
    Canary.objects.update(rules={**canary.rules, "quote_s": 120})
    heard = timezone.now()
    Quote.objects.update(received_at=heard)
    canary_check(canary_id=canary.pk, moment=heard + timedelta(seconds=120))
    assert Canary.objects.get().state == "running"
    canary_check(canary_id=canary.pk, moment=heard + timedelta(seconds=121))
    assert Canary.objects.get().reason == "quote_s 121 above 120"


def test_a_price_that_never_came_is_as_old_as_the_canary(canary: Canary) -> None:
    Quote.objects.all().delete()
    Canary.objects.update(rules={**canary.rules, "quote_s": 120})
    canary_check(canary_id=canary.pk, moment=canary.started_at + timedelta(seconds=121))
    assert "quote_s 121 above 120" in Canary.objects.get().reason


def test_a_breach_calls_people_and_a_rollback_by_a_person_does_not(canary: Canary) -> None:
    incidents_consume()
    canary_check(canary_id=canary.pk)
    earned("trend-canary", -200.0)
    canary_check(canary_id=canary.pk)
    event = OutboxEvent.objects.filter(topic="incidents").latest("pk")
    assert (event.data["kind"], event.data["severity"]) == ("canary_breached", "critical")
    assert event.data["scope"] == "model:hmm-btcusdt-spot-1h@2"
    OutboxEvent.objects.filter(pk=event.pk).update(event_id=1_000_000)
    assert incidents_consume() == 1
    incident = Incident.objects.get()
    assert (incident.kind, incident.scope) == ("canary_breached", "model:hmm-btcusdt-spot-1h@2")
    assert StrategyInstance.objects.get(strategy__name="trend").allocation == Decimal(3000)


def test_a_canary_with_the_larger_part_of_an_order_is_held_to_that_part_and_not_to_the_whole(
    desk: Desk, canary: Canary
) -> None:
    live_bars(desk, 60)
    Quote.objects.update(bid="60000", ask="60010")
    strategy_step(instance_id=instance("trend").pk)
    Quote.objects.update(received_at=timezone.now())
    (alone,) = plan_refresh(account_id=desk.account.pk, instrument_id=desk.btc.pk)
    assert desk.send(alone).status == OrderStatus.FILLED
    # The canary enters with its 500 while the champion adds 400: one order of 900, above the canary's 510.
    place = instance("trend")
    StrategyInstance.objects.filter(pk=place.pk).update(allocation=place.allocation + 400)
    strategy_step(instance_id=instance("trend-canary").pk)
    Quote.objects.update(received_at=timezone.now())
    (order,) = plan_refresh(account_id=desk.account.pk, instrument_id=desk.btc.pk)
    assert order.strategy is not None
    assert order.strategy.name == "trend-canary"
    worth = order.quantity * order.price  # type: ignore[operator]
    assert worth > 510
    (judged,) = (check for check in order.checks if check["rail"] == "model_servable")
    part = order.plan.shares.get(decision__instance__strategy__name="trend-canary").share  # type: ignore[union-attr]
    assert judged["passed"]
    assert Decimal(judged["measured"]) == pytest.approx(worth * part, rel=Decimal("1E-6"))


def test_a_canary_whose_own_part_is_above_its_cap_is_denied(desk: Desk, canary: Canary) -> None:
    live_bars(desk, 60)
    Quote.objects.update(bid="60000", ask="60010")
    canary.strategy.canary_cap = Decimal(400)
    canary.strategy.save(update_fields=["canary_cap"])
    strategy_step(instance_id=instance("trend-canary").pk)
    Quote.objects.update(received_at=timezone.now())
    assert plan_refresh(account_id=desk.account.pk, instrument_id=desk.btc.pk) == []
    assert Order.objects.get().code == "MODEL_NOT_SERVABLE"
