"""A table of a report: cells of text with a tone, and numbers to sort by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Tone = Literal["", "up", "down", "muted"]


@dataclass(frozen=True, slots=True)
class Cell:
    """Text, its tone, a number to sort by (None sorts as text), and a remark."""

    text: str
    tone: Tone = ""
    order: float | None = None
    remark: str = ""
    heat: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table.

    Attributes
    ----------
    key : unique within the report, letters and dashes.  note : a sentence above it.
    columns : headings; the first column heads its row.  page : rows shown at a time, 0 is all.
    """

    key: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    page: int = 0

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"{self.key}: a row has more or fewer cells than there are columns")


def signed(text: str, value: float) -> Cell:
    """Return a cell toned by the sign of its value."""
    return Cell(text, "up" if value > 0 else "down" if value < 0 else "", value)
