"""What the relay looks at now and then for the apps above it: the one process that no schedule has to start."""

from __future__ import annotations

from collections.abc import Callable

_watches: list[Callable[[], None]] = []


def register_watch(watch: Callable[[], None]) -> None:
    """Have it called every few seconds, by one process of the platform. It must be quick."""
    if watch not in _watches:
        _watches.append(watch)


def watches_run() -> None:
    """Call each once."""
    for watch in _watches:
        watch()
