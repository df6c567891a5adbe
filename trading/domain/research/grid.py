"""Parameter grids: `fast=5:50:5 slow=20:200:20 allow_short=true,false`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import product
from typing import Any, Final

from trading.domain.strategies import ParameterError, parameter_schema, parse_params
from trading.domain.values import written_decimal

MOST_COMBINATIONS: Final = 1_000_000


class GridError(ValueError):
    """A grid cannot be read or is too large; the text says which part and why."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Names with the texts of their values, in the order given; the last name varies fastest."""

    axes: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def size(self) -> int:
        """How many combinations there are, the contradictory ones included."""
        return math.prod(len(values) for _, values in self.axes)

    def __iter__(self) -> Iterator[dict[str, str]]:
        names = [name for name, _ in self.axes]
        for values in product(*(values for _, values in self.axes)):
            yield dict(zip(names, values, strict=True))


@dataclass(frozen=True, slots=True)
class Candidate:
    """One combination that makes valid parameters. `number` is its place in the grid, from 0."""

    number: int
    values: dict[str, str]
    params: Any


@dataclass(frozen=True, slots=True)
class Candidates:
    """The valid combinations, and how many contradict themselves (such as fast >= slow)."""

    valid: tuple[Candidate, ...]
    skipped: int


def parse_grid(parts: Sequence[str]) -> Grid:
    """Read `name=first:last[:step]` (both ends included) or `name=a,b,c` or `name=a`.

    Ranges are stepped in decimals, so 0.1:0.5:0.1 has five values.

    Raises
    ------
    GridError : a part that is not of that form, a name twice, a step that never arrives, or too many.
    """
    axes: dict[str, tuple[str, ...]] = {}
    for part in parts:
        name, equals, text = part.partition("=")
        if not (equals and name.isidentifier() and text):
            raise GridError(f"expected name=first:last:step or name=a,b,c, was {part!r}")
        if name in axes:
            raise GridError(f"{name} is given twice")
        axes[name] = _range(name, text) if ":" in text else _list(name, text)
    if not axes:
        raise GridError("expected at least one name=values")
    grid = Grid(tuple(axes.items()))
    if grid.size > MOST_COMBINATIONS:
        raise GridError(f"{grid.size:,} combinations are more than {MOST_COMBINATIONS:,}")
    return grid


def candidates(grid: Grid, params: type, fixed: Mapping[str, Any] | None = None) -> Candidates:
    """Return the combinations the parameter class accepts; contradictions between fields are skipped.

    Raises
    ------
    GridError : an unknown name, a value of the wrong type or outside its bounds, a name that is both fixed
        and in the grid, or nothing left.
    """
    fixed = dict(fixed or {})
    for name, _ in grid.axes:
        if name in fixed:
            raise GridError(f"{name} is both fixed and in the grid")
    # Each value on its own must be acceptable: a typo may not silently shrink the grid.
    for name, values in grid.axes:
        for value in values:
            _check_alone(params, name, value)
    for name, value in fixed.items():
        _check_alone(params, name, value)
    valid, skipped = [], 0
    for number, chosen in enumerate(grid):
        try:
            parsed: Any = parse_params(params, {**fixed, **chosen})
        except ParameterError:
            skipped += 1
        else:
            valid.append(Candidate(number, chosen, parsed))
    if not valid:
        raise GridError("every combination contradicts itself")
    return Candidates(tuple(valid), skipped)


def _check_alone(params: type, name: str, value: Any) -> None:
    try:
        parse_params(params, {name: value})
    except ParameterError as error:
        # Contradictions with the defaults of other fields are judged in combination; they either carry no
        # field name or one whose own bounds accept the value.
        if _is_contradiction(params, name, value):
            return
        raise GridError(str(error)) from error


def _is_contradiction(params: type, name: str, value: Any) -> bool:
    entry = parameter_schema(params)["properties"].get(name)
    if entry is None or entry["type"] not in ("integer", "number"):
        return False
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return False
    if not number.is_finite() or (entry["type"] == "integer" and number != number.to_integral_value()):
        return False
    above = "minimum" not in entry or number >= Decimal(str(entry["minimum"]))
    return above and ("maximum" not in entry or number <= Decimal(str(entry["maximum"])))


def _list(name: str, text: str) -> tuple[str, ...]:
    values = tuple(value.strip() for value in text.split(","))
    if not all(values):
        raise GridError(f"{name}: an empty value in {text!r}")
    if len(set(values)) != len(values):
        raise GridError(f"{name}: a value is given twice in {text!r}")
    return values


def _range(name: str, text: str) -> tuple[str, ...]:
    fields = text.split(":")
    if len(fields) not in (2, 3):
        raise GridError(f"{name}: expected first:last:step, was {text!r}")
    try:
        first, last = written_decimal(fields[0].strip()), written_decimal(fields[1].strip())
        step = written_decimal(fields[2].strip()) if len(fields) == 3 else Decimal(1)
    except ValueError:
        raise GridError(f"{name}: expected numbers in {text!r}") from None
    if not (step > 0 and last >= first):
        raise GridError(f"{name}: expected first <= last and a positive step, was {text!r}")
    count = int((last - first) / step) + 1
    if count > MOST_COMBINATIONS:
        raise GridError(f"{name}: {count:,} values are more than {MOST_COMBINATIONS:,}")
    return tuple(f"{first + step * i:f}" for i in range(count))
