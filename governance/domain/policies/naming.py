"""Which names a change of a document is about: whoever a strategy of that name belongs to does not decide about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def names_that_differ(before: Any, after: Any) -> frozenset[str]:
    """Names in what differs between two documents: keys of entries, and whatever stands in an entry or list.

    An entry counts as a whole: with a group's cap its members are named. What holds for all alike names nobody.
    `strategy:SYMBOL` and `strategy:NAME` name each of their parts.
    """
    old, new = (value if isinstance(value, Mapping) else {} for value in (before, after))
    found = {
        part
        for member in old.keys() | new.keys()
        if old.get(member) != new.get(member)
        for text in _of_member(old.get(member), new.get(member))
        for part in text.split(":")
    }
    return frozenset(found)


def _of_member(before: Any, after: Any) -> Iterator[str]:
    if isinstance(before or after, Mapping):
        old, new = before or {}, after or {}
        for name in old.keys() | new.keys():
            if old.get(name) != new.get(name):
                yield name
                yield from _texts(old.get(name))
                yield from _texts(new.get(name))
        return
    if isinstance(before or after, list):
        old, new = before or [], after or []
        for item in [item for item in old if item not in new] + [item for item in new if item not in old]:
            yield from _texts(item)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield name
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
