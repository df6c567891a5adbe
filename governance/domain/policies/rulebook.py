"""The rule file: `policies.yaml` with its rules, each checked against what really happens and can be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from governance.domain.policies.located import DocumentError, Member, Node, Problem
from governance.domain.policies.schema import (
    Entries,
    Field,
    Flag,
    Number,
    Raises,
    Record,
    Sequence,
    Text,
    document_read,
)
from governance.domain.rules import Rule, RuleSyntaxError, Vocabulary, VocabularyError, rule_check

_ANY, _NONE = Raises.ANY, Raises.NONE
RULE = Record(
    {
        "name": Field(Text(least=1, longest=60), raises=_ANY, text="unique; its cool-down is its own"),
        "trigger": Field(Text(least=1, longest=40), raises=_ANY, text="what must happen"),
        "condition": Field(Text(least=1, longest=500), "true", _ANY, "what must be true then"),
        "action": Field(Text(least=1, longest=40), raises=_ANY, text="what is done"),
        "params": Field(Entries(Number(-(10**12))), {}, _ANY, "of the action"),
        "priority": Field(Number(-100, 100, whole=True), 0, _ANY, "larger comes first"),
        "cooldown_seconds": Field(Number(0, 604_800), Decimal(300), _ANY, "after it acted"),
        "enabled": Field(Flag(), True, _ANY, "false: it is never judged"),
        "description": Field(Text(), "", _NONE, "for people"),
    }
)
POLICIES = Record(
    {
        "autopilot_enabled": Field(
            Flag(), True, Raises.ANY, "false: rules are judged and kept, nothing is done"
        ),
        "rules": Field(Sequence(RULE), raises=Raises.ANY, text="in any order"),
    }
)


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The rules in force."""

    autopilot_enabled: bool
    rules: tuple[Rule, ...]


def rulebook_values(node: Node, vocabulary: Vocabulary) -> dict[str, Any]:
    """Read a rule file's values.

    Raises
    ------
    DocumentError : with every problem, the column inside a condition included.
    """
    values: dict[str, Any] = document_read(POLICIES, node)
    problems: list[Problem] = []
    names: set[str] = set()
    for index, row in enumerate(values["rules"]):
        where = _members(node, index)
        path = f"rules[{index}]"
        if row["name"] in names:
            problems.append(
                _problem(where, "name", f"{path}.name", f"{row['name']} is the name of another rule")
            )
        names.add(row["name"])
        try:
            _rule(row, vocabulary)
        except RuleSyntaxError as error:
            problems.append(_inside(where, f"{path}.condition", error))
        except VocabularyError as error:
            key = next((k for k in ("trigger", "action") if repr(row[k]) in str(error)), "params")
            problems.append(_problem(where, key, f"{path}.{key}", str(error)))
    if problems:
        raise DocumentError(problems)
    return values


def rulebook(values: Mapping[str, Any], vocabulary: Vocabulary) -> Rulebook:
    """The rules of a document's values, which were checked when they were read."""
    return Rulebook(values["autopilot_enabled"], tuple(_rule(row, vocabulary) for row in values["rules"]))


def rulebook_loosened(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What a new file no longer does: every action lowers risk, so a rule more is stricter and any other change is not.

    Switching the autopilot on is stricter as well.
    """
    found = ["autopilot_enabled"] if before["autopilot_enabled"] and not after["autopilot_enabled"] else []
    new = {row["name"]: row for row in after["rules"]}
    for row in before["rules"]:
        if not row["enabled"]:
            continue
        other = new.get(row["name"])
        quiet = {"description"}
        if other is None or any(other[key] != row[key] for key in row if key not in quiet):
            found.append(f"rules.{row['name']}")
    return found


def _rule(row: Mapping[str, Any], vocabulary: Vocabulary) -> Rule:
    rule = rule_check(
        vocabulary,
        name=row["name"],
        trigger=row["trigger"],
        condition=row["condition"],
        action=row["action"],
        priority=row["priority"],
        cooldown_s=float(row["cooldown_seconds"]),
        enabled=row["enabled"],
        description=row["description"],
        parameters=row["params"],
    )
    needs = vocabulary.action(rule.action).needs
    if needs and needs not in vocabulary.facts(rule.trigger):
        raise VocabularyError(
            f"{rule.action!r} needs to know the {needs}, which {rule.trigger} does not tell"
        )
    return rule


def _members(node: Node, index: int) -> Mapping[str, Member]:
    rules = node.value.get("rules") if isinstance(node.value, dict) else None
    rows = rules.node.value if rules is not None else ()
    row = rows[index].value if isinstance(rows, tuple) else {}
    return row if isinstance(row, dict) else {}


def _problem(where: Mapping[str, Member], key: str, path: str, message: str) -> Problem:
    found = where.get(key)
    return Problem(message, path, *((found.node.line, found.node.column) if found else (0, 0)))


def _inside(where: Mapping[str, Member], path: str, error: RuleSyntaxError) -> Problem:
    found = where.get("condition")
    if found is None or found.node.inside is None:
        return Problem(f"{error.message} (character {error.column})", path)
    return Problem(error.message, path, *found.node.inside(error.column - 1))
