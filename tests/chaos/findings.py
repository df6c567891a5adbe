"""Differences by check, as the oracle notes them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Findings:
    """Differences by check."""

    by_check: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, check: str, differences: Iterator[str] | list[str]) -> None:
        """Note the differences of one check."""
        self.by_check[check] += differences

    @property
    def total(self) -> int:
        return sum(len(found) for found in self.by_check.values())

    def lines(self, limit: int = 20) -> list[str]:
        """Text for people, some of each check."""
        return [
            f"{check}: {line}" for check, found in sorted(self.by_check.items()) for line in found[:limit]
        ]
