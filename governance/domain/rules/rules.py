"""Rules, and which of them fire: each has its own cool-down, the most urgent comes first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from governance.domain.rules.evaluation import evaluate
from governance.domain.rules.expressions import Expression, Value, parse_condition
from governance.domain.rules.vocabulary import Vocabulary, VocabularyError


@dataclass(frozen=True, slots=True)
class Rule:
    """When the trigger happens and the condition is true, do the action; then not again for a while.

    Attributes
    ----------
    priority : larger comes first.  cooldown_s : seconds, counted for this rule alone.
    parameters : of the action.
    """

    name: str
    trigger: str
    condition: Expression
    action: str
    priority: int = 0
    cooldown_s: float = 0.0
    enabled: bool = True
    description: str = ""
    parameters: Mapping[str, Decimal] = field(default_factory=dict)


class Outcome(StrEnum):
    """What became of a rule when its trigger happened."""

    FIRES = "fires"
    NOT_MET = "not_met"
    UNKNOWN = "unknown"
    COOLING = "cooling"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule's outcome and why.

    Attributes
    ----------
    missing : facts that were not known.  evidence : facts the condition looked at.
    wait_s : seconds until a cooling rule may fire again.
    """

    rule: Rule
    outcome: Outcome
    missing: tuple[str, ...] = ()
    evidence: Mapping[str, Value] = field(default_factory=dict)
    wait_s: float = 0.0


def rule_check(
    vocabulary: Vocabulary,
    *,
    name: str,
    trigger: str,
    condition: str,
    action: str,
    priority: int = 0,
    cooldown_s: float = 0.0,
    enabled: bool = True,
    description: str = "",
    parameters: Mapping[str, Decimal] | None = None,
) -> Rule:
    """Return the rule, once everything it speaks of exists.

    Raises
    ------
    VocabularyError : an unknown trigger, action or parameter, a parameter out of bounds or missing, a negative
        cool-down.
    RuleSyntaxError : the condition.
    """
    facts = vocabulary.facts(trigger)
    known = vocabulary.action(action).parameters
    given = dict(parameters or {})
    for key, value in given.items():
        if key not in known:
            there = ", ".join(sorted(known)) or "none"
            raise VocabularyError(f"{action} has no parameter {key!r}; it has {there}")
        if not known[key].lowest <= value <= known[key].highest:
            raise VocabularyError(f"{key}: expected {known[key].lowest} to {known[key].highest}, was {value}")
    for key, parameter in known.items():
        if key not in given:
            if parameter.default is None:
                raise VocabularyError(f"{action} needs {key}")
            given[key] = parameter.default
    if not 0 <= cooldown_s < float("inf"):
        raise VocabularyError(f"expected a cool-down of zero or more seconds, was {cooldown_s}")
    expression = parse_condition(condition, facts)
    return Rule(name, trigger, expression, action, priority, cooldown_s, enabled, description, given)


def rules_judge(
    rules: Iterable[Rule],
    *,
    trigger: str,
    facts: Mapping[str, Any],
    fired_at_s: Mapping[str, float],
    now_s: float,
) -> tuple[Verdict, ...]:
    """Judge every rule of a trigger, most urgent first, ties by name.

    Parameters
    ----------
    facts : of the trigger and the metrics.  fired_at_s : by rule name, when it last fired.
    """
    mine = sorted((r for r in rules if r.trigger == trigger), key=lambda rule: (-rule.priority, rule.name))
    return tuple(_judge(rule, facts, fired_at_s.get(rule.name), now_s) for rule in mine)


def _judge(rule: Rule, facts: Mapping[str, Any], fired_at_s: float | None, now_s: float) -> Verdict:
    if not rule.enabled:
        return Verdict(rule, Outcome.DISABLED)
    found = evaluate(rule.condition, facts)
    if found.value is None:
        return Verdict(rule, Outcome.UNKNOWN, found.missing, found.evidence)
    if not found.value:
        return Verdict(rule, Outcome.NOT_MET, found.missing, found.evidence)
    wait_s = 0.0 if fired_at_s is None else fired_at_s + rule.cooldown_s - now_s
    if wait_s > 0:
        return Verdict(rule, Outcome.COOLING, found.missing, found.evidence, wait_s)
    return Verdict(rule, Outcome.FIRES, found.missing, found.evidence)
