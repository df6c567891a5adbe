"""Shadows that decide without orders, and canaries that trade a capped part, are paired, guarded and rolled back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from django.db.models import F
from django.utils import timezone
from rest_framework.test import APIClient

from mlregistry.domain.stages import Stage
from mlregistry.models import Canary, ModelVersion, ShadowDecision
from mlregistry.selectors.shadows import shadow_members
from mlregistry.services.canaries import canaries_check, canary_check, canary_rollback
from mlregistry.services.effects import promotion_effect
from mlregistry.services.register import version_register
from mlregistry.services.shadowing import shadows_step
from mlregistry.services.stages import rollback, version_move
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import Role, User
from tests.factories.canaries import FAMILY, FAST, both_decided, earned, instance, live_bars, promote, run
from tests.factories.markets import paying_bars, paying_closes, trained_on
from tests.factories.trading import Desk
from trading.models import Decision, Order, Strategy, StrategyInstance, SubPosition
from trading.services.models import model_name
from trading.services.planning import plan_refresh
from trading.services.strategies import strategy_step
from universe.models import Quote

pytestmark = pytest.mark.django_db
Clients = Callable[..., APIClient]


def test_a_shadow_decides_at_every_bar_once_without_any_order_and_beside_the_champion(
    desk: Desk, challenger: ModelVersion, people: tuple[User, User]
) -> None:
    promote(challenger, Stage.SHADOW, people)
    live_bars(desk, 60)
    assert strategy_step(instance_id=instance("trend").pk) is not None
    assert shadows_step() == 1
    assert shadows_step() == 0
    live_bars(desk, 5, first=60, last_return=-0.03)
    strategy_step(instance_id=instance("trend").pk)
    assert shadows_step() == 5
    members = shadow_members(challenger)
    assert (members["decisions"], members["paired"], members["refused"]) == (6, 6, [])
    # A fall of 3 % in an hour is turbulent to whoever sees two states; the champion sees one and stays.
    newest = members["newest"][0]
    assert (newest["target"], newest["champion_target"]) == (0.0, 1.0)
    assert not Order.objects.exists()
    assert Decision.objects.exclude(instance__strategy__name="trend").count() == 0


def test_what_a_shadow_earned_is_its_target_times_the_next_change_less_the_cost(
    desk: Desk, challenger: ModelVersion, people: tuple[User, User]
) -> None:
    promote(challenger, Stage.SHADOW, people)
    place = instance("trend")
    start = timezone.now().replace(minute=0, second=0, microsecond=0)
    for n, (price, target) in enumerate([("100", 1.0), ("110", 1.0), ("99", 0.0)]):
        at = start + timedelta(hours=n)
        common: dict[str, Any] = {"bar_open_at": at, "price": price, "confidence": 1.0, "reason": "X"}
        ShadowDecision.objects.create(
            version=challenger, instance=place, target=target, decided_at=at, **common
        )
        Decision.objects.create(instance=place, key=f"k{n}", target=1.0, decided_at=at, **common)
    members = shadow_members(challenger)
    assert members["agreement"] == pytest.approx(2 / 3, abs=1e-6)
    # Who decides about its promotion is told the same: two bars of three alike, invested 100 % and 67 %.
    told = promotion_effect(f"model:{challenger.pk}", {"gate": "passed"})
    assert (told["bars_decided_last_7_days"], told["would_have_decided_otherwise"]) == (3, 1)
    assert (told["invested_on_average_now"], told["invested_on_average_then"]) == ("100 %", "67 %")
    ShadowDecision.objects.update(bar_open_at=F("bar_open_at") - timedelta(days=8))
    told = promotion_effect(f"model:{challenger.pk}", {"gate": "passed"})
    assert told["would_have_decided_otherwise"] == "not known: it ran beside nothing"
    # +10 %, -10 %, and costs of 10 bps for each change of one.
    assert members["return"] == pytest.approx(0.1 - 0.1 - 0.001 - 0.001)
    assert members["champion_return"] == pytest.approx(0.1 - 0.1 - 0.001)


def test_a_canary_takes_its_capital_from_the_champion_and_is_held_to_it(desk: Desk, canary: Canary) -> None:
    # A fifth of 3000 is 600; the cap is 500.
    assert (canary.capital, canary.champion_capital) == (Decimal("500.00"), Decimal("2500.00"))
    assert instance("trend").allocation == Decimal("2500.00")
    own = canary.strategy
    assert (own.name, own.model_stage, own.canary_cap) == ("trend-canary", "canary", Decimal("510.00"))
    assert model_name(own) == f"{FAMILY}@2"
    assert canary.follower.model_digest != own.model_digest
    live_bars(desk, 60)
    for name in ("trend", "trend-canary"):
        decision = strategy_step(instance_id=instance(name).pk)
        assert decision is not None
        assert decision.model == f"{FAMILY}@{2 if 'canary' in name else 1}"
    Quote.objects.update(bid="60000", ask="60010")
    Quote.objects.update(received_at=timezone.now())
    for order in plan_refresh(account_id=desk.account.pk, instrument_id=desk.btc.pk):
        desk.send(order)
    parts = {part.owner: part.cost for part in SubPosition.objects.all()}
    # Allocation times target at the bar's close; the market stands lower by now.
    wanted = {name: instance(name) for name in parts}
    for name, place in wanted.items():
        close = Decision.objects.filter(instance=place).latest("bar_open_at").price
        assert place.target is not None
        exact = place.allocation * Decimal(place.target) / close * Decimal(60000)
        assert parts[name] == pytest.approx(exact, rel=Decimal("0.01"))
    assert parts["trend-canary"] <= Decimal(510)


def test_a_champion_s_change_of_model_leaves_the_canary_s_alone(
    desk: Desk, canary: Canary, people: tuple[User, User]
) -> None:
    from trading.services.models import model_in_force_set

    model_in_force_set(family=FAMILY, digest="f" * 64, version=9, actor="test", reason="drill")
    assert Strategy.objects.get(name="trend").model_version == 9
    assert Strategy.objects.get(name="trend-canary").model_version == 2


def test_each_interval_is_one_paired_observation_of_net_returns(canary: Canary) -> None:
    """W82: there a fifth of the traffic was compared with all of it by its profit in USD."""
    start = timezone.now()
    assert canary_check(canary_id=canary.pk, moment=start).mark_at is None  # type: ignore[union-attr]
    both_decided()
    for n, (own, other) in enumerate([(0.0, 0.0), (5.0, 10.0), (2.5, 35.0)]):
        earned("trend-canary", own)
        earned("trend", other)
        canary_check(canary_id=canary.pk, moment=start + timedelta(seconds=10 * n))
        canary_check(canary_id=canary.pk, moment=start + timedelta(seconds=10 * n + 9))
    seen = canary.observations.values_list("canary_return", "champion_return")
    assert list(seen) == [
        (pytest.approx(0.01), pytest.approx(0.004)),
        (pytest.approx(-0.005), pytest.approx(0.01)),
    ]


def test_a_canary_that_is_better_wins_and_keeps_trading_until_somebody_decides(canary: Canary) -> None:
    won = run(canary, 0.8, 120)
    assert (won.state, won.version.stage) == (Canary.State.WON, Stage.CANARY)
    assert won.best_log_e >= np.log(1 / 0.025)
    assert won.low is not None
    assert won.low > 0
    assert instance("trend-canary").allocation == Decimal(500)


def test_a_canary_that_is_worse_is_ended_and_its_capital_goes_back(canary: Canary) -> None:
    harmed = run(canary, -0.8, 120)
    harmed.version.refresh_from_db()
    assert (harmed.state, harmed.version.stage) == (Canary.State.HARMED, Stage.SHADOW)
    assert instance("trend").allocation == Decimal(3000)
    own = instance("trend-canary")
    assert (own.allocation, own.weight, own.target) == (0, 0, 0.0)
    assert Strategy.objects.get(name="trend-canary").model_digest == ""


def test_a_canary_that_is_the_same_neither_wins_nor_harms(canary: Canary) -> None:
    assert run(canary, 0.0, 80).state == Canary.State.RUNNING


def test_a_breach_is_rolled_back_by_the_next_look(
    canary: Canary, challenger: ModelVersion, people: tuple[User, User]
) -> None:
    earned("trend-canary", 0.0)
    canaries_check()
    earned("trend-canary", -15.01)  # three per cent of 500 is 15
    canaries_check()
    canary.refresh_from_db()
    assert canary.state == Canary.State.BREACHED
    assert "daily_loss" in canary.reason
    challenger.refresh_from_db()
    assert challenger.stage == Stage.SHADOW
    change = challenger.stage_changes.first()
    assert change is not None
    assert (change.actor, change.evidence["canary"]) == ("guard rails", str(canary.uid))
    assert instance("trend").allocation == Decimal(3000)
    with pytest.raises(Conflict, match="may not try again before"):
        promote(challenger, Stage.CANARY, people)


def test_worth_that_cannot_be_told_is_a_breach_after_45_seconds(desk: Desk, canary: Canary) -> None:
    earned("trend-canary", 0.0)
    SubPosition.objects.filter(owner="trend-canary").update(quantity=Decimal("0.001"), cost=Decimal(60))
    Quote.objects.update(bid=None)
    start = timezone.now()
    for after in (0, 45):
        found = canary_check(canary_id=canary.pk, moment=start + timedelta(seconds=after))
        assert found is not None
        assert found.state == Canary.State.RUNNING
    ended = canary_check(canary_id=canary.pk, moment=start + timedelta(seconds=46))
    assert ended is not None
    assert (ended.state, "unmeasured_s" in ended.reason) == (Canary.State.BREACHED, True)


def test_a_canary_that_cannot_be_checked_is_ended(canary: Canary) -> None:
    Canary.objects.update(rules={**canary.rules, "no such rule": 1})
    canaries_check()
    canary.refresh_from_db()
    assert canary.state == Canary.State.ENDED
    assert canary.reason.startswith("it cannot be checked: ValueError: no rule is called no such rule")
    assert instance("trend").allocation == Decimal(3000)


def test_the_position_is_left_and_then_the_strategy_is_off(desk: Desk, canary: Canary) -> None:
    live_bars(desk, 60)
    Quote.objects.update(bid="60000", ask="60010")
    for name in ("trend", "trend-canary"):
        strategy_step(instance_id=instance(name).pk)
    Quote.objects.update(received_at=timezone.now())
    for order in plan_refresh(account_id=desk.account.pk, instrument_id=desk.btc.pk):
        desk.send(order)
    held = SubPosition.objects.get(owner="trend-canary")
    assert held.quantity > 0
    canary_rollback(canary=canary, actor="risk", reason="do not like it")
    canaries_check()
    assert Strategy.objects.get(name="trend-canary").is_enabled
    plan_refresh(account_id=desk.account.pk, instrument_id=desk.btc.pk)
    held.refresh_from_db()
    # It crosses to the champion, who wants more, inside the account; a fee in BTC leaves less than a step.
    assert held.quantity < desk.btc.to_domain().step_size
    canaries_check()
    assert not Strategy.objects.get(name="trend-canary").is_enabled
    canary.refresh_from_db()
    assert canary.closed_at is not None


def test_a_canary_that_becomes_champion_gives_its_capital_to_the_champion_s_strategy(
    canary: Canary, challenger: ModelVersion, people: tuple[User, User]
) -> None:
    promote(challenger, Stage.CHAMPION, people)
    assert challenger.stage == Stage.CHAMPION
    follower = Strategy.objects.get(name="trend")
    assert follower.model_digest == challenger.digest
    assert instance("trend").allocation == Decimal(3000)
    canary.refresh_from_db()
    assert canary.state == Canary.State.ENDED


def test_a_rollback_of_the_champion_ends_the_canary_paired_with_it(
    desk: Desk, canary: Canary, encoded: dict[str, Any], people: tuple[User, User]
) -> None:
    third = version_register(
        encoded=trained_on(paying_bars(paying_closes(900)), states=2), metrics={}, actor="t"
    )
    promote(third, Stage.CHAMPION, people)
    canary.refresh_from_db()
    assert (canary.state, canary.version.stage) == (Canary.State.ENDED, Stage.SHADOW)
    Canary.objects.update(cool_until=None)
    promote(canary.version, Stage.CANARY, people, **FAST)
    rollback(family=third.family, actor=people[1], reason="worse")
    assert not Canary.objects.filter(ended_at=None).exists()


def test_a_canary_ends_when_the_strategy_it_is_paired_with_is_switched_off(canary: Canary) -> None:
    canaries_check()
    assert Canary.objects.get().state == Canary.State.RUNNING
    Strategy.objects.filter(name="trend").update(is_enabled=False)
    canaries_check()
    ended = Canary.objects.get()
    assert (ended.state, ended.reason) == (Canary.State.ENDED, "trend is off, or has no capital in force")
    assert instance("trend").allocation == Decimal(3000)


def test_a_canary_s_capital_holds_no_longer_than_the_champion_s_and_follows_its_amount(
    canary: Canary,
) -> None:
    until = timezone.now() + timedelta(hours=1)
    StrategyInstance.objects.filter(strategy__name="trend").update(in_force_until=until, allocation=1250)
    canaries_check()
    assert instance("trend-canary").in_force_until == until
    assert Canary.objects.get().champion_capital == 1250
    past = timezone.now() - timedelta(seconds=1)
    StrategyInstance.objects.filter(strategy__name="trend").update(in_force_until=past)
    canaries_check()
    assert Canary.objects.get().state == Canary.State.ENDED


def test_a_canary_needs_somebody_who_trades_the_champion(
    desk: Desk, challenger: ModelVersion, people: tuple[User, User]
) -> None:
    Strategy.objects.filter(name="trend").update(is_enabled=False)
    with pytest.raises(Conflict, match="no strategy that is on"):
        promote(challenger, Stage.CANARY, people)
    Strategy.objects.filter(name="trend").update(is_enabled=True)
    with pytest.raises(ApplicationError, match="at most"):
        promote(challenger, Stage.CANARY, people, share=0.5)


def test_stepping_a_canary_back_by_hand_ends_it(canary: Canary, challenger: ModelVersion) -> None:
    version_move(version_id=challenger.pk, stage=Stage.RETIRED, actor="mo", reason="not needed")
    canary.refresh_from_db()
    challenger.refresh_from_db()
    assert (canary.state, challenger.stage) == (Canary.State.ENDED, Stage.RETIRED)
    assert instance("trend").allocation == Decimal(3000)


def test_anybody_reads_canaries_and_one_click_of_who_may_roll_back_ends_one(
    canary: Canary, token_client: Clients, make_user: Any
) -> None:
    viewer, officer = (
        token_client(make_user(role, username=f"{role}-2")) for role in (Role.VIEWER, Role.RISK_OFFICER)
    )
    (listed,) = viewer.get("/api/v1/canaries").json()["results"]
    assert (listed["id"], listed["state"], listed["capital"]) == (str(canary.uid), "running", "500")
    path = f"/api/v1/canaries/{canary.uid}"
    assert viewer.post(f"{path}/rollback", {"reason": "no"}, format="json").status_code == 403
    assert officer.post(f"{path}/rollback", {}, format="json").status_code == 400
    ended = officer.post(f"{path}/rollback", {"reason": "enough"}, format="json")
    assert (ended.status_code, ended.json()["state"], ended.json()["reason"]) == (200, "ended", "enough")
    assert officer.post(f"{path}/rollback", {"reason": "again"}, format="json").status_code == 409
    detail = viewer.get(f"/api/v1/models/{canary.version_id}").json()
    assert [one["id"] for one in detail["canaries"]] == [str(canary.uid)]
    assert detail["stage"] == "shadow"
    assert detail["shadow"]["decisions"] == 0


def test_rules_of_a_canary_come_with_the_request_and_wrong_ones_are_named(
    desk: Desk, challenger: ModelVersion, token_client: Clients, people: tuple[User, User]
) -> None:
    client = token_client(people[0])
    body: dict[str, Any] = {"stage": "canary", "reason": "try", "override": True, "canary": {"share": 0.3}}
    path = f"/api/v1/models/{challenger.pk}/promote"
    refused = client.post(path, body, format="json")
    assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_CANARY")
    assert "share: expected at most 0.25" in refused.json()["detail"]
    body["canary"] = {"share": 0.1, "cap": 200}
    assert client.post(path, body, format="json").status_code == 202
