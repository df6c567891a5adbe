"""Whole steps in proportion to weights: of an order over strategies, of a fill over owners."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction


def split_steps(total: int, weights: Sequence[Decimal | Fraction | int]) -> tuple[int, ...]:
    """Split a whole number of steps in proportion to weights, exactly: largest remainder, ties in order.

    Raises
    ------
    ValueError : a weight or the total is negative, or there is something to split and no weight.
    """
    exact = [Fraction(weight) for weight in weights]
    if total < 0 or any(weight < 0 for weight in exact):
        raise ValueError("expected a total and weights of zero or more")
    whole = sum(exact, start=Fraction(0))
    if total == 0:
        return (0,) * len(exact)
    if whole == 0:
        raise ValueError(f"cannot split {total} steps over no weight")
    quotas = [weight * total / whole for weight in exact]
    parts = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(parts)), key=lambda i: (parts[i] - quotas[i], i))
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return tuple(parts)
