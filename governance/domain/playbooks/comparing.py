"""What a playbook would no longer do: its steps held against those that are to take their place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from governance.domain.playbooks.actions import Action, Verb, actions_parse
from trading.domain.values import Level


def steps_lost(before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]) -> list[Action]:
    """The steps of before none of after stands for: does the same to the same, or more.

    Each has one of its own: two equal steps do twice as much as one, and one of after stands for one of before only.
    """
    old, kept, taken = actions_parse(before), actions_parse(after), dict[int, int]()
    covers = [_covering(step, kept) for step in old]
    return [step for index, step in enumerate(old) if not _seat(index, covers, taken, set())]


def _covering(old: Action, kept: Sequence[Action]) -> list[int]:
    """Which steps of after would do for a step of before."""
    same = [
        index
        for index, new in enumerate(kept)
        if (new.verb, new.limit) == (old.verb, old.limit) and new.on in (old.on, "global")
    ]
    if old.verb is Verb.kill:
        return [index for index in same if Level[kept[index].level] >= Level[old.level]]
    if old.verb is Verb.blackout:
        return [index for index in same if kept[index].minutes >= old.minutes]
    if old.verb in (Verb.tighten, Verb.trim):
        return [index for index in same if kept[index].factor <= old.factor]
    return same


def _seat(old: int, covers: Sequence[Sequence[int]], taken: dict[int, int], tried: set[int]) -> bool:
    """Give a step of before one of after, moving others to another of theirs where that makes room (Berge 1957)."""
    for new in covers[old]:
        if new in tried:
            continue
        tried.add(new)
        if new not in taken or _seat(taken[new], covers, taken, tried):
            taken[new] = old
            return True
    return False
