"""Filters kept running between two steps of one process, so that they need not be built from text at every bar."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

F = TypeVar("F")

MOST: Final = 64


class FilterMemory(Generic[F]):
    """Running filters by the stored state they stand for.

    Only the very object that was kept finds its filter again, and only once: a state that was written down, read
    back, copied or stepped twice is restored from its numbers. What is remembered therefore changes the time a step
    takes and never what it says.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[Mapping[str, Any], F]] = OrderedDict()

    def keep(self, stored: Mapping[str, Any], running: F) -> None:
        """Remember the filter that `stored` was written from; the oldest gives way."""
        # The object is held beside the filter, so that its identity cannot pass to another one.
        self._kept[id(stored)] = (stored, running)
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)

    def take(self, stored: Mapping[str, Any]) -> F | None:
        """Return the filter of this state and forget it, None when it is not known."""
        kept = self._kept.pop(id(stored), None)
        return kept[1] if kept is not None and kept[0] is stored else None
