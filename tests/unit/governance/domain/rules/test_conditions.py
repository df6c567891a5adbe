"""Conditions: what parses, what each is, and that nothing else gets in. Expected values are plain arithmetic."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain.rules import Fact, Kind, RuleSyntaxError, evaluate, parse_condition

FACTS = {
    "drawdown": Fact(),
    "equity": Fact(unit="USDT"),
    "code": Fact(Kind.TEXT, choices=frozenset({"RATE_LIMITED", "EXPOSURE_SYMBOL"})),
    "symbol": Fact(Kind.TEXT),
    "connected": Fact(Kind.FLAG),
}
KNOWN = {
    "drawdown": "0.06",
    "equity": Decimal(10100),
    "code": "RATE_LIMITED",
    "symbol": "BTCUSDT",
    "connected": True,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("drawdown > 0.05", True),
        ("drawdown > 0.06", False),
        ("0.05 < drawdown <= 0.06", True),
        ("drawdown * 3 == 0.18", True),  # exact: 0.06 x 3 in binary floats is 0.18 and 0.1 x 3 is not 0.3
        ("0.1 + 0.2 == 0.3", True),
        ("-drawdown < 0 and not connected", False),
        ("equity / 2 - 50 == 5000", True),
        ("code == 'RATE_LIMITED' or drawdown > 1", True),
        ("code in ('RATE_LIMITED', 'EXPOSURE_SYMBOL')", True),
        ("symbol not in ['ETHUSDT']", True),
        ("max(drawdown, 0.2, min(1, 2)) == 1 and abs(-2) == 2", True),
        ("connected == true", True),
        ("1e3 < equity", True),
    ],
)
def test_condition_has_the_value_of_its_arithmetic(text: str, expected: bool) -> None:
    assert evaluate(parse_condition(text, FACTS), KNOWN).value is expected


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "().__class__.__bases__[0].__subclasses__()",
        "equity.real",
        "[x for x in (1, 2)] == 1",
        "(lambda: true)()",
        "f'{equity}' == 'x'",
        "equity ** 9 > 1",
        "equity if connected else 1",
        "(equity := 3) > 1",
        "open('x')",
        "max(equity, key=abs) > 1",
        "abs(1, 2) > 0",
        "symbol * 3 == 'x'",
        "1j > 0",
        "b'x' == b'x'",
        "equity is 1",
        "equity % 2 == 0",
        "equity > 1; equity > 2",
        "...",
        "",
        "equity",
        "'text'",
        "connected > false",
        "symbol < 'a'",
        "symbol in 'BTCUSDT'",
        "symbol in ()",
        "symbol in (equity,)",
        "connected and equity",
        "9" * 30 + " > equity",
        "equity > " + "(" * 300 + "1" + ")" * 300,
        "equity > " + "-" * 60 + "1",
        "equity > " + "1 + " * 200 + "1",
        "equity > 1\x00",
    ],
)
def test_everything_outside_the_language_is_refused(text: str) -> None:
    with pytest.raises(RuleSyntaxError):
        parse_condition(text, FACTS)


@pytest.mark.parametrize(
    ("text", "column", "part"),
    [
        ("drawdwon > 1", 1, "known are code, connected"),
        ("drawdown > 1 and code == 'MAX_ORDERS_PER_MIN'", 26, "code is never 'MAX_ORDERS_PER_MIN'"),
        ("code in ('RATE_LIMITED', 'EXPOSURE_LIMIT')", 26, "never 'EXPOSURE_LIMIT'"),
        ("'EXPOSURE_LIMIT' == code", 1, "never 'EXPOSURE_LIMIT'"),
        ("  symbol == 3", 13, "a text is compared with a number"),
        ("symbol == 'ä' and equity == 'x'", 29, "a number is compared with a text"),
        ("drawdown >", 11, "not a condition"),
    ],
)
def test_error_says_where_and_what(text: str, column: int, part: str) -> None:
    """W26: a rule that listens for a reason nothing ever gives is refused when it is loaded."""
    with pytest.raises(RuleSyntaxError) as caught:
        parse_condition(text, FACTS)
    assert part in caught.value.message
    assert caught.value.column == column


@pytest.mark.parametrize(
    ("text", "facts", "expected"),
    [
        ("drawdown > 0.05", {}, None),
        ("drawdown > 0.05", {"drawdown": None}, None),
        ("drawdown > 0.05", {"drawdown": float("nan")}, None),
        ("drawdown > 0.05", {"drawdown": "much"}, None),
        ("drawdown > 0.05", {"drawdown": True}, None),
        ("symbol == 'BTCUSDT'", {"symbol": 3}, None),
        ("connected", {"connected": 1}, None),
        ("not drawdown > 0.05", {}, None),
        ("drawdown > 0.05 or connected", {"connected": True}, True),
        ("drawdown > 0.05 and connected", {"connected": False}, False),
        ("drawdown > 0.05 and connected", {"connected": True}, None),
        ("equity / drawdown > 1", {"equity": 1, "drawdown": 0}, None),
        ("1 < drawdown < equity", {"drawdown": 0}, False),
    ],
)
def test_what_is_not_known_decides_nothing(text: str, facts: dict[str, Any], expected: bool | None) -> None:
    assert evaluate(parse_condition(text, FACTS), facts).value is expected


def test_evaluation_keeps_its_evidence_and_names_what_is_missing() -> None:
    found = evaluate(parse_condition("drawdown > 0.05 and equity > 1", FACTS), {"drawdown": "0.06"})
    assert found.missing == ("equity",)
    assert found.evidence == {"drawdown": Decimal("0.06")}


_VALUES = st.one_of(
    st.none(), st.booleans(), st.text(max_size=5), st.integers(), st.floats(), st.decimals(allow_nan=True)
)
_ATOMS = st.sampled_from(
    ["drawdown", "equity", "code", "symbol", "connected", "true", "1", "0.5", "'x'", "1e18", "(", ")"]
)
_JOINTS = st.sampled_from(
    [" and ", " or ", " not ", "<", "==", "+", "-", "*", "/", " in ", ",", ".", "[", "]"]
)


@given(
    st.one_of(st.text(max_size=60), st.lists(_ATOMS | _JOINTS, max_size=25).map("".join)),
    st.fixed_dictionaries(dict.fromkeys(FACTS, _VALUES)),
)
def test_any_text_is_refused_or_comes_out_as_true_false_or_unknown(text: str, facts: dict[str, Any]) -> None:
    try:
        condition = parse_condition(text, FACTS)
    except RuleSyntaxError:
        return
    assert evaluate(condition, facts).value in (True, False, None)


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("drawdown > 0.05  # percent\nor equity < 0", 18),
        ("(drawdown > 0.05) # percent", 19),
        ("symbol == 'ä#' #", 16),
    ],
)
def test_a_comment_would_leave_out_what_follows_and_is_refused(text: str, column: int) -> None:
    with pytest.raises(RuleSyntaxError, match="comments") as caught:
        parse_condition(text, FACTS)
    assert caught.value.column == column


def test_a_number_sign_in_quotes_is_a_character() -> None:
    assert evaluate(parse_condition("symbol != '#1'", FACTS), KNOWN).value is True


@pytest.mark.parametrize("value", ["1e9999999", "-1e-9999999", Decimal("1e500"), 10**200])
def test_an_amount_nobody_could_write_down_is_not_known(value: Any) -> None:
    found = evaluate(parse_condition("equity > 0", FACTS), {**KNOWN, "equity": value})
    assert (found.value, found.missing) == (None, ("equity",))
