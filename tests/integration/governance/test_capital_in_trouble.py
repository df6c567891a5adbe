"""The allocator where something is wrong: a policy it cannot read, a clock put back, an amount it cannot count in."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from rest_framework.test import APIClient

from governance.domain.policies.located import node_of
from governance.models import AllocationRun, Incident, Policy, PolicyVersion
from governance.selectors.capital import equity_now, grants_now
from governance.selectors.capital_age import refused_since
from governance.selectors.policies import version_in_force
from governance.services import capital
from governance.services.quotas import quotas_change
from governance.tasks import capital_tick
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.trading import Desk
from tests.integration.governance.conftest import in_force
from tests.integration.governance.test_capital import POLICY, row, run
from trading.models import EquityAnchor, StrategyInstance
from trading.services.strategies import grant_change

Clients = Callable[..., APIClient]
CAPPED = {**POLICY, "max_quota_usd": 12_000, "cooldown_sec": 0}
HOUR = timedelta(hours=1)


@pytest.fixture
def given(desk: Desk) -> Desk:
    in_force("capital_policy", **CAPPED)
    run()
    assert grants_now(["trend", "swing"]) == {"trend": 12_000, "swing": 12_000}
    return desk


def place(desk: Desk, name: str = "trend:BTCUSDT") -> StrategyInstance:
    return StrategyInstance.objects.get(pk=desk.instances[name].pk)


def not_understood() -> None:
    """Put a document into force that was once allowed and is no more."""
    version = version_in_force("capital_policy")
    assert version is not None
    older = PolicyVersion.objects.create(
        policy_id="capital_policy", number=99, digest="x", reason="of another release", created_at=now(),
        document={**version.document, "expires_sec": "60", "refresh_sec": "60"},
    )  # fmt: skip
    Policy.objects.filter(pk="capital_policy").update(active=older)


def test_a_policy_that_is_not_understood_is_a_refused_run_and_calls_people(given: Desk) -> None:
    not_understood()
    AllocationRun.objects.all().delete()
    capital_tick()
    refused = AllocationRun.objects.get()
    assert (refused.outcome, refused.version.number) == ("refused", 99)
    assert "capital_policy@99 is not understood: " in refused.explanation
    assert "refresh_sec" in refused.explanation
    incident = Incident.objects.get(kind="allocator_refuses")
    assert incident.evidence["why"] == refused.explanation
    capital_tick()
    assert AllocationRun.objects.count() == 1, "not every ten seconds"


def test_under_a_policy_that_is_not_understood_amounts_can_be_lowered(
    given: Desk, risk_officer: User
) -> None:
    not_understood()
    until = place(given).in_force_until
    less = node_of({"capital_quota_usd": {"trend": 3000}})
    assert quotas_change(node=less, actor=risk_officer, reason="less") == (["trend"], None)
    assert grants_now(["trend"]) == {"trend": 3000}
    assert place(given).in_force_until == until


def test_one_person_who_lowers_an_amount_that_lapsed_brings_it_back_for_nobody(
    given: Desk, risk_officer: User
) -> None:
    StrategyInstance.objects.update(in_force_until=now() - HOUR)
    for policy in (CAPPED, {**CAPPED, "enabled": ["swing"]}):
        in_force("capital_policy", **policy, refresh_sec=61 + len(policy["enabled"]))
        less = grants_now(["trend"])["trend"] - 300
        quotas_change(node=node_of({"capital_quota_usd": {"trend": less}}), actor=risk_officer, reason="less")
        until = place(given).in_force_until
        assert until is not None
        assert until < now()


def test_a_clock_put_back_holds_up_no_run_and_no_alarm(given: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capital, "_STARTED", time.monotonic() - capital.FIRST_MEASURE_S)
    newest = AllocationRun.objects.latest("id")
    AllocationRun.objects.create(
        at=now() + HOUR, trigger="schedule", version=newest.version, outcome="held", explanation="before"
    )
    in_force("capital_policy", **{**CAPPED, "enabled": ["trend"]})
    StrategyInstance.objects.update(in_force_until=now() + HOUR)
    EquityAnchor.objects.filter(pk="global").update(marked_at=now() + timedelta(minutes=50))
    assert "ahead of the clock" in str(equity_now(now()))
    refused = capital.capital_run_if_due()
    assert refused is not None
    assert refused.outcome == "refused"
    assert refused_since() == refused.at
    for name in ("trend:BTCUSDT", "swing:BTCUSDT"):
        until = place(given, name).in_force_until
        assert until is not None
        assert until <= now() + timedelta(seconds=900), "no amount holds longer than the policy says"
    EquityAnchor.objects.filter(pk="global").update(equity=50_000, peak_equity=100_000, marked_at=now())
    assert run().pool == 0
    assert grants_now(["trend"]) == {"trend": 0}


def test_a_time_a_few_seconds_ahead_is_another_hosts(given: Desk) -> None:
    EquityAnchor.objects.filter(pk="global").update(marked_at=now() + timedelta(seconds=3))
    assert not isinstance(equity_now(now()), str)


def test_an_amount_too_fine_to_count_in_holds_up_its_own_strategy_only(given: Desk) -> None:
    StrategyInstance.objects.filter(pk=given.instances["trend:BTCUSDT"].pk).update(
        allocation=Decimal("3999.9999999999")
    )
    until = place(given).in_force_until
    in_force("capital_policy", **{**CAPPED, "max_quota_usd": 11_000})
    made = run()
    assert (row(made, "trend").rule, row(made, "swing").amount) == ("too_fine", 11_000)
    assert "finer than 1e-8 USDT: lower it to whole cents" in row(made, "trend").reason
    assert (place(given).in_force_until, place(given).allocation) == (until, Decimal("3999.9999999999"))


def test_amounts_are_granted_in_whole_cents(given: Desk, trader: User, token_client: Clients) -> None:
    answer = token_client(trader).post(
        "/api/v1/strategy/trend/grant",
        {"account": "desk", "symbol": "BTCUSDT", "allocation": "3999.9999999999", "reason": "a little less"},
        format="json",
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_VALUE")
    with pytest.raises(ApplicationError, match="whole cents"):
        grant_change(
            instance=place(given), weight=Decimal(1), allocation=Decimal("4000.001"), actor=trader, reason="x"
        )
    assert place(given).allocation == 4000


def test_what_the_policy_no_longer_decides_about_lapses_and_says_so(
    given: Desk, trader: User, risk_officer: User, token_client: Clients
) -> None:
    in_force("capital_policy", **{**CAPPED, "enabled": ["swing"]})
    until = place(given).in_force_until
    assert until is not None
    made = run()
    assert place(given).in_force_until == until
    assert row(made, "trend").reason.endswith(
        f"what it has holds until {until:%Y-%m-%d %H:%M} UTC, after that it only reduces"
    )
    told = token_client(trader).get(f"/api/v1/allocations?run={made.pk}").json()["results"]
    assert {one["strategy"]: one["in_force_until"] is None for one in told} == {"trend": True, "swing": False}


def test_two_people_let_what_lapsed_hold_again(given: Desk, trader: User, risk_officer: User) -> None:
    same = {"weight": place(given).weight, "allocation": place(given).allocation, "reason": "it is fine"}
    assert isinstance(grant_change(instance=place(given), actor=trader, **same), StrategyInstance)
    StrategyInstance.objects.update(in_force_until=now() - HOUR)
    asked = grant_change(instance=place(given), actor=trader, **same)
    assert isinstance(asked, ChangeRequest)
    assert asked.diff["in_force_until"][1] == "until changed"
    change_request_approve(request_id=asked.pk, approver=risk_officer)
    assert place(given).in_force_until is None
    assert place(given, "trend:ETHUSDT").in_force_until is not None
