"""From a target to a quantity: the planner's arithmetic on whole numbers.

The same answers as `trading.domain.planner.plan` for market orders in flight and targets in parts of 1e-9.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trading.domain.backtest.arithmetic import PARTS, TARGET_ONE, mul_div
from trading.domain.backtest.scale import Scale

MAX_CHILDREN: Final = 20
"""As `planner.MAX_CHILDREN`: the rest of a large parent follows at a later bar."""


def wanted_steps(scale: Scale, capital: int, target: int, price: int) -> int:
    """Return the signed steps that a fraction of a capital buys, cut towards zero.

    Parameters
    ----------
    capital : quote units.  target : parts of 1e-9, signed.  price : ticks, positive.
    """
    if target == 0 or capital <= 0:
        return 0
    # Floors nest: cutting to whole 1/den units first does not change the cut to whole steps.
    steps = mul_div(capital * scale.den, abs(target), TARGET_ONE) // (price * scale.num)
    return steps if target > 0 else -steps


def netted_steps(scale: Scale, wants: Sequence[tuple[int, int]], price: int) -> int:
    """Return the signed steps that several (capital, target) pairs want together, cut towards zero once.

    On spot a negative target counts as zero before netting, so it never eats into another's holding.
    """
    total = 0
    for capital, target in wants:
        if target > 0 or scale.futures == 1:
            total += max(capital, 0) * target
    steps = abs(total) * scale.den // (TARGET_ONE * price * scale.num)
    return steps if total > 0 else -steps


def fixed_steps(quantity: int, target: int) -> int:
    """Return the signed steps of a target where full exposure is a fixed quantity in steps."""
    steps = mul_div(quantity, abs(target), TARGET_ONE)
    return steps if target > 0 else -steps


def planned_steps(
    scale: Scale, wanted: int, position: int, in_flight: int, price: int, band: int, max_child: int
) -> tuple[int, int]:
    """Return the signed steps to send now, and in how many orders of equal size.

    Parameters
    ----------
    wanted, position, in_flight : signed steps; what is in flight cannot be called back.
    price : ticks the quantity was valued at.
    band : parts of 1e-8 of the target within which drift alone does not trade.
    max_child : largest order in quote units at `price`, 0 for no bound.
    """
    difference = wanted - position
    if difference == 0:
        return 0, 0
    sign = 1 if difference > 0 else -1
    covered = in_flight * sign
    missing = difference * sign - covered
    if covered < 0 or missing <= 0 or missing <= mul_div(abs(wanted), band, PARTS):
        return 0, 0
    smallest = scale.min_steps
    if scale.market_min_steps > smallest:
        smallest = scale.market_min_steps
    if missing < smallest or missing * price * scale.num < scale.min_value:
        return 0, 0
    largest = missing
    if max_child > 0:
        largest = min(largest, max_child * scale.den // (price * scale.num))
    if 0 < scale.max_steps < largest:
        largest = scale.max_steps
    if 0 < scale.market_max_steps < largest:
        largest = scale.market_max_steps
    if largest == missing:
        return sign * missing, 1
    if largest <= 0 or largest < smallest or largest * price * scale.num < scale.min_value:
        return 0, 0
    count = -(-missing // largest)
    if count > MAX_CHILDREN:
        return sign * largest * MAX_CHILDREN, MAX_CHILDREN
    return sign * missing, count


def child_steps(steps: int, count: int, number: int) -> int:
    """Return the size of one of `count` orders that share `steps` equally; the first carry the rest."""
    return steps // count + (1 if number < steps % count else 0)
