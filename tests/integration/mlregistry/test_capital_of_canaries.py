"""The allocator and canaries: what a canary has is a part of its champion's capital, and was lowered by nobody."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps

from governance.models import Allocation
from governance.selectors.capital import grants_now
from governance.services.capital import capital_run
from mlregistry.domain.stages import Stage
from mlregistry.models import Canary, ModelVersion
from mlregistry.services.canaries import canary_check, canary_rollback
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.canaries import FAST, both_decided, earned, promote
from tests.factories.trading import Desk
from tests.integration.governance.conftest import in_force
from trading.models import Ceiling, EquityAnchor, StrategyInstance
from trading.services.strategies import grant_change

pytestmark = pytest.mark.django_db
POLICY: dict[str, Any] = {
    "enabled": ["trend"], "max_quota_usd": 4_000, "min_quota_usd": 100, "base_equity_frac": 1, "step_up_pct": 10,
    "step_down_pct": 1, "hysteresis_pct": 0, "cooldown_sec": 0, "unproven_quota_usd": 1_000_000,
    "envelope": {"max_total_usd": 1_000_000, "max_increase_usd": 1_000_000},
}  # fmt: skip


def decided(strategy: str) -> Allocation:
    run = capital_run(trigger="test")
    assert run is not None
    return Allocation.objects.get(run=run, strategy=strategy)


def lowered_by_hand(strategy: str, amount: int, by: User) -> None:
    place = StrategyInstance.objects.get(strategy__name=strategy, allocation__gt=0)
    grant_change(instance=place, weight=place.weight, allocation=Decimal(amount), actor=by, reason="too much")


def both() -> tuple[Decimal, Decimal]:
    grants = grants_now(["trend", "trend-canary"])
    return grants["trend"], grants["trend-canary"]


@pytest.fixture
def given(desk: Desk) -> None:
    """The policy has given the champion the most it may have."""
    in_force("capital_policy", **POLICY)
    assert decided("trend").amount == 4_000


@pytest.mark.usefixtures("given")
def test_a_champion_that_shares_with_a_canary_was_lowered_by_nobody_and_both_stay_under_its_cap(
    challenger: ModelVersion, people: tuple[User, User]
) -> None:
    promote(challenger, Stage.CANARY, people, **FAST)
    assert both() == (3_500, 500)
    for _ in range(2):
        row = decided("trend")
        assert (row.rule, row.amount) == ("cap", 3_500), row.reason
    canary = Allocation.objects.filter(strategy="trend-canary").latest("id")
    assert (canary.rule, canary.amount) == ("canary", 500)
    assert canary.reason == "it is on trial beside trend and has this of its capital"


@pytest.mark.usefixtures("given")
def test_a_canary_that_grew_or_ended_lowered_nothing_either(
    challenger: ModelVersion, people: tuple[User, User]
) -> None:
    promote(
        challenger, Stage.CANARY, people, **{**FAST, "share": 0.05, "cap": 800, "ramp": 0.2, "dwell_s": 0}
    )
    assert both() == (3_800, 200)
    decided("trend")
    canary = Canary.objects.get()
    both_decided()
    at, own = canary.started_at, 0.0
    for n in range(80):
        earned("trend-canary", own)
        canary_check(canary_id=canary.pk, moment=at + timedelta(seconds=10 * n))
        canary.refresh_from_db()
        if canary.step == 2:
            break
        own += float(canary.capital) * 0.001 * (1 + n % 3)
    assert both() == (3_200, 800)
    assert decided("trend").rule == "cap"
    canary_rollback(canary=canary, actor=people[1], reason="enough")
    assert both() == (4_000, 0)
    assert (decided("trend").rule, both()) == ("cap", (4_000, 0))


@pytest.mark.usefixtures("given")
def test_what_a_person_takes_from_a_champion_beside_its_canary_stays_down(
    challenger: ModelVersion, people: tuple[User, User]
) -> None:
    promote(challenger, Stage.CANARY, people, **FAST)
    decided("trend")
    lowered_by_hand("trend", 3_400, people[1])
    assert (decided("trend").rule, both()) == ("lowered_by_hand", (3_400, 500))
    canary_rollback(canary=Canary.objects.get(), actor=people[1], reason="enough")
    assert (decided("trend").rule, both()) == ("lowered_by_hand", (3_900, 0))


@pytest.mark.usefixtures("given")
def test_what_a_person_takes_from_a_canary_comes_back_to_nobody(
    challenger: ModelVersion, people: tuple[User, User]
) -> None:
    promote(challenger, Stage.CANARY, people, **FAST)
    decided("trend")
    lowered_by_hand("trend-canary", 200, people[1])
    assert (decided("trend").rule, both()) == ("lowered_by_hand", (3_500, 200)), (
        "its champion does not take it"
    )
    canary_rollback(canary=Canary.objects.get(), actor=people[1], reason="enough")
    assert (decided("trend").rule, both()) == ("lowered_by_hand", (3_700, 0))


@pytest.mark.usefixtures("given")
def test_a_champion_that_somebody_took_everything_from_gets_nothing_back_from_its_canary(
    challenger: ModelVersion, people: tuple[User, User]
) -> None:
    promote(challenger, Stage.CANARY, people, **FAST)
    decided("trend")
    lowered_by_hand("trend", 0, people[1])
    canary_check(canary_id=Canary.objects.get().pk)
    canary = Canary.objects.get()
    assert (canary.state, both()) == ("ended", (0, 0))
    assert (decided("trend").rule, both()) == ("lowered_by_hand", (0, 0))
    ceiling = Ceiling.objects.get()
    assert (ceiling.most, ceiling.was) == (0, 4_000)


@pytest.mark.usefixtures("given")
def test_a_fall_that_passes_leaves_the_champion_of_a_lowered_canary_no_smaller(
    challenger: ModelVersion, people: tuple[User, User]
) -> None:
    promote(challenger, Stage.CANARY, people, **FAST)
    decided("trend")
    lowered_by_hand("trend-canary", 400, people[1])
    assert (decided("trend").rule, both()) == ("lowered_by_hand", (3_500, 400))
    anchor = EquityAnchor.objects.get(pk="global")
    EquityAnchor.objects.filter(pk="global").update(equity=6_500, peak_equity=6_500)
    decided("trend")
    assert both() == (1_100, 400)
    EquityAnchor.objects.filter(pk="global").update(equity=anchor.equity, peak_equity=anchor.peak_equity)
    assert (decided("trend").rule, both()) == ("lowered_by_hand", (3_500, 400))
    canary_rollback(canary=Canary.objects.get(), actor=people[1], reason="enough")
    assert (decided("trend").rule, both()) == ("lowered_by_hand", (3_900, 0))
    ceiling = Ceiling.objects.get()
    assert (ceiling.most, ceiling.was) == (3_900, 4_000)


@pytest.mark.usefixtures("given")
def test_what_two_people_give_back_to_a_canary_its_champion_is_not_short_of(
    challenger: ModelVersion, people: tuple[User, User], trader: User
) -> None:
    promote(challenger, Stage.CANARY, people, **FAST)
    lowered_by_hand("trend-canary", 400, people[1])
    place = StrategyInstance.objects.get(strategy__name="trend-canary")
    asked = grant_change(
        instance=place, weight=place.weight, allocation=Decimal(500), actor=trader, reason="it is fine"
    )
    assert isinstance(asked, ChangeRequest)
    change_request_approve(request_id=asked.pk, approver=people[1])
    assert not Ceiling.objects.exists()
    canary_rollback(canary=Canary.objects.get(), actor=people[1], reason="enough")
    assert (decided("trend").rule, both()) == ("cap", (4_000, 0))


@pytest.mark.usefixtures("given")
def test_the_rails_of_a_canary_measure_by_what_it_has_left(
    challenger: ModelVersion, people: tuple[User, User]
) -> None:
    promote(challenger, Stage.CANARY, people, **FAST)
    both_decided()
    earned("trend-canary", -10.0)  # 2 % of its 500, of 3 % allowed
    canary = Canary.objects.get()
    canary_check(canary_id=canary.pk)
    lowered_by_hand("trend-canary", 50, people[1])
    canary_check(canary_id=canary.pk)
    canary.refresh_from_db()
    assert (canary.state, canary.capital) == ("running", 50), (
        "what it lost before is no more of it than it was"
    )
    earned("trend-canary", -11.0)  # another 2 % of 50
    canary_check(canary_id=canary.pk)
    canary.refresh_from_db()
    assert (canary.state, both()) == ("breached", (3_550, 0))


@pytest.mark.usefixtures("given")
def test_an_upgrade_tells_the_champion_what_was_taken_from_its_canary(
    challenger: ModelVersion, people: tuple[User, User]
) -> None:
    promote(challenger, Stage.CANARY, people, **FAST)
    lowered_by_hand("trend-canary", 400, people[1])
    told = Ceiling.objects.filter(strategy__name="trend").values("most", "was").get()
    Ceiling.objects.filter(strategy__name="trend").delete()
    import_module("trading.migrations.0039_splits").tell_champions(apps, None)
    assert Ceiling.objects.filter(strategy__name="trend").values("most", "was").get() == told
