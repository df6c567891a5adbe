"""Rules on what really happens: from a denied order to a tighter limit, each action by its effect."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from governance.domain.rules import Kind
from governance.models import RuleCursor, RuleFiring
from governance.selectors.inbox import request_members
from governance.services.defaults import DEMO, policies_install
from governance.services.rules import ACTIONS, VOCABULARY, facts_of, rules_run
from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, ChangeRequest, OutboxEvent, User
from nautilus_site.common.services.event_numbering import events_number
from nautilus_site.common.services.leases import lease_acquire
from nautilus_site.common.services.outbox import publish
from tests.factories.trading import Desk
from tests.integration.governance.conftest import in_force
from trading.domain.values import Level
from trading.models import CircuitBreaker, EquityAnchor, RiskLimit, Strategy, TradingState
from trading.services.breakers import breaker_force_open
from trading.services.controls import kill_raise
from trading.services.controls.states import auto_level_set
from trading.services.orders import OrderDenied


@pytest.fixture
def read_on(desk: Desk) -> Callable[[], list[RuleFiring]]:
    """Number what was published, as the relay does, and judge it."""
    held = lease_acquire(name="relay", holder="test", life=timedelta(minutes=5))
    assert held is not None
    rules_run()  # the cursor begins here

    def judge() -> list[RuleFiring]:
        events_number(held)
        return rules_run()

    return judge


def rule(name: str, trigger: str, action: str, condition: str = "true", **more: Any) -> dict[str, Any]:
    return {"name": name, "trigger": trigger, "action": action, "condition": condition, **more}


def denied(desk: Desk) -> None:
    with pytest.raises(OrderDenied):
        desk.submit("BUY", quantity="1", strategy=desk.strategies["trend"])


def limit(name: str) -> Decimal:
    return RiskLimit.objects.get(name=name, scope="global").value


def test_a_rule_latches_its_level_though_a_breaker_holds_as_much(
    desk: Desk, read_on: Callable[[], list[RuleFiring]]
) -> None:
    """What a breaker demands ends by itself, and the rule would have stopped nothing."""
    in_force("policies", rules=[rule("r", "order.denied", "pause_trading")])
    auto_level_set(scope="global", level=Level.REDUCING, reason="a breaker", actor="breakers")
    denied(desk)
    read_on()
    auto_level_set(scope="global", level=Level.ACTIVE, reason="over", actor="breakers")
    assert TradingState.objects.get(scope="global").effective is Level.REDUCING


def test_a_denied_order_tightens_a_limit_once_until_the_cool_down_is_over(
    desk: Desk, read_on: Callable[[], list[RuleFiring]]
) -> None:
    """W25, W26: the earlier rule waited for a code no rail gives, and its action changed an environment variable."""
    code = "code in ('NOTIONAL_ABOVE_MAX', 'EXPOSURE_SYMBOL') and denied_5m >= 1"
    in_force(
        "policies",
        rules=[
            rule(
                "smaller",
                "order.denied",
                "reduce_max_order_size",
                code,
                params={"factor": "0.5"},
                cooldown_seconds=60,
            )
        ],
    )
    before = limit("max_notional")
    denied(desk)
    (fired,) = read_on()
    assert (fired.rule, fired.outcome) == ("smaller", "done")
    assert fired.evidence == {"code": "NOTIONAL_ABOVE_MAX", "denied_5m": "1"}
    assert limit("max_notional") == before / 2
    assert fired.detail == f"max_notional from {before:.0f} to {before / 2:.0f}"
    entry = AuditEntry.objects.filter(actor_name="rule smaller", target__endswith="@global").latest("id")
    assert "code NOTIONAL_ABOVE_MAX" in entry.reason
    denied(desk)
    assert read_on() == []  # it cools down
    RuleFiring.objects.all().delete()
    denied(desk)
    assert len(read_on()) == 1
    assert limit("max_notional") == before / 4


@pytest.mark.parametrize(
    ("action", "params", "effect"),
    [
        ("pause_trading", {}, lambda: TradingState.objects.get(scope="global").effective is Level.REDUCING),
        ("halt_trading", {}, lambda: TradingState.objects.get(scope="global").effective is Level.HALT_NEW),
        (
            "pause_symbol",
            {},
            lambda: TradingState.objects.get(scope="symbol:BTCUSDT").effective is Level.REDUCING,
        ),
        (
            "pause_strategy",
            {},
            lambda: TradingState.objects.get(scope="strategy:trend").effective is Level.REDUCING,
        ),
        ("disable_strategy", {}, lambda: not Strategy.objects.get(name="trend").is_enabled),
        ("reduce_max_order_size", {"factor": "0.9"}, lambda: limit("max_notional") == 4500),
        ("reduce_exposure", {"factor": "0.5"}, lambda: limit("exposure_global") == 20_000),
        ("reduce_order_rate", {"factor": "0.5"}, lambda: limit("orders_per_minute") == 30),
        ("notify", {}, lambda: OutboxEvent.objects.filter(topic="incidents", data__rule="act").exists()),
    ],
)
def test_each_action_has_its_effect_and_is_not_done_twice(
    desk: Desk,
    read_on: Callable[[], list[RuleFiring]],
    action: str,
    params: dict[str, str],
    effect: Callable[[], bool],
) -> None:
    """W24, W32: an action is what changed afterwards, not what a route answered."""
    in_force("policies", rules=[rule("act", "order.denied", action, params=params, cooldown_seconds=0)])
    denied(desk)
    (fired,) = read_on()
    assert (fired.outcome, effect()) == ("done", True), fired.detail
    if action in ("pause_trading", "halt_trading", "disable_strategy", "pause_symbol", "pause_strategy"):
        publish("orders", {"status": "DENIED", "symbol": "BTCUSDT", "strategy": "trend", "code": "MARGIN"})
        assert [f.outcome for f in read_on() if f.trigger == "order.denied"] == ["standing"]


def test_every_action_a_rule_may_name_is_tested_above_and_can_be_done() -> None:
    marks = test_each_action_has_its_effect_and_is_not_done_twice.pytestmark  # type: ignore[attr-defined]
    tested = {row[0] for mark in marks if mark.name == "parametrize" for row in mark.args[1]}
    # Those of playbooks are tested in test_rules_and_playbooks.py.
    assert tested == {name for name in ACTIONS if not name.startswith("playbook:")}
    assert VOCABULARY.actions.keys() == ACTIONS


def test_every_trigger_is_an_event_that_happens_and_carries_its_facts(
    desk: Desk, read_on: Callable[[], list[RuleFiring]]
) -> None:
    """W26: each trigger from the service that causes it, with every fact of the promised kind."""
    denied(desk)
    breaker_force_open(breaker_id=CircuitBreaker.objects.order_by("pk")[0].pk, actor="test", reason="drill")
    kill_raise(scope="symbol:ETHUSDT", level=Level.CANCEL, reason="drill", actor="test")
    publish("incidents", {"kind": "margin_call", "account": "desk", "positions": []})
    publish("incidents", {"kind": "divergence", "account": "desk"})
    publish(
        "orders",
        {
            "status": "REJECTED",
            "symbol": "BTCUSDT",
            "account": "desk",
            "strategy": "trend",
            "side": "BUY",
            "quantity": "1",
            "price": "2",
            "code": "-2010",
        },
    )
    told: dict[str, dict[str, Any]] = {}
    for event in OutboxEvent.objects.order_by("id"):
        meant = facts_of(event.topic, event.data)
        if meant is not None:
            told[meant[0]] = meant[1]
    assert told.keys() | {"tick"} == VOCABULARY.triggers.keys()
    for trigger, facts in told.items():
        spec = VOCABULARY.triggers[trigger]
        assert facts.keys() == spec.keys()
        for name, value in facts.items():
            assert isinstance(value, Decimal if spec[name].kind is Kind.NUMBER else str), (
                trigger,
                name,
                value,
            )
            assert not spec[name].choices or value in spec[name].choices, (trigger, name, value)


def test_metrics_are_those_of_the_rows_and_unknown_ones_fire_nothing(
    desk: Desk, read_on: Callable[[], list[RuleFiring]]
) -> None:
    EquityAnchor.objects.filter(pk="global").update(
        equity=90_000, day_start_equity=95_000, peak_equity=100_000
    )
    condition = (
        "drawdown == 0.1 and equity == 90000 and day_result == -5000 and open_orders == 0 and exposure_gross == 0"
        " and open_breakers == 0 and level == 0 and orders_5m == 0 and unknown_orders == 0 and fills_5m == 0"
    )
    in_force(
        "policies",
        rules=[
            rule("all", "tick", "notify", condition),
            rule("blind", "tick", "notify", "day_return < 0"),
        ],
    )
    assert sorted(f.rule for f in read_on()) == ["all", "blind"]
    RuleFiring.objects.all().delete()
    EquityAnchor.objects.update(marked_at=now() - timedelta(minutes=3))
    assert read_on() == []


def test_with_the_autopilot_off_rules_are_kept_and_nothing_is_done(
    desk: Desk, read_on: Callable[[], list[RuleFiring]]
) -> None:
    in_force("policies", rules=[rule("stop", "tick", "halt_trading")], autopilot_enabled=False)
    (fired,) = read_on()
    assert (fired.outcome, TradingState.objects.get(scope="global").effective) == ("observed", Level.ACTIVE)


def test_an_action_that_fails_holds_up_no_other(desk: Desk, read_on: Callable[[], list[RuleFiring]]) -> None:
    in_force(
        "policies",
        rules=[
            rule("first", "order.denied", "disable_strategy", priority=9),
            rule("second", "order.denied", "pause_trading"),
        ],
    )
    publish("orders", {"status": "DENIED", "symbol": "BTCUSDT", "strategy": None, "code": "MARGIN"})
    fired = read_on()
    assert [(f.rule, f.outcome) for f in fired] == [("first", "failed"), ("second", "done")]
    assert "UNKNOWN_TARGET" in fired[0].detail or "did not say which strategy" in fired[0].detail


def test_events_from_before_the_rules_and_events_seen_are_not_judged_again(
    desk: Desk, read_on: Callable[[], list[RuleFiring]]
) -> None:
    denied(desk)
    assert read_on() == []
    in_force("policies", rules=[rule("r", "order.denied", "notify", cooldown_seconds=0)])
    assert read_on() == []
    denied(desk)
    assert len(read_on()) == 1
    assert read_on() == []
    newest = OutboxEvent.objects.exclude(event_id=None).latest("event_id").event_id
    assert RuleCursor.objects.get().event_id == newest


def test_no_machine_raises_a_level_back_or_a_limit_up(desk: Desk) -> None:
    """W28: the earlier guardian switched trading on again with its first tick."""
    folder = Path(__file__).parents[3] / "governance/services/rules"
    called = {
        node.func.id
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert {"kill_raise", "limit_tighten", "strategy_disable"} <= called
    assert not called & {
        "resume_request",
        "limit_change",
        "apply_lower",
        "change_request_approve",
        "grant_change",
    }


def test_firings_are_never_changed(desk: Desk, read_on: Callable[[], list[RuleFiring]]) -> None:
    in_force("policies", rules=[rule("r", "tick", "notify")])
    read_on()
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        RuleFiring.objects.update(detail="x")


def test_taking_a_rule_away_takes_two_people_and_shows_what_it_would_have_done(
    desk: Desk, read_on: Callable[[], list[RuleFiring]], risk_officer: User, token_client: Callable[..., Any]
) -> None:
    in_force("policies", rules=[rule("r", "order.denied", "notify")])
    denied(desk)
    api = token_client(risk_officer)
    more = {"rules": [rule("r", "order.denied", "notify"), rule("s", "order.denied", "pause_trading")]}
    put = api.put("/api/v1/policies/policies", {"document": more, "reason": "stricter"}, format="json")
    assert (put.status_code, put.json()["version"]) == (200, 2)
    less = {"rules": [rule("s", "order.denied", "notify")]}
    put = api.put("/api/v1/policies/policies", {"document": less, "reason": "too loud"}, format="json")
    assert put.status_code == 202
    request = ChangeRequest.objects.get(pk=put.json()["id"])
    assert request.effect["allows_more"] == ["rules.r", "rules.s"]
    assert request.effect["last_24_hours"]["s"]["would_have_fired"] == 1
    wrong = {"rules": [rule("s", "order.denied", "resume_trading")]}
    put = api.put("/api/v1/policies/policies", {"document": wrong, "reason": "x"}, format="json")
    assert (put.status_code, put.json()["problems"][0]["path"]) == (400, "rules[0].action")


def test_the_first_policies_of_the_demo_are_what_they_should_be(desk: Desk) -> None:
    assert sorted(policies_install()) == sorted(DEMO) == ["capital_policy", "policies", "strategy_weights"]
    assert policies_install() == []


def test_a_changed_rule_is_told_by_its_name_and_member_and_what_it_does_in_a_sentence(
    desk: Desk, risk_officer: User, second_risk_officer: User, token_client: Callable[..., Any]
) -> None:
    kept = rule("kept", "order.denied", "notify")
    in_force("policies", rules=[kept, rule("loud", "tick", "notify", condition="drawdown > 0.1")])
    denied(desk)
    document = {"rules": [rule("loud", "tick", "notify", condition="drawdown > 0.2"), kept]}
    api = token_client(risk_officer)
    told = api.post(
        "/api/v1/policies/policies/check", {"text": json.dumps(document), "format": "json"}, format="json"
    )
    changed = told.json()["changed"]
    assert changed["rules.loud.condition"] == ["drawdown > 0.1", "drawdown > 0.2"]
    assert changed["rules, in order"] == [["kept", "loud"], ["loud", "kept"]]
    assert set(changed) == {"rules.loud.condition", "rules, in order"}
    assert told.json()["effect"]["in_words"] == (
        "None would fire at once. Over the equity of the last 7 days these would have fired: “loud” 0 times."
        " Over the events of the last 24 hours these would have fired: “kept” 1 time."
    )
    put = api.put("/api/v1/policies/policies", {"document": document, "reason": "too loud"}, format="json")
    request = ChangeRequest.objects.get(pk=put.json()["id"])
    card = request_members(request, second_risk_officer)  # type: ignore[arg-type]
    assert {row["field"]: (row["before"], row["after"]) for row in card["diff"]}["rules.loud.condition"] == (
        "drawdown > 0.1",
        "drawdown > 0.2",
    )
    (line,) = card["effect"]
    assert line["value"].startswith("Allows more at rules.")
    assert "these would have fired" in line["value"]
