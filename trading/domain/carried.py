"""Whose part of a position's caps changes when an order of several strategies fills."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

ZERO = Decimal(0)
SMALLEST = Decimal("1E-8")


def carried_split(
    carried_by: dict[str, str], weights: Mapping[str, int], delta: Decimal
) -> dict[str, Decimal]:
    """Whose carried notional changes: those the order is for, by their weights, as its fills are split.

    Nobody releases more than it carries; what is left over, and what nobody asked for by name (a weight of zero), is
    released by all pro rata.
    """
    parts = _weighted(weights, delta)
    if delta >= 0:
        return parts if delta else {}
    held = {name: Decimal(text) for name, text in carried_by.items()}
    if not any(weights.values()):
        parts = {}
    changes = {name: max(part, -max(held.get(name, ZERO), ZERO)) for name, part in parts.items()}
    left = delta - sum(changes.values(), ZERO)
    after = {name: amount + changes.get(name, ZERO) for name, amount in held.items()}
    total = sum(after.values(), ZERO)
    if left and total > 0:
        for name, amount in after.items():
            changes[name] = changes.get(name, ZERO) + (left * amount / total).quantize(SMALLEST)
    rest = delta - sum(changes.values(), ZERO)
    if rest:
        last = max(held or weights, key=lambda name: after.get(name, ZERO))
        changes[last] = changes.get(last, ZERO) + rest
    return {name: change for name, change in changes.items() if change}


def _weighted(weights: Mapping[str, int], delta: Decimal) -> dict[str, Decimal]:
    """An amount by weights, equally where all are zero; the largest takes what rounding leaves."""
    counted = dict(weights) if any(weights.values()) else dict.fromkeys(weights, 1)
    total = sum(counted.values())
    parts = {name: (delta * weight / total).quantize(SMALLEST) for name, weight in counted.items()}
    largest = max(counted, key=lambda name: counted[name])
    parts[largest] += delta - sum(parts.values(), ZERO)
    return parts
