"""What another limit would have done to the last week: orders judged again by what the rails measured then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from nautilus_site.common.clock import now
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.trading import Desk, trading_desk
from trading.domain.values import Level
from trading.models import CircuitBreaker, Order, StrategyInstance, TradingState
from trading.selectors.what_if import capital_would_have, limit_would_have, share_text
from trading.services.breakers import breaker_rule_change
from trading.services.controls import limit_change, resume_request
from trading.services.orders import OrderDenied
from trading.services.strategies import grant_change


@pytest.fixture
def desk(db: None) -> Desk:
    return trading_desk()


@pytest.fixture
def week(desk: Desk) -> Desk:
    """At 60,000: orders of 600, 1,200 and 2,400 accepted, one of 6,000 denied by the largest order of 5,000."""
    for quantity in ("0.01", "0.02", "0.04"):
        desk.submit("BUY", quantity)
    with pytest.raises(OrderDenied):
        desk.submit("BUY", "0.1")
    return desk


@pytest.mark.parametrize(
    ("value", "blocked", "through", "use"),
    [
        ("600", 3, 0, "1000 %"),  # exactly 600 passes
        ("599.99", 4, 0, "1000 %"),
        ("2400", 1, 0, "250 %"),
        ("6000", 0, 1, "100 %"),
        ("60000", 0, 1, "10 %"),
    ],
)
def test_a_largest_order_is_held_against_the_orders_there_were(
    week: Desk, value: str, blocked: int, through: int, use: str
) -> None:
    found = limit_would_have("max_notional", "global", Decimal(value), tighter="lower")
    assert found == {
        "orders_last_7_days": 4,
        "would_have_blocked": blocked,
        "would_have_let_through": through,
        "highest_use": use,
    }


def test_a_smallest_order_is_judged_the_other_way_round(week: Desk) -> None:
    found = limit_would_have("min_notional", "global", Decimal(1000), tighter="higher")
    assert (found["would_have_blocked"], found["highest_use"]) == (1, "60 %")


def test_only_the_scope_and_the_week_count(week: Desk) -> None:
    assert (
        limit_would_have("max_notional", "symbol:ETHUSDT", Decimal(1), tighter="lower")["orders_last_7_days"]
        == 0
    )
    oldest = Order.objects.order_by("pk").first()
    assert oldest is not None
    Order.objects.filter(pk=oldest.pk).update(created_at=now() - timedelta(days=8))
    found = limit_would_have("max_notional", "symbol:BTCUSDT", Decimal(1), tighter="lower")
    assert (found["orders_last_7_days"], found["would_have_blocked"]) == (3, 3)


def test_who_approves_sees_it_and_who_types_a_value_does(
    week: Desk,
    risk_officer: User,
    second_risk_officer: User,
    viewer: User,
    token_client: Callable[..., APIClient],
    clean_cache: None,
) -> None:
    request = limit_change(
        name="max_notional", scope="global", value=Decimal(8000), reason="larger", actor=risk_officer
    )
    assert not hasattr(request, "policy_version"), "a request, not the limit"
    effect: dict[str, Any] = request.effect  # type: ignore[union-attr]
    assert (effect["would_have_let_through"], effect["highest_use"]) == (1, "75 %")
    api = token_client(viewer)
    told = api.get("/api/v1/limits/max_notional/effect?value=8000").json()
    assert {name: told[name] for name in ("would_have_blocked", "would_have_let_through", "highest_use")} == {
        "would_have_blocked": 0,
        "would_have_let_through": 1,
        "highest_use": "75 %",
    }
    assert api.get("/api/v1/limits/max_notional/effect?value=-1").status_code == 400
    assert api.get("/api/v1/limits/no_limit/effect?value=1").status_code == 404
    change_request_approve(request_id=request.pk, approver=second_risk_officer)
    week.limit(soft_notional=9000)  # else it would need a grant of its own
    week.quote("ETHUSDT", "2999", "3001")
    assert week.submit("BUY", "2", symbol="ETHUSDT", price="3000").status == "RESERVED"


def denied_for(desk: Desk, code: str, **checked: Any) -> Order:
    """An order of the trend strategy that was denied, with what its rail measured."""
    row = desk.submit("BUY", "0.01")
    row.status, row.code, row.strategy = "DENIED", code, desk.strategies["trend"]
    row.checks = [*row.checks, {"rail": "strategy_capital", "passed": False, "code": code, **checked}]
    row.save(update_fields=["status", "code", "strategy", "checks"])
    return row


def test_more_capital_is_held_against_the_orders_that_had_too_little(desk: Desk, risk_officer: User) -> None:
    """Granted 1,000: orders that would have come to 1,100 and 2,100 were denied, so 1,500 lets one of them pass."""
    place = desk.instances["trend:BTCUSDT"]
    StrategyInstance.objects.filter(pk=place.pk).update(weight=1, allocation=1000)
    place.refresh_from_db()
    for measured in ("1100", "2100"):
        denied_for(desk, "EXPOSURE_STRATEGY", measured=measured, limit="1000")
    for allocation, through in (("1050", 0), ("1500", 1), ("2100", 2)):
        request = grant_change(
            instance=place, weight=Decimal(1), allocation=Decimal(allocation), actor=risk_officer, reason="r"
        )
        assert isinstance(request, ChangeRequest)
        assert (request.effect["denied_last_7_days"], request.effect["would_have_let_through"]) == (
            2,
            through,
        )
    assert capital_would_have("strategy:trend", None)["would_have_let_through"] == 0, (
        "nothing is known without a base"
    )
    assert capital_would_have("strategy:swing", Decimal(9))["denied_last_7_days"] == 0


def test_a_resume_tells_what_was_stopped_and_what_may_trade_again(desk: Desk, risk_officer: User) -> None:
    """Stopped: 0.01 at 60,000. May trade again: what is granted on the symbol."""
    place = desk.instances["trend:BTCUSDT"]
    StrategyInstance.objects.exclude(pk=place.pk).update(is_enabled=False)
    StrategyInstance.objects.filter(pk=place.pk).update(weight=Decimal("0.5"), allocation=3000)
    desk.kill(Level.HALT_NEW, "symbol:BTCUSDT")
    halted = TradingState.objects.filter(scope="symbol:BTCUSDT")
    halted.update(level=Level.ACTIVE)  # for the one order there has to be; since when it was set stays
    Order.objects.filter(pk=denied_for(desk, "TRADING_HALTED").pk).update(price=Decimal(60_000))
    halted.update(level=Level.HALT_NEW)
    request = resume_request(
        scope="symbol:BTCUSDT", to_level=Level.ACTIVE, reason="found why", requester=risk_officer
    )
    told = {
        name: request.effect[name]
        for name in ("orders_stopped_since", "worth_stopped_since", "may_trade_again")
    }
    assert told == {
        "orders_stopped_since": 1,
        "worth_stopped_since": "600 USDT",
        "may_trade_again": "1500 USDT",
    }


def test_a_breakers_rule_is_held_against_what_opened_it(desk: Desk, risk_officer: User) -> None:
    """Opened at 0.06, 0.08 and 0.12: a threshold of 0.1 would have left it closed twice."""
    row = CircuitBreaker.objects.order_by("pk").first()
    assert row is not None
    CircuitBreaker.objects.filter(pk=row.pk).update(threshold=0.05)
    for measured in (0.06, 0.08, 0.12):
        audit_record(action="breaker.open", target=f"{row.name}@{row.scope}", actor="breaker",
                     after={"state": "open", "measured": measured})  # fmt: skip
    request = breaker_rule_change(
        breaker_id=row.pk, values={"threshold": 0.1}, actor=risk_officer, reason="r"
    )
    assert isinstance(request, ChangeRequest)
    assert (request.effect["opened_last_7_days"], request.effect["would_not_have_opened"]) == (3, 2)


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        ("1000", "200000", "0.5 %"),
        ("20000", "200000", "10 %"),
        ("81000", "200000", "40 %"),
        ("0", "5", "0 %"),
    ],
)
def test_a_small_share_is_told_with_a_digit_more(part: str, whole: str, text: str) -> None:
    assert share_text(Decimal(part), Decimal(whole)) == text
    assert share_text(Decimal(part), Decimal(0)) is None
