"""What a document must look like: fields with bounds, defaults and the direction in which they raise risk."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from governance.domain.policies.located import DocumentError, Node, Problem
from trading.domain.clock import written_moment
from trading.domain.values import TooManyDigits, decimal_text, written_decimal

_REQUIRED: Any = object()
MOST = 500
_LONGEST_NAME = 120


class Raises(StrEnum):
    """Which change of a value raises risk."""

    UP = "up"
    DOWN = "down"
    ANY = "any"
    NONE = "none"


class Shape(Protocol):
    """A kind of value."""

    def read(self, node: Node, path: str, problems: list[Problem]) -> Any:
        """Return the value; what is wrong with it is appended to `problems`."""

    def loosened(self, before: Any, after: Any, path: str, raises: Raises) -> list[str]:
        """The paths at which `after` allows more than `before`."""


_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


def _unprintable(text: str) -> bool:
    """Whether there is a control character, or half of one beyond the first plane: no column of text takes these.

    Nor a mark that a file loses or turns into a blank: a name would not read as the same again.
    """
    return _UNPRINTABLE.search(text) is not None


class _Scalar:
    def loosened(self, before: Any, after: Any, path: str, raises: Raises) -> list[str]:
        if before == after or raises is Raises.NONE:
            return []
        if raises is Raises.ANY or before is None or after is None:
            return [path]
        return [path] if (after > before) == (raises is Raises.UP) else []


@dataclass(frozen=True, slots=True)
class Number(_Scalar):
    """A decimal within bounds, given as a number or as its text; `places` are the most it may have after the point."""

    lowest: Decimal | int = 0
    highest: Decimal | int = Decimal(10) ** 15
    whole: bool = False
    optional: bool = False
    places: int | None = None

    def read(self, node: Node, path: str, problems: list[Problem]) -> Any:
        value = node.value
        if value is None and self.optional:
            return None
        number = self._number(node, path, problems)
        if number is None:
            return None
        if self.whole and number != number.to_integral_value():
            problems.append(_at(node, path, f"expected a whole number, was {_plain(number)}"))
        elif not self.lowest <= number <= self.highest:
            problems.append(
                _at(
                    node,
                    path,
                    f"expected {_plain(self.lowest)} to {_plain(self.highest)}, was {_plain(number)}",
                )
            )
        elif self.places is not None and number != round(number, self.places):
            message = f"expected at most {self.places} decimals, was {_plain(number)}"
            problems.append(_at(node, path, message))
        else:
            return int(number) if self.whole else number
        return None

    def _number(self, node: Node, path: str, problems: list[Problem]) -> Decimal | None:
        value = node.value
        if not isinstance(value, bool) and isinstance(value, Decimal | str):
            try:
                return written_decimal(value)
            except TooManyDigits as error:
                problems.append(_at(node, path, str(error)))
                return None
            except ValueError:
                pass
        problems.append(_at(node, path, f"expected a number, was {_said(value)}"))
        return None


@dataclass(frozen=True, slots=True)
class Flag(_Scalar):
    def read(self, node: Node, path: str, problems: list[Problem]) -> Any:
        if isinstance(node.value, bool):
            return node.value
        problems.append(_at(node, path, f"expected true or false, was {_said(node.value)}"))
        return None


@dataclass(frozen=True, slots=True)
class Text(_Scalar):
    """A text; `choices` are the only ones where they are given."""

    choices: tuple[str, ...] = ()
    longest: int = 1000
    least: int = 0

    def read(self, node: Node, path: str, problems: list[Problem]) -> Any:
        value = node.value
        if not isinstance(value, str):
            problems.append(_at(node, path, f"expected a text, was {_said(value)}"))
        elif self.choices and value not in self.choices:
            problems.append(_at(node, path, f"expected one of {', '.join(self.choices)}, was {_said(value)}"))
        elif _unprintable(value):
            problems.append(_at(node, path, "expected a text without control characters"))
        elif not self.least <= len(value) <= self.longest:
            problems.append(
                _at(node, path, f"expected {self.least} to {self.longest} characters, were {len(value)}")
            )
        else:
            return value
        return None


@dataclass(frozen=True, slots=True)
class Moment(_Scalar):
    """A time of day and year with its zone; null is never."""

    def read(self, node: Node, path: str, problems: list[Problem]) -> Any:
        if node.value is None:
            return None
        if isinstance(node.value, str):
            try:
                return written_moment(node.value)
            except ValueError:
                pass
        problems.append(_at(node, path, 'expected a time such as "2027-01-31T00:00:00Z" or null'))
        return None

    def loosened(self, before: Any, after: Any, path: str, raises: Raises) -> list[str]:
        if before == after:
            return []
        never = datetime.max.replace(tzinfo=UTC)
        return [path] if (after or never) > (before or never) else []


@dataclass(frozen=True, slots=True)
class Names:
    """A list of different names."""

    def read(self, node: Node, path: str, problems: list[Problem]) -> Any:
        if not isinstance(node.value, tuple):
            problems.append(_at(node, path, f"expected a list of names, was {_said(node.value)}"))
            return ()
        names: list[str] = []
        for index, item in enumerate(node.value):
            name = Text(least=1, longest=80).read(item, f"{path}[{index}]", problems)
            if name in names:
                problems.append(_at(item, f"{path}[{index}]", f"{name} is named twice"))
            elif name is not None:
                names.append(name)
        return tuple(names)

    def loosened(self, before: Any, after: Any, path: str, raises: Raises) -> list[str]:
        gone, new = set(before) - set(after), set(after) - set(before)
        changed = {Raises.UP: new, Raises.DOWN: gone, Raises.ANY: gone | new, Raises.NONE: set()}[raises]
        return [f"{path}.{name}" for name in sorted(changed)]


@dataclass(frozen=True, slots=True)
class Entries:
    """An object from free names to values of one shape."""

    shape: Shape
    missing: Any = None
    """What a name that is not there amounts to, for telling what was loosened; None: its coming or going counts."""

    def read(self, node: Node, path: str, problems: list[Problem]) -> Any:
        if not isinstance(node.value, dict):
            problems.append(_at(node, path, f"expected an object, was {_said(node.value)}"))
            return {}
        if len(node.value) > MOST:
            problems.append(_at(node, path, f"expected at most {MOST} members"))
            return {}
        for name, member in node.value.items():
            if _unprintable(name) or not 0 < len(name) <= _LONGEST_NAME:
                message = f"expected a name of 1 to {_LONGEST_NAME} characters without control characters"
                problems.append(Problem(message, path, member.line, member.column))
        return {
            name: self.shape.read(member.node, f"{path}.{name}" if path else name, problems)
            for name, member in node.value.items()
        }

    def loosened(self, before: Any, after: Any, path: str, raises: Raises) -> list[str]:
        found: list[str] = []
        for name in sorted(before.keys() | after.keys()):
            old, new = before.get(name, self.missing), after.get(name, self.missing)
            if old is None or new is None:
                found += [f"{path}.{name}"] if old != new and raises is not Raises.NONE else []
            else:
                found += self.shape.loosened(old, new, f"{path}.{name}", raises)
        return found


@dataclass(frozen=True, slots=True)
class Field:
    """One member of an object. `text` is its documentation."""

    shape: Shape
    default: Any = _REQUIRED
    raises: Raises = Raises.ANY
    text: str = ""

    @property
    def required(self) -> bool:
        return self.default is _REQUIRED


@dataclass(frozen=True, slots=True)
class Record:
    """An object with known members; anything else in it is an error."""

    fields: Mapping[str, Field] = field(default_factory=dict)

    def read(self, node: Node, path: str, problems: list[Problem]) -> Any:
        if not isinstance(node.value, dict):
            problems.append(_at(node, path, f"expected an object, was {_said(node.value)}"))
            return {}
        prefix = f"{path}." if path else ""
        for name, member in node.value.items():
            if name not in self.fields:
                known = ", ".join(sorted(self.fields))
                message = f"there is no {name!r} here; there are {known}"
                problems.append(Problem(message, path, member.line, member.column))
        values: dict[str, Any] = {}
        for name, spec in self.fields.items():
            found = node.value.get(name)
            if found is not None:
                values[name] = spec.shape.read(found.node, f"{prefix}{name}", problems)
            elif spec.required:
                problems.append(_at(node, path, f"{name} is missing"))
            else:
                values[name] = spec.default
        return values

    def loosened(self, before: Any, after: Any, path: str, raises: Raises) -> list[str]:
        found: list[str] = []
        for name, spec in self.fields.items():
            place = f"{path}.{name}" if path else name
            found += spec.shape.loosened(before[name], after[name], place, spec.raises)
        return found


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list of values of one shape; any change of it raises risk unless its owner knows better."""

    shape: Shape

    def read(self, node: Node, path: str, problems: list[Problem]) -> Any:
        if not isinstance(node.value, tuple):
            problems.append(_at(node, path, f"expected a list, was {_said(node.value)}"))
            return ()
        if len(node.value) > MOST:
            problems.append(_at(node, path, f"expected at most {MOST} entries"))
            return ()
        return tuple(
            self.shape.read(item, f"{path}[{index}]", problems) for index, item in enumerate(node.value)
        )

    def loosened(self, before: Any, after: Any, path: str, raises: Raises) -> list[str]:
        return [path] if before != after and raises is not Raises.NONE else []


def document_read(shape: Shape, node: Node) -> Any:
    """Return the values of a document.

    Raises
    ------
    DocumentError : every problem, with its place.
    """
    problems: list[Problem] = []
    values = shape.read(node, "", problems)
    if problems:
        raise DocumentError(problems)
    return values


def canonical(value: Any) -> Any:
    """Values as plain JSON: decimals as text, times as ISO; what is stored, hashed and compared."""
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {key: canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    return value


def _at(node: Node, path: str, message: str) -> Problem:
    return Problem(message, path, node.line, node.column)


def _plain(number: Decimal | int) -> str:
    return decimal_text(Decimal(number))


def _said(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    return (repr(value) if isinstance(value, str) else str(value))[:60]
