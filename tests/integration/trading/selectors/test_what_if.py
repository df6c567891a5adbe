"""What another limit would have done to the last week: orders judged again by what the rails measured then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from nautilus_site.common.clock import now
from nautilus_site.common.models import User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.trading import Desk, trading_desk
from trading.models import Order
from trading.selectors.what_if import limit_would_have, share_text
from trading.services.controls import limit_change
from trading.services.orders import OrderDenied


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
