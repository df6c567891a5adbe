"""Values that know where they stood, so that an error can say it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Scalar = str | bool | Decimal | None


@dataclass(frozen=True, slots=True)
class Node:
    """Attributes
    ----------
    value : a scalar, a tuple of nodes, or a dict of text to `Member`.
    line, column : counted from 1; 0 where it never was in a file.
    inside : of a text, from the number of a character of `value`, 0 for the first, to its line and column: a text in a
        file has escapes and spans lines, which its value does not show. None where it never was in a file.
    """

    value: Scalar | tuple[Node, ...] | dict[str, Member]
    line: int = 0
    column: int = 0
    inside: Callable[[int], tuple[int, int]] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an object, with the place of its name."""

    node: Node
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, where, and in which member (`envelope.until`)."""

    message: str
    path: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column}: " if self.line else ""
        return f"{place}{self.path + ': ' if self.path else ''}{self.message}"


class DocumentError(ValueError):
    """A document cannot be used; `problems` names every reason, in their order in the file."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))
        super().__init__("; ".join(str(problem) for problem in self.problems))


def node_of(value: Any) -> Node:
    """A plain value (of JSON) as a node without a place.

    Raises
    ------
    DocumentError : something JSON does not have.
    """
    if value is None or isinstance(value, bool | str | Decimal):
        return Node(value)
    if isinstance(value, int | float):
        return Node(Decimal(repr(value)))
    if isinstance(value, list | tuple):
        return Node(tuple(node_of(item) for item in value))
    if isinstance(value, Mapping):
        return Node({str(key): Member(node_of(item)) for key, item in value.items()})
    raise DocumentError([Problem(f"{type(value).__name__} is nothing a document may hold")])
