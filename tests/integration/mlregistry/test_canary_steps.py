"""A canary grows by a step when its evidence and time are there; what it had a part in is measured and guarded."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.utils import timezone

from mlregistry.domain.stages import Stage
from mlregistry.models import Canary, DriftReport, GateVerdict, ModelVersion
from mlregistry.selectors.canaries import canary_fills, canary_orders
from mlregistry.selectors.verdicts import policy_in_force
from mlregistry.services.canaries import canaries_check, canary_check
from mlregistry.services.stages import promotion_request
from nautilus_site.common.errors import Conflict
from nautilus_site.common.models import AuditEntry, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.canaries import FAST, both_decided, earned, instance, live_bars, promote, run
from tests.factories.trading import Desk
from trading.domain.orders import OrderStatus
from trading.models import Order, Position, Strategy, SubPosition
from trading.services.planning import plan_refresh
from trading.services.strategies import strategy_step
from universe.models import Quote

pytestmark = pytest.mark.django_db
RAMPED = {**FAST, "share": 0.05, "cap": 600, "ramp": 0.25}


def trade(desk: Desk) -> list[Order]:
    """Let both decide about the same bars and send what is planned."""
    live_bars(desk, 60)
    Quote.objects.update(bid="60000", ask="60010")
    for name in ("trend", "trend-canary"):
        strategy_step(instance_id=instance(name).pk)
    Quote.objects.update(received_at=timezone.now())
    orders = plan_refresh(account_id=desk.account.pk, instrument_id=desk.btc.pk)
    for order in orders:
        desk.send(order)
    return orders


def ramped(challenger: ModelVersion, people: tuple[User, User], **rules: Any) -> Canary:
    promote(challenger, Stage.CANARY, people, **{**RAMPED, **rules})
    return Canary.objects.get()


def better(canary: Canary, looks: int, *, every_s: float = 10.0) -> list[tuple[int, Decimal, str]]:
    """What each look said while it earned more, noise apart: step, capital, state."""
    rng, own, start, seen = np.random.default_rng(3), 0.0, canary.started_at, []
    both_decided()
    for n in range(looks):
        earned("trend-canary", own)
        canary_check(canary_id=canary.pk, moment=start + timedelta(seconds=every_s * n))
        canary.refresh_from_db()
        seen.append((canary.step, canary.capital, canary.state))
        own += float(canary.capital) * 0.0001 * (0.8 + rng.normal())
    return seen


def test_a_canary_grows_to_its_ramp_and_only_there_it_wins(
    challenger: ModelVersion, people: tuple[User, User]
) -> None:
    """W82: promotion there went from nothing to everything at once."""
    canary = ramped(challenger, people)
    # A twentieth and a quarter of 3000; the cap of 600 is less than 750.
    assert (canary.capital, canary.champion_capital, canary.step) == (Decimal(150), Decimal(2850), 1)
    seen = better(canary, 120)
    grown = next(at for at, (step, _, _) in enumerate(seen) if step == 2)
    assert grown >= 30
    assert seen[grown - 1][1:] == (Decimal(150), "running")
    assert seen[grown][1:] == (Decimal(600), "running")
    assert seen[-1] == (2, Decimal(600), "won")
    assert (instance("trend-canary").allocation, instance("trend").allocation) == (
        Decimal(600),
        Decimal(2400),
    )
    assert Strategy.objects.get(name="trend-canary").canary_cap == Decimal(612)
    assert canary.champion_capital == Decimal(2400)
    assert AuditEntry.objects.filter(action="model.canary_grown").count() == 1


def test_each_step_has_its_own_time(challenger: ModelVersion, people: tuple[User, User]) -> None:
    canary = ramped(challenger, people, dwell_s=500, n_opt=30)
    seen = better(canary, 120)
    grown = next(at for at, (step, _, _) in enumerate(seen) if step == 2)
    won = next(at for at, (_, _, state) in enumerate(seen) if state == "won")
    # 500 seconds are 50 intervals: it was evident before, and again.
    assert (grown, won) == (50, 100)


@pytest.mark.long
def test_what_a_grown_canary_has_goes_back_to_the_champion(
    challenger: ModelVersion, people: tuple[User, User]
) -> None:
    canary = ramped(challenger, people)
    assert better(canary, 120)[-1][0] == 2
    earned("trend-canary", -1000.0)
    canary_check(canary_id=canary.pk, moment=canary.started_at + timedelta(seconds=2000))
    canary.refresh_from_db()
    assert canary.state == Canary.State.BREACHED
    assert (instance("trend-canary").allocation, instance("trend").allocation) == (Decimal(0), Decimal(3000))


@pytest.mark.long
def test_rules_approved_without_a_ramp_never_grow(
    challenger: ModelVersion, people: tuple[User, User]
) -> None:
    canary = ramped(challenger, people)
    Canary.objects.update(rules={name: value for name, value in canary.rules.items() if name != "ramp"})
    seen = better(canary, 120)
    assert {(step, capital) for step, capital, _ in seen} == {(1, Decimal(150))}
    assert seen[-1][2] == "won"


def test_an_order_both_share_counts_for_the_canary_too(desk: Desk, canary: Canary) -> None:
    (order,) = trade(desk)
    # Netted, it carries the champion's name: four fifths of it are the champion's.
    assert order.strategy == canary.follower
    assert list(canary_orders(canary)) == [order]
    assert canary_fills(canary, since=canary.started_at) == order.fills.count() > 0
    assert canary_fills(canary, since=timezone.now()) == 0


def test_refused_orders_both_share_end_the_canary(desk: Desk, canary: Canary) -> None:
    (order,) = trade(desk)
    Canary.objects.update(rules={**canary.rules, "rejects_of": 1})
    canaries_check()
    assert Canary.objects.get().state == Canary.State.RUNNING
    Order.objects.filter(pk=order.pk).update(status=OrderStatus.REJECTED)
    canaries_check()
    ended = Canary.objects.get()
    assert (ended.state, ended.reason) == (Canary.State.BREACHED, "rejects 1 above 0.2")


@pytest.mark.parametrize(("bps", "state"), [(1.0, "running"), (1.01, "breached")])
def test_slippage_surely_over_twice_the_gate_s_assumption_ends_it(
    desk: Desk, canary: Canary, bps: float, state: str
) -> None:
    (first,) = trade(desk)
    fill = first.fills.first()
    assert fill is not None
    began = timezone.now()
    Canary.objects.update(started_at=began)
    for n in range(10):
        order = Order.objects.get(pk=first.pk)
        order.pk, order.uid, order.created_at = None, f"00000000-0000-0000-0000-0000000000{n:02}", began
        order.intent_key, order.client_order_id, order.venue_order_id = f"copy {n}", f"copy-{n}", None
        order.save(force_insert=True)
        fill.pk, fill.order, fill.trade_id, fill.slippage_bps = None, order, 10_000 + n, 2 * bps
        fill.save(force_insert=True)
    canaries_check()
    ended = Canary.objects.get()
    (rail,) = (one for one in ended.rails if one["name"] == "slippage")
    assert (rail["measured"], rail["limit"]) == (pytest.approx(2 * bps), 2.0)
    assert ended.state == state


def holds(strategy: str, quantity: str) -> None:
    position = Position.objects.get_or_create(
        account=instance("trend").account, instrument=instance("trend").instrument
    )[0]
    SubPosition.objects.update_or_create(
        position=position,
        owner=strategy,
        defaults={"quantity": Decimal(quantity), "cost": Decimal(quantity) * 60_000},
    )


def test_positions_apart_by_more_than_the_rule_end_it(desk: Desk, canary: Canary) -> None:
    Quote.objects.update(bid="60000", ask="60000")
    holds("trend", "0")
    # 500 are its own: 750 of notional are one and a half of that.
    holds("trend-canary", "0.0125")
    canaries_check()
    now = Canary.objects.get()
    (rail,) = (one for one in now.rails if one["name"] == "divergence")
    assert (now.state, rail["measured"]) == ("running", pytest.approx(1.5))
    # The champion has 2500: with as much per capital they are together again.
    holds("trend", "0.0625")
    canaries_check()
    (rail,) = (one for one in Canary.objects.get().rails if one["name"] == "divergence")
    assert rail["measured"] == pytest.approx(0.0)
    holds("trend", "-0.0001")
    canaries_check()
    ended = Canary.objects.get()
    assert (ended.state, ended.reason) == ("breached", "divergence 1.5024 above 1.5")


def drifted(version: ModelVersion, verdict: str) -> None:
    at = timezone.now()
    DriftReport.objects.update_or_create(
        version=version,
        day=at.date(),
        defaults={
            "bars": 24, "window": 500, "psi": {"log_return": 0.3}, "score_reference": 0.0, "cusum": 0.0,
            "cusum_peak": 0.0, "threshold": 9.0, "verdict": verdict, "last_bar_at": at, "measured_at": at,
        },
    )  # fmt: skip


def test_a_feature_out_of_its_range_ends_a_canary_and_begins_none(
    canary: Canary, challenger: ModelVersion, people: tuple[User, User]
) -> None:
    drifted(challenger, "watch")
    canaries_check()
    assert Canary.objects.get().state == Canary.State.RUNNING
    drifted(challenger, "alarm")
    canaries_check()
    ended = Canary.objects.get()
    assert (ended.state, ended.reason) == (Canary.State.BREACHED, "drift 1 above 0")
    Canary.objects.update(cool_until=None)
    challenger.refresh_from_db()
    with pytest.raises(Conflict, match="as a canary it would end at once"):
        promote(challenger, Stage.CANARY, people, **FAST)


def test_a_canary_may_not_fall_further_than_twice_what_its_backtest_did(
    challenger: ModelVersion, people: tuple[User, User]
) -> None:
    GateVerdict.objects.create(
        version=challenger,
        asked={},
        state=GateVerdict.State.DONE,
        passed=False,
        figures={"challenger": {"drawdown_99": 0.01}},
        created_at=timezone.now(),
        finished_at=timezone.now(),
    )
    promote(challenger, Stage.CANARY, people, **FAST)
    for result, state in ((-10.0, "running"), (-10.01, "breached")):  # two per cent of 500
        earned("trend-canary", result)
        canaries_check()
        assert Canary.objects.get().state == state
    assert Canary.objects.get().reason == "backtest_drawdown 0.02002 above 0.02"


def test_a_champion_that_is_traded_is_followed_by_a_canary_that_won_or_by_an_override(
    desk: Desk, challenger: ModelVersion, people: tuple[User, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {"version": challenger, "reason": "better", "requester": people[0]}
    passed = {"verdict": "v", "gate": "passed", "criteria": []}
    monkeypatch.setattr("mlregistry.services.stages.gate_evidence", lambda *_, **__: passed)
    with pytest.raises(Conflict, match=r"no canary of hmm-btcusdt-spot-1h v2 has won beside .* v1"):
        promotion_request(stage=Stage.CHAMPION, **asked)
    overridden = promotion_request(stage=Stage.CHAMPION, override=True, **asked)
    assert overridden.payload["trial"].startswith("overridden: no canary of")
    promote(challenger, Stage.CANARY, people, **FAST)
    canary = Canary.objects.get()
    assert run(canary, 0.8, 120).state == Canary.State.WON
    won = promotion_request(stage=Stage.CHAMPION, **asked)
    change_request_approve(request_id=won.pk, approver=people[1])
    change = challenger.stage_changes.first()
    assert change is not None
    assert (change.to_stage, change.evidence["trial"]) == ("champion", "won")
    assert change.evidence["canary"] == str(canary.uid)


def test_evidence_that_is_gone_at_the_approval_promotes_nobody(
    desk: Desk, challenger: ModelVersion, people: tuple[User, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = {"verdict": "v", "gate": "passed", "criteria": []}
    monkeypatch.setattr("mlregistry.services.stages.gate_evidence", lambda *_, **__: passed)
    promote(challenger, Stage.CANARY, people, **FAST)
    assert run(Canary.objects.get(), 0.8, 120).state == Canary.State.WON
    asked = promotion_request(version=challenger, stage=Stage.CHAMPION, reason="better", requester=people[0])
    Canary.objects.update(state=Canary.State.RUNNING)
    with pytest.raises(Conflict, match="no canary of"):
        change_request_approve(request_id=asked.pk, approver=people[1])
    challenger.refresh_from_db()
    assert challenger.stage == Stage.CANARY


def test_the_command_makes_what_passed_the_gate_a_shadow_and_nothing_else(
    desk: Desk, challenger: ModelVersion, people: tuple[User, User], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("models", "promote", f"{challenger.family.name}@2", "--stage", "shadow")
    said = ("--requester", people[0].username, "--reason", "it passed")
    with pytest.raises(SystemExit) as refused:
        call_command(*words, *said)
    assert refused.value.code == 1
    assert "was never judged" in capsys.readouterr().err
    GateVerdict.objects.create(
        version=challenger,
        champion=ModelVersion.objects.get(stage=Stage.CHAMPION),
        asked={},
        state=GateVerdict.State.DONE,
        passed=True,
        policy=policy_in_force(challenger),
        created_at=timezone.now(),
        finished_at=timezone.now(),
    )
    call_command(*words, *said)
    assert "v2 is a shadow now" in capsys.readouterr().out
    challenger.refresh_from_db()
    assert challenger.stage == Stage.SHADOW
