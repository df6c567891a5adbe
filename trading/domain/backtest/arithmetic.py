"""Exact integer quotients of products, the only arithmetic of the kernels that could overflow.

As plain Python these are one expression each. The compiled engine replaces them by versions that do the
same on 64-bit integers without overflowing (`machine.py`); a property test holds the two equal.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, TypeVar

Record = TypeVar("Record", bound=tuple[Any, ...])

PARTS: Final = 100_000_000
"""Rates (fees, slippage, funding, bands) are whole parts of 1e-8."""

TARGET_ONE: Final = 1_000_000_000
"""Targets are whole parts of 1e-9 of the capital."""

NO_LIMIT: Final = 2**62
"""Above every amount a kernel can meet; all amounts stay below it, so sums of two never overflow."""


def slotted(record: Record) -> Record:
    """Return an object with the members of a named tuple, for functions that only read them by name.

    Machine code takes named tuples apart. Interpreted, a member of one costs four times a slot.
    """
    names: tuple[str, ...] = record._fields  # type: ignore[attr-defined]
    view: Any = _slots(type(record).__name__, names)()
    for name, value in zip(names, record, strict=True):
        setattr(view, name, value)
    return view  # type: ignore[no-any-return]


@lru_cache
def _slots(name: str, names: tuple[str, ...]) -> type:
    return type(name, (), {"__slots__": names})


def mul_div(a: int, b: int, c: int) -> int:
    """Return floor(a * b / c) for a, b of 0 to 2^62 and c of 1 to 2^62; the result must be below 2^62."""
    return a * b // c


def mul_div_up(a: int, b: int, c: int) -> int:
    """Return ceil(a * b / c), for the same range as `mul_div`."""
    return -(-a * b // c)
