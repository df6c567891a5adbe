"""Exact integer quotients of products, the only arithmetic of the kernels that could overflow.

As plain Python these are one expression each. The compiled engine replaces them by versions that do the
same on 64-bit integers without overflowing (`machine.py`); a property test holds the two equal.
"""

from __future__ import annotations

from typing import Final

PARTS: Final = 100_000_000
"""Rates (fees, slippage, funding, bands) are whole parts of 1e-8."""

TARGET_ONE: Final = 1_000_000_000
"""Targets are whole parts of 1e-9 of the capital."""

NO_LIMIT: Final = 2**62
"""Above every amount a kernel can meet; all amounts stay below it, so sums of two never overflow."""


def mul_div(a: int, b: int, c: int) -> int:
    """Return floor(a * b / c) for a, b of 0 to 2^62 and c of 1 to 2^62; the result must be below 2^62."""
    return a * b // c


def mul_div_up(a: int, b: int, c: int) -> int:
    """Return ceil(a * b / c), for the same range as `mul_div`."""
    return -(-a * b // c)
