"""Object by object: whoever a strategy or a model is by does not decide about it, not even as a risk officer by now."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.test import Client

from governance.selectors.inbox import request_members
from nautilus_site.common.errors import Forbidden
from nautilus_site.common.models import User
from nautilus_site.common.services.change_requests import change_request_approve, change_request_reject
from tests.factories.trading import Desk, trading_desk
from trading.models import Strategy
from trading.services.strategies import grant_change, strategy_enable_request


@pytest.fixture
def desk(db: None) -> Desk:
    return trading_desk()


def test_the_owner_of_a_strategy_does_not_let_it_trade_and_another_does(
    desk: Desk, trader: User, risk_officer: User, second_risk_officer: User, browser: Callable[[User], Client]
) -> None:
    Strategy.objects.filter(name="swing").update(is_enabled=False, owner=risk_officer)
    enable = strategy_enable_request(name="swing", requester=trader, reason="ready")
    grant = grant_change(
        instance=desk.instances["swing:BTCUSDT"],
        weight=Decimal(1),
        allocation=Decimal(5000),
        actor=trader,
        reason="more",
    )
    for request in (enable, grant):
        for decide in (change_request_approve, change_request_reject):
            with pytest.raises(Forbidden, match="owns the strategy swing"):
                decide(request_id=request.pk, approver=risk_officer)
        assert not request_members(request, risk_officer)["may_decide"]  # type: ignore[arg-type]
        assert request_members(request, second_risk_officer)["may_decide"]  # type: ignore[arg-type]
        assert request_members(request, second_risk_officer)["deciders"] == "risk2"  # type: ignore[arg-type]
        assert change_request_approve(request_id=request.pk, approver=second_risk_officer).state == "applied"


def test_another_strategy_is_theirs_to_decide(desk: Desk, trader: User, risk_officer: User) -> None:
    Strategy.objects.filter(name="swing").update(owner=risk_officer)
    Strategy.objects.filter(name="trend").update(is_enabled=False)
    request = strategy_enable_request(name="trend", requester=trader, reason="ready")
    assert change_request_approve(request_id=request.pk, approver=risk_officer).state == "applied"
