"""What a person lowered by hand: no machine, no other policy and no time raises it; two people who name it do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from rest_framework.test import APIClient

from governance.domain.policies.located import node_of
from governance.domain.policies.schema import canonical
from governance.models import AllocationRun, RoutingDecision
from governance.selectors.capital import grants_now
from governance.selectors.policies import version_in_force
from governance.services import capital
from governance.services.quotas import quotas_change, quotas_document
from governance.services.routing import routing_run
from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, ChangeRequest, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.trading import Desk
from tests.integration.governance.conftest import in_force
from tests.integration.governance.test_capital import POLICY, row, run
from tests.integration.governance.test_routing import regime_told, weight
from trading.models import Ceiling, EquityAnchor, StrategyInstance
from trading.services.strategies import Weighting, grant_change, weights_apply

Clients = Callable[..., APIClient]
WEIGHTS = "/api/v1/strategy/weights"
CAPPED: dict[str, Any] = {**POLICY, "max_quota_usd": 12_000, "cooldown_sec": 0}


@pytest.fixture
def halved(desk: Desk) -> Desk:
    StrategyInstance.objects.update(weight=Decimal("0.5"))
    in_force("strategy_weights", weights={"trend": "0.5", "swing": "0.3"})
    return desk


def lower(desk: Desk, by: User, *, name: str = "trend:BTCUSDT", **values: str) -> None:
    place = StrategyInstance.objects.get(pk=desk.instances[name].pk)
    wanted = {"weight": place.weight, "allocation": place.allocation} | {
        k: Decimal(v) for k, v in values.items()
    }
    made = grant_change(instance=place, actor=by, reason="too much", **wanted)
    assert isinstance(made, StrategyInstance)


def grant(desk: Desk, people: tuple[User, User], **values: str) -> None:
    place = StrategyInstance.objects.get(pk=desk.instances["trend:BTCUSDT"].pk)
    wanted = {"weight": place.weight, "allocation": place.allocation} | {
        k: Decimal(v) for k, v in values.items()
    }
    asked = grant_change(instance=place, actor=people[0], reason="found why", **wanted)
    assert isinstance(asked, ChangeRequest)
    change_request_approve(request_id=asked.pk, approver=people[1])


def test_a_weight_stays_down_whatever_one_person_changes_about_the_set(
    halved: Desk, risk_officer: User, trader: User, token_client: Clients
) -> None:
    lower(halved, risk_officer, weight="0")
    routing_run()
    one = token_client(trader).post(WEIGHTS, {"weights": {"swing": "0.29"}, "reason": "less"}, format="json")
    assert (one.status_code, weight(halved)) == (200, 0)
    version = version_in_force("strategy_weights")
    assert version is not None
    document = {**version.document, "band": "0.051"}
    put = token_client(risk_officer).put(
        "/api/v1/policies/strategy_weights", {"document": document, "reason": "finer"}, format="json"
    )
    assert (put.status_code, weight(halved)) == (200, 0)
    # Less of what the set gives it is no more for it either.
    token_client(trader).post(WEIGHTS, {"weights": {"trend": "0.4"}, "reason": "less"}, format="json")
    assert (weight(halved), weight(halved, symbol="ETHUSDT")) == (0, Decimal("0.4"))
    told = token_client(trader).get(WEIGHTS).json()["in_force"]
    mine = next(r for r in told if (r["strategy"], r["symbol"]) == ("trend", "BTCUSDT"))
    assert (mine["ceiling"], mine["lowered_by"]) == ("0", str(risk_officer))


def test_two_people_who_name_it_with_more_lift_it_and_what_was_lowered_later_stays(
    halved: Desk, trader: User, risk_officer: User, token_client: Clients
) -> None:
    lower(halved, risk_officer, weight="0.1")
    asked = token_client(trader).post(WEIGHTS, {"weights": {"trend": "0.6"}, "reason": "more"}, format="json")
    request = ChangeRequest.objects.get(pk=asked.json()["id"])
    assert request.effect["weights"]["trend BTCUSDT of desk"] == ["0.1", "0.6", "set"]
    lower(halved, risk_officer, name="trend:ETHUSDT", weight="0.2")
    change_request_approve(request_id=request.pk, approver=risk_officer)
    assert weight(halved) == Decimal("0.6")
    assert weight(halved, symbol="ETHUSDT") == Decimal("0.2"), "nobody who approved knew of it"
    assert AuditEntry.objects.filter(action="strategy.ceiling_lifted").count() == 1


def test_two_people_grant_exactly_what_they_say_and_with_all_of_it_the_ceiling_goes(
    halved: Desk, trader: User, risk_officer: User
) -> None:
    lower(halved, risk_officer, weight="0")
    grant(halved, (trader, risk_officer), weight="0.2")
    routing_run()
    assert weight(halved) == Decimal("0.2")
    assert Ceiling.objects.get(instance__isnull=False).most == Decimal("0.2")
    grant(halved, (trader, risk_officer), weight="0.5")
    assert not Ceiling.objects.filter(instance__isnull=False).exists()


def test_a_regime_that_passes_brings_a_weight_back_to_what_a_person_left(
    desk: Desk, risk_officer: User
) -> None:
    StrategyInstance.objects.update(weight=Decimal("0.5"))
    regime_told(desk, bull=1.0, bear=0.0)
    regimes = {"trend": {"source": "swing", "factors": {"bull": 1, "bear": "0.2"}}}
    in_force("strategy_weights", weights={"trend": "0.5"}, regimes=regimes)
    lower(desk, risk_officer, weight="0.3")
    seen = []
    for bull in (1.0, 0.0, 1.0):
        regime_told(desk, bull=bull, bear=1 - bull)
        routing_run()
        seen.append(weight(desk))
    assert seen == [Decimal("0.3"), Decimal("0.1"), Decimal("0.3")]
    decision = RoutingDecision.objects.filter(symbol="BTCUSDT").latest("id")
    assert (decision.rule, f"{risk_officer} lowered it to 30.00 %" in decision.reason) == (
        "lowered_by_hand",
        True,
    )


def test_what_a_playbook_trimmed_stays_down_as_well(halved: Desk, trader: User, risk_officer: User) -> None:
    place = halved.instances["trend:BTCUSDT"]
    weights_apply(
        weightings=[Weighting(place.pk, Decimal("0.5"), Decimal("0.1"), "funding")],
        actor="playbook funding",
        until_undone=True,
    )
    in_force("strategy_weights", weights={"trend": "0.5", "swing": "0.2"})
    assert weight(halved) == Decimal("0.1")
    grant(halved, (trader, risk_officer), weight="0.5")
    routing_run()
    assert weight(halved) == Decimal("0.5")


def test_capital_stays_down_whatever_one_person_changes_about_the_policy(
    desk: Desk, risk_officer: User, token_client: Clients
) -> None:
    in_force("capital_policy", **{**CAPPED, "enabled": ["trend"]})
    run()
    lower(desk, risk_officer, allocation="1000")
    assert grants_now(["trend"]) == {"trend": 9000}
    version = version_in_force("capital_policy")
    assert version is not None
    put = token_client(risk_officer).put(
        "/api/v1/policies/capital_policy",
        {"document": {**version.document, "refresh_sec": "58"}, "reason": "sooner"},
        format="json",
    )
    assert put.status_code == 200
    made = run()
    assert (row(made, "trend").rule, grants_now(["trend"])) == ("lowered_by_hand", {"trend": 9000})
    # A higher limit for everybody, approved or not, names nobody.
    in_force("capital_policy", **{**CAPPED, "enabled": ["trend"], "max_quota_usd": 20_000})
    run()
    assert grants_now(["trend"]) == {"trend": 9000}


def test_two_people_who_name_a_strategy_in_the_policy_lift_it(
    desk: Desk, trader: User, risk_officer: User, token_client: Clients
) -> None:
    in_force("capital_policy", **CAPPED)
    run()
    lower(desk, risk_officer, allocation="0")
    version = version_in_force("capital_policy")
    assert version is not None
    asked = token_client(trader).put(
        "/api/v1/policies/capital_policy",
        {"document": {**version.document, "caps": {"trend": "13000"}}, "reason": "it is fine"},
        format="json",
    )
    assert asked.status_code == 202, asked.json()
    request = ChangeRequest.objects.get(pk=asked.json()["id"])
    assert request.effect["amounts"]["trend"] == ["8000", "13000", "cap"]
    change_request_approve(request_id=request.pk, approver=risk_officer)
    run()
    assert grants_now(["trend"]) == {"trend": 13_000}


def test_housekeeping_forgets_no_hand(desk: Desk, risk_officer: User) -> None:
    """The amount never changed under this policy, so the runs that gave it go after a week."""
    in_force("capital_policy", **{**CAPPED, "enabled": ["trend"], "max_quota_usd": 9000})
    run()
    lower(desk, risk_officer, allocation="1000")
    old = now() - timedelta(days=8)
    version = AllocationRun.objects.get().version
    AllocationRun.objects.all().delete()
    AllocationRun.objects.create(at=old, trigger="test", version=version, outcome="held", explanation="x")
    assert capital.runs_prune() == 1
    assert row(run(), "trend").rule == "lowered_by_hand"
    assert grants_now(["trend"]) == {"trend": 7000}


def test_amounts_from_a_file_lower_by_hand_and_two_people_give_back(
    desk: Desk, trader: User, risk_officer: User
) -> None:
    in_force("capital_policy", **CAPPED)
    run()
    quotas_change(node=node_of({"capital_quota_usd": {"trend": 3000}}), actor=risk_officer, reason="too much")
    run()
    assert grants_now(["trend"]) == {"trend": 3000}
    for amount in (5000, 12_000):
        _, request = quotas_change(
            node=node_of({"capital_quota_usd": {"trend": amount}}), actor=trader, reason="better"
        )
        assert request is not None
        change_request_approve(request_id=request.pk, approver=risk_officer)
        run()
        assert grants_now(["trend"]) == {"trend": amount}
    assert not Ceiling.objects.exists(), "all that was taken is given back"


def test_amounts_finer_than_a_cent_come_back_as_they_went_out(desk: Desk, risk_officer: User) -> None:
    StrategyInstance.objects.filter(pk=desk.instances["trend:BTCUSDT"].pk).update(
        allocation=Decimal("3000.005")
    )
    written = canonical(quotas_document()) | {"updated_at": None}
    assert written["capital_quota_usd"]["trend"] == "9000.005"
    written["capital_quota_usd"]["swing"] = "8000"
    lowered, asked = quotas_change(node=node_of(written), actor=risk_officer, reason="less")
    assert (lowered, asked) == (["swing"], None)
    assert grants_now(["trend"]) == {"trend": Decimal("9000.005")}


def test_an_upgrade_keeps_what_stands_lowered(halved: Desk) -> None:
    in_force("capital_policy", **CAPPED)
    run()
    StrategyInstance.objects.filter(pk=halved.instances["trend:BTCUSDT"].pk).update(
        weight=Decimal("0.1"), allocation=1000
    )
    migration = import_module("governance.migrations.0013_lifted_stops")
    migration.keep_what_was_lowered(apps, None)
    kept = {str(row.strategy or row.instance): (row.most, row.was) for row in Ceiling.objects.all()}
    assert kept == {
        "trend": (Decimal(9000), Decimal(12_000)),
        "trend BTCUSDT (spot)": (Decimal("0.1"), Decimal("0.5")),
    }


def test_a_symbol_somebody_took_capital_from_gets_none_when_its_strategy_has_some_again(
    desk: Desk, risk_officer: User
) -> None:
    in_force("capital_policy", **{**CAPPED, "enabled": ["trend"], "drawdown_hard_pct": 1})
    run()
    lower(desk, risk_officer, allocation="0")
    lower(desk, risk_officer, name="trend:ETHUSDT", allocation="2000")
    EquityAnchor.objects.filter(pk="global").update(equity=4000)
    run()
    assert grants_now(["trend"]) == {"trend": 0}, "the reserve is not covered"
    EquityAnchor.objects.filter(pk="global").update(equity=100_000)
    run()
    places = StrategyInstance.objects.filter(strategy__name="trend")
    shares = dict(places.values_list("instrument__symbol", "allocation"))
    assert shares["BTCUSDT"] == 0
    assert shares["BNBUSDT"] == pytest.approx(2 * shares["ETHUSDT"], abs=Decimal("0.03"))
    assert sum(shares.values()) > 0


def test_a_change_that_gives_nothing_lifts_nothing(desk: Desk, risk_officer: User) -> None:
    in_force("capital_policy", **{**CAPPED, "enabled": ["trend"]})
    run()
    lower(desk, risk_officer, allocation="0")
    StrategyInstance.objects.filter(pk=desk.instances["trend:ETHUSDT"].pk).update(allocation=8000)
    lower(desk, risk_officer, name="trend:ETHUSDT", weight="0.9")
    ceiling = Ceiling.objects.get(strategy__name="trend")
    assert (ceiling.most, ceiling.was) == (8000, 12_000)
