"""What a table shows besides its rows: the search, the order, the hidden columns and the filters of its page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

LONGEST_SEARCH, LONGEST_FILTER = 100, 160
MEMBERS = ("find", "sort", "hide", "filters")


class StateRefused(ValueError):
    """The state is none that the table could show."""


def _any_values(values: Mapping[str, str]) -> None:
    """A page that leaves its filters unchecked."""


@dataclass(frozen=True, slots=True)
class TableShape:
    """What a table can be told: its columns by key, the filters of its page, and how the page checks their values."""

    columns: frozenset[str]
    filters: frozenset[str] = frozenset()
    check: Callable[[Mapping[str, str]], object] = _any_values


def table_state(given: Any, shape: TableShape) -> dict[str, Any]:
    """A state with only what differs from the table as it comes, each member known and bounded.

    `find` is text, `sort` a column's key with a minus before it for descending, `hide` keys, `filters` texts by name.

    Raises
    ------
    StateRefused : with the member and what was expected.
    """
    if not isinstance(given, Mapping) or set(given) - set(MEMBERS):
        raise StateRefused(f"state: expected an object of {', '.join(MEMBERS)}")
    state = {
        "find": _text("find", given.get("find", ""), LONGEST_SEARCH),
        "sort": _sort(given.get("sort", ""), shape),
        "hide": _hide(given.get("hide", []), shape),
        "filters": _filters(given.get("filters", {}), shape),
    }
    return {name: value for name, value in state.items() if value}


def _text(name: str, given: Any, longest: int) -> str:
    if not isinstance(given, str) or len(given) > longest or not (given.isprintable() or given == ""):
        raise StateRefused(f"state.{name}: expected at most {longest} characters of text")
    return given.strip()


def _sort(given: Any, shape: TableShape) -> str:
    if not isinstance(given, str) or (given and given.removeprefix("-") not in shape.columns):
        raise StateRefused(
            "state.sort: expected a column of this table, with a minus before it for descending"
        )
    return given


def _hide(given: Any, shape: TableShape) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(key, str) and key in shape.columns for key in given):
        raise StateRefused("state.hide: expected a list of columns of this table")
    hidden = sorted(set(given))
    if hidden and len(hidden) >= len(shape.columns):
        raise StateRefused("state.hide: at least one column stays")
    return hidden


def _filters(given: Any, shape: TableShape) -> dict[str, str]:
    if not isinstance(given, Mapping) or set(given) - shape.filters:
        known = ", ".join(sorted(shape.filters)) or "none, this table has no filters of its page"
        raise StateRefused(f"state.filters: expected an object of filters of the page; known are {known}")
    values = {name: _text(f"filters.{name}", text, LONGEST_FILTER) for name, text in given.items()}
    chosen = {name: text for name, text in sorted(values.items()) if text}
    shape.check(chosen)
    return chosen
