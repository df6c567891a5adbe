"""A kept state of a table is bounded, and names only what the table has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from governance.domain.table_states import StateRefused, TableShape, table_state

SHAPE = TableShape(frozenset({"price", "fee", "side"}), frozenset({"symbol", "status"}))


def test_only_what_differs_is_kept_and_in_one_order() -> None:
    given = {
        "find": " btc ",
        "sort": "-price",
        "hide": ["side", "fee", "fee"],
        "filters": {"status": "NEW", "symbol": ""},
    }
    kept = {"find": "btc", "sort": "-price", "hide": ["fee", "side"], "filters": {"status": "NEW"}}
    assert table_state(given, SHAPE) == kept
    assert table_state({"find": "", "sort": "", "hide": [], "filters": {}}, SHAPE) == {}


@pytest.mark.parametrize(
    "given",
    [
        None, [], "x", {"more": 1},
        {"find": 7}, {"find": "x" * 101}, {"find": "a\x00b"}, {"find": "a\nb"},
        {"sort": "nobody"}, {"sort": "--price"}, {"sort": ["price"]},
        {"hide": "fee"}, {"hide": ["nobody"]}, {"hide": [["fee"]]}, {"hide": ["fee", "price", "side"]},
        {"filters": []}, {"filters": {"nobody": "1"}}, {"filters": {"symbol": 1}}, {"filters": {"symbol": "x" * 161}},
        {"filters": {"symbol": {"deep": {}}}},
    ],
)  # fmt: skip
def test_what_the_table_could_not_show_is_refused(given: Any) -> None:
    with pytest.raises(StateRefused, match=r"^state"):
        table_state(given, SHAPE)


def test_the_longest_is_still_taken_and_filters_are_what_their_page_takes() -> None:
    seen: list[Mapping[str, str]] = []
    shape = TableShape(SHAPE.columns, SHAPE.filters, seen.append)
    given = {"find": "x" * 100, "hide": ["fee", "side"], "filters": {"symbol": "y" * 160, "status": ""}}
    assert table_state(given, shape)["find"] == "x" * 100
    assert seen == [{"symbol": "y" * 160}]
