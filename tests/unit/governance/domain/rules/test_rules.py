"""Which rules fire: by trigger, priority and each rule's own cool-down."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from governance.domain.rules import (
    Action,
    Fact,
    Kind,
    Outcome,
    Parameter,
    Rule,
    RuleSyntaxError,
    Vocabulary,
    VocabularyError,
    rule_check,
    rules_judge,
)

VOCABULARY = Vocabulary(
    triggers={"orders.denied": {"code": Fact(Kind.TEXT)}, "tick": {}},
    metrics={"drawdown": Fact()},
    actions={
        "reduce": Action({"factor": Parameter(Decimal("0.1"), Decimal("0.9"), Decimal("0.5"))}),
        "cap": Action({"value": Parameter(Decimal(0), Decimal(100))}),
        "notify": Action(),
    },
)


def rule(name: str = "r", **changes: Any) -> Rule:
    given = {"trigger": "tick", "condition": "drawdown > 0.05", "action": "notify", **changes}
    return rule_check(VOCABULARY, name=name, **given)


def outcomes(rules: list[Rule], fired: dict[str, float] | None = None, now_s: float = 1000.0) -> list[Any]:
    judged = rules_judge(rules, trigger="tick", facts={"drawdown": 0.1}, fired_at_s=fired or {}, now_s=now_s)
    return [(verdict.rule.name, verdict.outcome) for verdict in judged]


def test_most_urgent_rule_comes_first_and_other_triggers_stay_out() -> None:
    rules = [rule("b"), rule("c", priority=9), rule("a"), rule("d", trigger="orders.denied")]
    assert [name for name, _ in outcomes(rules)] == ["c", "a", "b"]


def test_cool_down_belongs_to_the_rule_not_to_its_action() -> None:
    """W26: two rules with one action shared its cool-down, and the second never ran."""
    rules = [rule("a", cooldown_s=60), rule("b", cooldown_s=60)]
    assert outcomes(rules, {"a": 950.0}) == [("a", Outcome.COOLING), ("b", Outcome.FIRES)]
    assert outcomes(rules, {"a": 940.0})[0] == ("a", Outcome.FIRES)


def test_cooling_rule_says_how_long_it_still_waits() -> None:
    verdict = rules_judge(
        [rule("a", cooldown_s=60)],
        trigger="tick",
        facts={"drawdown": 1},
        fired_at_s={"a": 990.0},
        now_s=1000.0,
    )[0]
    assert verdict.wait_s == 50.0


def test_disabled_unmet_and_unknown_rules_do_not_fire() -> None:
    rules = [rule("off", enabled=False), rule("unmet", condition="drawdown > 0.5")]
    assert outcomes(rules) == [("off", Outcome.DISABLED), ("unmet", Outcome.NOT_MET)]
    blind = rules_judge([rule()], trigger="tick", facts={}, fired_at_s={}, now_s=0.0)[0]
    assert (blind.outcome, blind.missing) == (Outcome.UNKNOWN, ("drawdown",))


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"trigger": "orders.rejcted"}, "there are orders.denied, tick"),
        ({"action": "resume"}, "there are cap, notify, reduce"),
        ({"action": "reduce", "parameters": {"factor": Decimal("0.91")}}, "expected 0.1 to 0.9"),
        ({"action": "notify", "parameters": {"x": Decimal(1)}}, "no parameter 'x'"),
        ({"action": "cap"}, "cap needs value"),
        ({"cooldown_s": -1.0}, "zero or more seconds"),
        ({"cooldown_s": float("nan")}, "zero or more seconds"),
    ],
)
def test_rule_that_speaks_of_nothing_is_refused(changes: dict[str, Any], part: str) -> None:
    with pytest.raises(VocabularyError, match=part):
        rule(**changes)


def test_condition_knows_only_the_facts_of_its_trigger() -> None:
    rule(trigger="orders.denied", condition="code == 'X' and drawdown > 0")
    with pytest.raises(RuleSyntaxError, match="'code' is not known here"):
        rule(condition="code == 'X'")


def test_parameter_left_out_takes_its_default() -> None:
    assert rule(action="reduce").parameters == {"factor": Decimal("0.5")}


def test_fact_and_metric_may_not_share_a_name() -> None:
    with pytest.raises(VocabularyError, match="drawdown"):
        Vocabulary(triggers={"t": {"drawdown": Fact()}}, metrics={"drawdown": Fact()})
