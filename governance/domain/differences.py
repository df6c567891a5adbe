"""What changed between two JSON values, member by member, as text for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

ABSENT = "–"
LONGEST_TEXT = 400
MOST = 80


@dataclass(frozen=True, slots=True)
class Difference:
    """One member: its path (`rules.2.limit`, empty for the value itself) and what it was and is."""

    path: str
    before: str
    after: str


def differences(before: Any, after: Any) -> tuple[list[Difference], int]:
    """Members that differ, in the order of `after`, at most `MOST`; and how many more there are."""
    found = list(_walk("", before, after))
    return found[:MOST], max(0, len(found) - MOST)


def _walk(path: str, before: Any, after: Any) -> Iterator[Difference]:
    if _canonical(before) == _canonical(after):
        return
    if isinstance(before, dict | None) and isinstance(after, dict | None) and (before or after):
        old, new = before or {}, after or {}
        for name in [*new, *(name for name in old if name not in new)]:
            yield from _walk(f"{path}.{name}" if path else str(name), old.get(name), new.get(name))
        return
    if isinstance(before, list) and isinstance(after, list):
        for place in range(max(len(before), len(after))):
            pair = (values[place] if place < len(values) else None for values in (before, after))
            yield from _walk(f"{path}.{place}" if path else str(place), *pair)
        return
    yield Difference(path, text_of(before), text_of(after))


def _canonical(value: Any) -> str:
    """JSON in one form: Python's own comparison takes 1 and true for the same."""
    return json.dumps(value, sort_keys=True)


def text_of(value: Any) -> str:
    """A JSON value as short text: words and numbers as they are, the rest as JSON."""
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
