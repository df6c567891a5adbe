"""Files of policies: errors with line and column by hand, and round trips of anything."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.adapters.documents import DEEPEST, LARGEST, read_document, write_document
from governance.domain.policies.capital import capital_values
from governance.domain.policies.located import DocumentError, Node, node_of
from governance.domain.policies.weights import weight_values


def plain(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {name: plain(member.node) for name, member in node.value.items()}
    if isinstance(node.value, tuple):
        return [plain(item) for item in node.value]
    return node.value


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ('{"a": 1,\n "a": 2}', 2, 2, "'a' is given twice"),
        ('{"a": 1,\n  "b": }', 2, 8, "expected a value"),
        ('{"a": 1\n "b": 2}', 2, 2, "expected ','"),
        ('{"a": 1,}', 1, 9, "expected a name in double quotes"),
        ("[1, 2", 1, 6, "expected ','"),
        ('["a\nb"]', 1, 4, "invalid control character at"),
        ("{a: 1}", 1, 2, "expected a name in double quotes"),
        ('{"a" 1}', 1, 6, "expected ':'"),
        ("{} x", 1, 4, "expected the end of the document"),
        ("", 1, 1, "expected a value"),
        ("01", 1, 2, "expected the end of the document"),
        ("NaN", 1, 1, "expected a value"),
        ("[" * (DEEPEST + 2), 1, DEEPEST + 2, f"nested deeper than {DEEPEST}"),
    ],
)
def test_json_error_says_where(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_document(text, suffix=".json")
    problem = caught.value.problems[0]
    assert (problem.line, problem.column, problem.message) == (line, column, message)


@pytest.mark.parametrize(
    ("text", "line", "column", "part"),
    [
        ("a: 1\na: 2\n", 2, 1, "'a' is given twice"),
        ("a: [1, 2\nb: 3\n", 2, 2, "expected ',' or ']'"),
        ("a: 1\n  b: 2\n", 2, 4, "mapping values are not allowed here"),
        ("a: &x 1\nb: *x\n", 1, 4, "anchors and aliases"),
        ("? [a]\n: 1\n", 1, 3, "expected a name"),
        ("", 1, 1, "the document is empty"),
        ("a: \x07", 1, 4, "control characters"),
    ],
)
def test_yaml_error_says_where(text: str, line: int, column: int, part: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_document(text, suffix=".yaml")
    problem = caught.value.problems[0]
    assert part in problem.message
    assert (problem.line, problem.column) == (line, column)


def test_yaml_tags_name_nothing() -> None:
    node = read_document("a: !!python/object/apply:os.system ['true']\n", suffix=".yaml")
    assert plain(node) == {"a": ["true"]}


def test_a_file_that_is_too_large_or_of_no_known_kind_is_refused() -> None:
    with pytest.raises(DocumentError, match=f"at most {LARGEST} bytes"):
        read_document('"' + "a" * LARGEST + '"', suffix=".json")
    with pytest.raises(DocumentError, match=r"ends in \.json, \.yaml or \.yml"):
        read_document("{}", suffix=".toml")


def test_every_problem_of_a_policy_is_named_with_its_place() -> None:
    text = """{
  "method": "luck",
  "enabled": ["a", "a"],
  "reserve_equity_usd": -1,
  "refresh_sec": 10.5,
  "max_quota_us": 1,
  "envelope": {"until": "tomorrow", "max_total_usd": true},
  "drawdown_soft_pct": 0.3
}"""
    with pytest.raises(DocumentError) as caught:
        capital_values(read_document(text, suffix=".json"))
    found = [(p.line, p.column, p.path) for p in caught.value.problems]
    assert found == [
        (2, 13, "method"),
        (3, 20, "enabled[1]"),
        (4, 25, "reserve_equity_usd"),
        (5, 18, "refresh_sec"),
        (6, 3, ""),
        (7, 25, "envelope.until"),
        (7, 54, "envelope.max_total_usd"),
    ]
    assert "line 2, column 13: method: expected one of equal, inverse_volatility" in str(caught.value)


def test_members_that_contradict_each_other_are_named_at_their_place() -> None:
    text = '{"drawdown_soft_pct": 0.3,\n "drawdown_hard_pct": 0.2}'
    with pytest.raises(DocumentError) as caught:
        capital_values(read_document(text, suffix=".json"))
    assert [(p.line, p.column, p.path) for p in caught.value.problems] == [(1, 23, "drawdown_soft_pct")]


LETTERS = "aZ09äß€😀 \"'\\:#-{}[]&*!|>%@,.?~=_/"
LOOKALIKES = ["null", "true", "yes", "1e5", "0x1", "1_0", "~", "2026-01-01", "1:20", "1.", ".5"]
WORDS = st.text(LETTERS, max_size=12) | st.sampled_from(LOOKALIKES)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.decimals(-(10**15), 10**15, places=4).map(lambda d: d.normalize() if d else Decimal(0)),
    WORDS,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS.filter(bool), inner, max_size=4),
    max_leaves=15,
)


@given(VALUES, st.sampled_from([".json", ".yaml"]))
def test_what_is_written_reads_as_the_same(value: Any, suffix: str) -> None:
    wrapped = {"value": value}
    assert plain(read_document(write_document(wrapped, suffix=suffix), suffix=suffix)) == wrapped


def test_a_policy_reads_as_the_same_from_either_format() -> None:
    values = capital_values(node_of({"enabled": ["a"], "caps": {"a": 5}, "step_up_pct": "0.25"}))
    for suffix in (".json", ".yaml"):
        text = write_document(values, suffix=suffix)
        assert capital_values(read_document(text, suffix=suffix)) == values
    assert '"step_up_pct": 0.25' in write_document(values, suffix=".json")


@pytest.mark.parametrize(
    ("text", "suffix", "line", "column", "part"),
    [
        ("[" + ",".join(["1"] * 130_000) + "]", ".json", 1, 40_000, "at most 20000 values"),
        ("[" * 260_000, ".json", 1, 22, "nested deeper than 20"),
        ('{"a":\n "\ud800"}', ".json", 2, 3, "half a character"),
        ("\n".join(["- 1"] * 65_000), ".yaml", 20_000, 3, "at most 20000"),
        ("[" * 200_000, ".yaml", 1, 22, "nested deeper than 20"),
        ("{" * 200_000, ".yaml", 1, 22, "nested deeper than 20"),
        ("- " * 120_000, ".yaml", 1, 43, "nested deeper than 20"),
        ("? " * 120_000, ".yaml", 1, 43, "nested deeper than 20"),
        ("a: 1\nb: \x00", ".yaml", 2, 4, "control characters"),
        ("a: 1\n---\nb: 2", ".yaml", 2, 1, "another document"),
    ],
)
def test_a_file_made_to_keep_its_reader_busy_ends_at_once_with_its_place(
    text: str, suffix: str, line: int, column: int, part: str
) -> None:
    began = time.process_time()
    with pytest.raises(DocumentError, match=part) as refused:
        read_document(text, suffix=suffix)
    # Seconds to minutes before: each value counted the lines before it, each name copied the rest of the file.
    assert time.process_time() - began < 3
    assert (refused.value.problems[0].line, refused.value.problems[0].column) == (line, column)


@pytest.mark.parametrize("text", ["a\u0000b", "a\ud800b", "a\u001bb"])
def test_what_no_column_of_text_takes_is_a_mistake_in_a_value_and_in_a_name(text: str) -> None:
    written = json.dumps({"caps": {text: 5}, "enabled": [text]})
    with pytest.raises(DocumentError) as refused:
        capital_values(read_document(written, suffix=".json"))
    assert [p.path for p in refused.value.problems] == ["caps", "enabled[0]"]
    assert all(p.line == 1 and "control characters" in p.message for p in refused.value.problems)


@pytest.mark.parametrize(
    "scalar",
    [
        "010",
        "-010",
        "0x1F",
        "0b1",
        "1_000",
        "1:20",
        ".inf",
        ".NaN",
        "yes",
        "No",
        "on",
        "OFF",
        "!!bool maybe",
        "!!int x",
    ],
)
def test_what_readers_of_yaml_do_not_agree_about_is_refused_with_its_place(scalar: str) -> None:
    with pytest.raises(DocumentError, match="different things") as caught:
        read_document(f"a: 1\nb: {scalar}\n", suffix=".yaml")
    assert (caught.value.problems[0].line, caught.value.problems[0].column) == (2, 4)
    assert plain(read_document(f"b: '{scalar}'\n", suffix=".yaml")) == {"b": scalar}


def test_plain_numbers_and_words_of_yaml_are_what_they_look_like() -> None:
    text = "[10, 0.50, -3, +4, .5, 1.e+2, true, False, null, ~]"
    assert plain(read_document(text, suffix=".yaml")) == [
        *map(Decimal, ("10", "0.5", "-3", "4", "0.5", "100")), True, False, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("document", "path", "part"),
    [
        ({"min_pool_usd": "1e9999999"}, "min_pool_usd", "expected a number"),
        ({"sharpe_demote": "-1e-9999999"}, "sharpe_demote", "expected a number"),
        ({"refresh_sec": "60." + "0" * 400 + "1"}, "refresh_sec", "28 digits"),
        ({"min_pool_usd": Decimal("1e999")}, "min_pool_usd", "28 digits"),
        ({"enabled": Decimal("1e999999")}, "enabled", "expected a list"),
        ({"min_pool_usd": "1_000"}, "min_pool_usd", "expected a number"),
        ({"min_pool_usd": "\u0661\u0660"}, "min_pool_usd", "expected a number"),
        ({"envelope": {"until": "0001-01-01T00:00:00+14:00"}}, "envelope.until", "expected a time"),
        ({"envelope": {"until": "9999-12-31T23:59:59-14:00"}}, "envelope.until", "expected a time"),
    ],
)
def test_a_value_that_cannot_be_kept_is_a_mistake_of_few_words(
    document: dict[str, Any], path: str, part: str
) -> None:
    with pytest.raises(DocumentError, match=part) as caught:
        capital_values(node_of(document))
    assert [p.path for p in caught.value.problems] == [path]
    assert len(str(caught.value)) < 200


def test_a_weight_has_the_decimals_that_are_kept() -> None:
    assert weight_values(node_of({"weights": {"a": "0.12345678"}}))["weights"]["a"] == Decimal("0.12345678")
    with pytest.raises(DocumentError, match=r"weights\.a: expected at most 8 decimals, was 0\.333333333"):
        weight_values(node_of({"weights": {"a": "0.333333333"}}))
