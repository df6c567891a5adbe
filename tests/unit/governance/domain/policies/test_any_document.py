"""Whatever a document says: it reads as the same from either format, and what is wrong with it has a place."""

from __future__ import annotations

import json
from datetime import UTC
from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.adapters.documents import read_document, write_document
from governance.domain.policies import schema
from governance.domain.policies.capital import CAPITAL_POLICY, capital_values
from governance.domain.policies.located import DocumentError, Problem, node_of
from governance.domain.policies.rulebook import rulebook_values
from governance.domain.policies.schema import canonical
from governance.domain.policies.weights import STRATEGY_WEIGHTS, weight_values
from governance.domain.rules import Action, Fact, Kind, Parameter, Vocabulary

VOCABULARY = Vocabulary(
    triggers={"tick": {}, "denied": {"symbol": Fact(Kind.TEXT)}},
    metrics={"drawdown": Fact(), "equity": Fact()},
    actions={"notify": Action(), "cut": Action({"factor": Parameter(Decimal("0.1"), Decimal("0.9"))})},
)
HARD = ["null", "yes", "010", "1e5", "~", "2026-01-01", "1:20", ".inf", "# a", "a: b", "- a", "'", '"', "\\", "a\nb",
        "\tb", " x ", "<<", "=", "!a", "&a", "*a", "%a", "@a", "`a", "|", ">", "\x85", "\u2028", "\ufeff"]  # fmt: skip
WORDS = (
    st.sampled_from(["trend", "swing:BTCUSDT", "no"])
    | st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)
    | st.sampled_from(HARD)
)


def values_of(shape: Any) -> st.SearchStrategy[Any]:
    """Values a shape may have; that members contradict each other is possible."""
    match shape:
        case schema.Number(lowest, highest, True):
            return st.integers(int(lowest), int(highest))
        case schema.Number(lowest, highest, _, _, places):
            return st.decimals(lowest, highest, places=4 if places is None else places)
        case schema.Flag():
            return st.booleans()
        case schema.Text(choices):
            return st.sampled_from(choices) if choices else WORDS
        case schema.Moment():
            return st.none() | st.datetimes(timezones=st.just(UTC)).map(lambda at: at.isoformat())
        case schema.Names():
            return st.lists(WORDS, unique=True, max_size=3)
        case schema.Entries(inner):
            return st.dictionaries(WORDS, values_of(inner), max_size=3)
        case schema.Record(fields):
            members = {name: values_of(one.shape) for name, one in fields.items()}
            needed = {name: members.pop(name) for name, one in fields.items() if one.required}
            return st.fixed_dictionaries(needed, optional=members)
    raise TypeError(shape)


RULES = st.lists(
    st.fixed_dictionaries(
        {
            "name": WORDS,
            "trigger": st.sampled_from(["tick", "denied"]),
            "action": st.just("notify"),
            "condition": st.sampled_from(
                ["drawdown > 0.1", "equity <\n  100\nand true", "not (1 < equity / 2)"]
            ),
        },
        optional={"description": WORDS, "priority": st.integers(-100, 100), "enabled": st.booleans()},
    ),
    max_size=3,
    unique_by=lambda rule: rule["name"],
).map(lambda rules: {"rules": rules})
KINDS = {
    "capital": (values_of(CAPITAL_POLICY), capital_values),
    "weights": (values_of(STRATEGY_WEIGHTS), weight_values),
    "rules": (RULES, lambda node: rulebook_values(node, VOCABULARY)),
}
NEEDED: dict[str, dict[str, Any]] = {
    "capital": {},
    "weights": {"weights": {"null": 1, "010": 0}},
    "rules": {"rules": []},
}
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


CLASHING = [
    {"drawdown_soft_pct", "drawdown_hard_pct"},
    {"min_quota_usd", "max_quota_usd", "smallest_step_usd"},
    {"refresh_sec", "expires_sec"},
    {"min_observations", "lookback_periods"},
    {"sharpe_demote", "sharpe_promote"},
]


def without_mistakes(document: Any, read: Any, needed: dict[str, Any]) -> Any:
    """The document without the members that contradict each other or have words no text takes."""
    for _ in range(4):
        try:
            read(node_of(document))
        except DocumentError as error:
            wrong = {problem.path.partition(".")[0].partition("[")[0] for problem in error.problems}
            wrong |= {name for pair in CLASHING if pair & wrong for name in pair}
            document = {**needed, **{name: value for name, value in document.items() if name not in wrong}}
        else:
            return document
    raise AssertionError(document)


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_reads_as_the_same_from_either_format(kind: str) -> None:
    strategy, read = KINDS[kind]

    read_well = 0

    @QUICK
    @given(strategy)
    def holds(document: Any) -> None:
        nonlocal read_well
        values = read(node_of(without_mistakes(document, read, NEEDED[kind])))
        read_well += len(values) > 0
        assert canonical(read(node_of(canonical(values)))) == canonical(values)
        for suffix in (".json", ".yaml"):
            for written in (values, canonical(values)):
                assert read(read_document(write_document(written, suffix=suffix), suffix=suffix)) == values

    holds()
    assert read_well > 20


CHANGES = st.tuples(
    st.floats(0, 1),
    st.integers(0, 5),
    st.text("{}[]:,'\"#\n\t \\u0d|>&*!-?%@`~.e+_yn\x00\u2028é", max_size=4),
)


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_spoilt_document_has_mistakes_with_a_place_and_nothing_worse(kind: str, suffix: str) -> None:
    strategy, read = KINDS[kind]

    @QUICK
    @given(strategy, st.lists(CHANGES, min_size=1, max_size=4))
    def holds(document: Any, changes: list[tuple[float, int, str]]) -> None:
        text = write_document(document, suffix=suffix)
        for share, gone, new in changes:
            at = int(share * len(text))
            text = text[:at] + new + text[at + gone :]
        problems: tuple[Problem, ...] = ()
        try:
            json.dumps(canonical(read(read_document(text, suffix=suffix))))
        except DocumentError as error:
            problems = error.problems
        lines = len(text.splitlines()) + 1
        assert all(1 <= p.line <= lines and p.column >= 1 for p in problems), problems

    holds()


STYLES = ["|", "|-", ">", "'", '"', None, "json"]


@pytest.mark.parametrize("style", STYLES)
def test_a_mistake_in_any_condition_is_told_where_it_stands(style: str | None) -> None:
    @QUICK
    @given(
        st.lists(
            st.sampled_from(
                ["true and", "(drawdown > 1) or", "symbol != '€''😀\\t' and", "\n", "  ", "\n\n"]
            ),
            max_size=8,
        ),
        st.integers(8, 60),
    )
    def holds(parts: list[str], width: int) -> None:
        rule = {
            "name": "a",
            "trigger": "denied",
            "action": "notify",
            "condition": f"{' '.join(parts)} zzz > 1",
        }
        suffix = ".yaml"
        if style == "json":
            suffix, text = ".json", json.dumps({"rules": [rule]})
        else:
            row = yaml.safe_dump(
                {"condition": rule.pop("condition")},
                default_style=style and style[0],
                width=width,
                allow_unicode=True,
            )
            head = json.dumps({**rule})[1:-1].replace(", ", "\n   ")
            text = f"rules:\n -\n   {head}\n" + "".join(f"   {line}\n" for line in row.splitlines())
        with pytest.raises(DocumentError) as caught:
            rulebook_values(read_document(text, suffix=suffix), VOCABULARY)
        (problem,) = caught.value.problems
        line = text.split("\n")[problem.line - 1]
        assert line[problem.column - 1 :].startswith("zzz"), (text, problem)

    holds()
