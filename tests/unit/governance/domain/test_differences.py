"""What changed between two JSON values."""

from __future__ import annotations

from typing import Any

import pytest

from governance.domain.differences import LONGEST_TEXT, MOST, Difference, differences


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, None, []),
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, [("b", "2", "3")]),
        (None, {"a": "x", "b": None}, [("a", "–", "x")]),
        ({"a": True}, None, [("a", "yes", "–")]),
        ({"a": 1}, {"a": True}, [("a", "1", "yes")]),
        ("ACTIVE", "CANCEL", [("", "ACTIVE", "CANCEL")]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3, 4]}}, [("a.b.1", "2", "3"), ("a.b.2", "–", "4")]),
        ({"a": {"b": 1}}, {"a": [1]}, [("a", '{"b": 1}', "[1]")]),
        ({"gone": 1}, {"new": 2}, [("new", "–", "2"), ("gone", "1", "–")]),
    ],
)
def test_only_members_that_differ_are_told(
    before: Any, after: Any, expected: list[tuple[str, str, str]]
) -> None:
    assert differences(before, after) == ([Difference(*each) for each in expected], 0)


def test_a_large_change_is_cut_and_says_by_how_much() -> None:
    found, more = differences({}, {str(n): n for n in range(MOST + 7)})
    assert (len(found), more) == (MOST, 7)
    (long,), _ = differences("", "x" * 1000)
    assert len(long.after) == LONGEST_TEXT
