"""Symbol actions that wait for their market time; they survive a restart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from testnet.persistence import Handler, Record


class Entry(NamedTuple):
    """One waiting action, as the control API was asked for it."""

    at_ms: int
    number: int
    body: dict[str, Any]


class Schedule:
    """Waiting actions in order of time; a `Part`."""

    name = "schedule"

    def __init__(self, append: Callable[[Record], None]) -> None:
        self._append = append
        self._entries: list[Entry] = []
        self._number = 0

    def add(self, at_ms: int, body: dict[str, Any]) -> None:
        """Let an action wait for a moment of market time."""
        self._number += 1
        self._insert(Entry(at_ms, self._number, body))
        self._append({"t": "schedule", "at": at_ms, "id": self._number, "do": body})

    def _insert(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._entries.sort(key=lambda row: row[:2])
        self._number = max(self._number, entry.number)

    def next_ms(self) -> int | None:
        """When the next action is due."""
        return self._entries[0].at_ms if self._entries else None

    def take_due(self, now_ms: int) -> list[Entry]:
        """Remove and return everything due by now, in order."""
        due = [entry for entry in self._entries if entry.at_ms <= now_ms]
        self._entries = self._entries[len(due) :]
        for entry in due:
            self._append({"t": "scheduled", "id": entry.number})
        return due

    def handlers(self) -> Mapping[str, Handler]:
        """Journal records of this part."""
        return {"schedule": self._added, "scheduled": self._taken}

    def _added(self, record: Record) -> None:
        self._insert(Entry(record["at"], record["id"], record["do"]))

    def _taken(self, record: Record) -> None:
        self._entries = [entry for entry in self._entries if entry.number != record["id"]]

    def state(self) -> Record:
        """Everything a restart needs."""
        return {"number": self._number, "entries": [list(entry) for entry in self._entries]}

    def restore(self, state: Record) -> None:
        """Continue from `state()`."""
        for row in state["entries"]:
            self._insert(Entry(*row))
        self._number = state["number"]

    def recovered(self) -> None:
        """Nothing to arm: market time finds what is due."""
