"""The rule file: places of its mistakes, what makes one stricter, and that every member of it is read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from governance.adapters.documents import read_document
from governance.domain.policies.located import DocumentError, node_of
from governance.domain.policies.rulebook import (
    POLICIES,
    RULE,
    rulebook,
    rulebook_loosened,
    rulebook_values,
)
from governance.domain.rules import Action, Fact, Kind, Parameter, Vocabulary

VOCABULARY = Vocabulary(
    triggers={
        "tick": {},
        "denied": {"code": Fact(Kind.TEXT, choices=frozenset({"X"})), "symbol": Fact(Kind.TEXT)},
    },
    metrics={"drawdown": Fact()},
    actions={
        "notify": Action(),
        "pause_symbol": Action(needs="symbol"),
        "cut": Action({"factor": Parameter(Decimal("0.1"), Decimal("0.9"))}),
    },
)

TEXT = """\
rules:
  - name: a
    trigger: tock
    action: notify
  - name: b
    trigger: denied
    condition: code == 'Y'
    action: notify
  - name: b
    trigger: tick
    condition: "drawdown > > 1"
    action: notify
  - name: c
    trigger: tick
    action: pause_symbol
  - name: d
    trigger: tick
    action: cut
    params: {factor: 0.95}
  - name: e
    trigger: tick
    action: resume
"""


def test_every_mistake_is_named_with_line_and_column() -> None:
    with pytest.raises(DocumentError) as caught:
        rulebook_values(read_document(TEXT, suffix=".yaml"), VOCABULARY)
    assert [(p.line, p.column, p.path) for p in caught.value.problems] == [
        (3, 14, "rules[0].trigger"),
        (7, 24, "rules[1].condition"),  # at 'Y', which code never is
        (9, 11, "rules[2].name"),
        (11, 28, "rules[2].condition"),  # at the second >
        (15, 13, "rules[3].action"),
        (19, 13, "rules[4].params"),
        (22, 13, "rules[5].action"),
    ]


PLACES = {
    "block": (".yaml", "rules:\n  - name: a\n    trigger: tick\n    action: notify\n"
              "    condition: |\n      drawdown > 0\n      and nonsense > 1\n", 7, 11),
    "folded block": (".yaml", "rules:\n  - name: a\n    trigger: tick\n    action: notify\n"
                     "    condition: >-\n      drawdown > 0 and\n\n      nonsense > 1\n", 8, 7),
    "indented block": (".yaml", "rules:\n  - name: a\n    trigger: tick\n    action: notify\n"
                       "    condition: |2-   # why\n        drawdown > 0 or\n            nonsense > 1\n", 7, 13),
    "plain over lines": (".yaml", "rules:\n  - {name: a, trigger: tick, action: notify, condition: drawdown > 0\n"
                         "      and nonsense > 1}\n", 3, 11),
    "single quotes": (".yaml", "rules:\n  - name: a\n    trigger: denied\n    action: notify\n"
                      "    condition: 'symbol == ''B'' and\n      symbol == ''C'' and nonsense > 1'\n", 6, 27),
    "double quotes": (".yaml", 'rules:\n  - name: a\n    trigger: denied\n    action: notify\n'
                      '    condition: "symbol == \\"\\u00e4\\" \\\n      and nonsense > 1"\n', 6, 11),
    "tagged": (".yaml", 'rules:\n  - name: a\n    trigger: tick\n    action: notify\n'
               '    condition: !!str "nonsense > 1"\n', 5, 23),
    "json": (".json", '{"rules": [{"name": "a", "trigger": "denied", "action": "notify",\n'
             ' "condition": "symbol == \\"\\u00e4\\ud83d\\ude00\\" and\\nnonsense > 1"}]}', 2, 54),
    "beyond ascii": (".yaml", "rules:\n  - name: a\n    trigger: denied\n    action: notify\n"
                     "    condition: symbol == 'ä€😀' and nonsense > 1\n", 5, 36),
    "broken off": (".yaml", "rules:\n  - name: a\n    trigger: tick\n    action: notify\n"
                   "    condition: |\n      drawdown >\n", 6, 17),
    "broken in a text": (".yaml", "rules:\n  - name: a\n    trigger: denied\n    action: notify\n"
                         "    condition: |\n      symbol == 'ä€😀'\n      and > 1\n", 7, 11),
    "comment": (".yaml", "rules:\n  - name: a\n    trigger: tick\n    action: notify\n"
                "    condition: |\n      drawdown > 0.05  # percent\n      or drawdown < 0\n", 6, 24),
}  # fmt: skip


@pytest.mark.parametrize("written", PLACES)
def test_a_mistake_in_a_condition_is_told_where_it_stands_however_it_is_written(written: str) -> None:
    suffix, text, line, column = PLACES[written]
    with pytest.raises(DocumentError) as caught:
        rulebook_values(read_document(text, suffix=suffix), VOCABULARY)
    (problem,) = caught.value.problems
    assert (problem.line, problem.column, problem.path) == (line, column, "rules[0].condition"), problem


def values(*rules: dict[str, Any], **top: Any) -> dict[str, Any]:
    rows = [{"trigger": "tick", "action": "notify", **rule} for rule in rules]
    return rulebook_values(node_of({"rules": rows, **top}), VOCABULARY)


def test_a_rule_more_is_stricter_and_every_other_change_is_not() -> None:
    before = values({"name": "a", "cooldown_seconds": 60}, {"name": "off", "enabled": False})
    kept = {"name": "a", "cooldown_seconds": 60}
    assert rulebook_loosened(before, values(kept)) == []  # the one that was off may go
    assert rulebook_loosened(before, values(kept, {"name": "new"})) == []
    assert rulebook_loosened(before, values({**kept, "description": "told"})) == []
    assert rulebook_loosened(before, values()) == ["rules.a"]
    for change in (
        {"enabled": False},
        {"cooldown_seconds": 61},
        {"cooldown_seconds": 59},
        {"priority": 1},
        {"condition": "drawdown > 1"},
        {"action": "cut", "params": {"factor": "0.5"}},
        {"trigger": "denied"},
    ):
        assert rulebook_loosened(before, values({**kept, **change})) == ["rules.a"], change
    assert rulebook_loosened(before, values(kept, autopilot_enabled=False)) == ["autopilot_enabled"]


def test_every_member_of_a_rule_arrives_in_the_rule() -> None:
    """A8: the keys of the earlier file were read by no code."""
    row = {
        "name": "a",
        "trigger": "denied",
        "condition": "drawdown > 0.1",
        "action": "cut",
        "params": {"factor": "0.5"},
        "priority": 7,
        "cooldown_seconds": "12.5",
        "enabled": False,
        "description": "why",
    }
    book = rulebook(
        rulebook_values(node_of({"rules": [row], "autopilot_enabled": False}), VOCABULARY), VOCABULARY
    )
    (rule,) = book.rules
    assert (rule.name, rule.trigger, rule.condition.text, rule.action) == (
        "a",
        "denied",
        "drawdown > 0.1",
        "cut",
    )
    assert (dict(rule.parameters), rule.priority, rule.cooldown_s) == ({"factor": Decimal("0.5")}, 7, 12.5)
    assert (rule.enabled, rule.description, book.autopilot_enabled) == (False, "why", False)
    assert row.keys() == RULE.fields.keys()
    assert POLICIES.fields.keys() == {"rules", "autopilot_enabled"}
