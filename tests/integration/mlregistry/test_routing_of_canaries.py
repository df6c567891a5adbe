"""The router and the registry's canaries: one list of who is on trial, kept by the registry."""

from __future__ import annotations

from decimal import Decimal

import pytest

from governance.models import RoutingDecision
from governance.services.routing import routing_run
from mlregistry.models import Canary
from mlregistry.selectors.canaries import canaries_trading
from mlregistry.services.canaries import canary_rollback
from nautilus_site.common.models import User
from tests.factories.canaries import instance
from tests.factories.trading import Desk
from tests.integration.governance.conftest import in_force

pytestmark = pytest.mark.django_db


def test_a_canary_is_capped_and_follows_its_champions_weight_until_it_ends(
    desk: Desk, canary: Canary, people: tuple[User, User]
) -> None:
    assert canaries_trading() == {"trend-canary": "trend"}
    assert (instance("trend-canary").weight, instance("trend").weight) == (1, 1)
    # It has 500 of 3,000: a sixth of the capital at a weight of 1; a tenth is allowed.
    in_force("strategy_weights", weights={"trend": 1}, max_canary_weight="0.1")
    share = instance("trend-canary").allocation / Decimal(3000)
    assert instance("trend-canary").weight == pytest.approx(Decimal("0.1") / share, abs=Decimal("0.0001"))
    assert instance("trend").weight == 1
    decided = RoutingDecision.objects.filter(strategy="trend-canary").latest("id")
    assert decided.rule == "canary"
    in_force("strategy_weights", weights={"trend": 0})
    assert (instance("trend-canary").weight, instance("trend").weight) == (0, 0), (
        "both leave in an orderly way"
    )


def test_what_is_no_canary_any_more_is_routed_as_nothing_of_the_registry(
    desk: Desk, canary: Canary, people: tuple[User, User]
) -> None:
    canary_rollback(canary=canary, actor=people[1], reason="enough")
    assert canaries_trading() == {}
    in_force("strategy_weights", weights={"trend": "0.5"})
    assert instance("trend").weight == Decimal("0.5")
    assert not RoutingDecision.objects.filter(strategy="trend-canary").exists()
    assert routing_run() == []
