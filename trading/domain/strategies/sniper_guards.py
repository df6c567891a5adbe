"""Why a new listing is not bought now: one function, the reasons in a declared order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trading.domain.strategies.base import Observation

FINAL: Final = frozenset({"LATE", "BASELINE_UNKNOWN", "CHASE"})
"""Reasons that will not pass: the listing is given up."""


@dataclass(frozen=True, slots=True)
class EntryLimits:
    """What an entry needs; prices in quote currency, ages in market time since the listing."""

    delay_s: float
    lateness_s: float
    spread: float
    depth_quote: float
    chase: float


def entry_refused(
    seen: Observation, baseline: float, quiet_until_ns: int, limits: EntryLimits, *, missed: bool
) -> str:
    """Return the first reason against buying now, "" when there is none.

    In order: AGE_UNKNOWN, TOO_EARLY, LATE, NO_TWO_SIDED_BOOK, BASELINE_UNKNOWN, FIRST_PRICE_AWAITED, COOLING_DOWN,
    WIDE_SPREAD, THIN_BOOK, CHASE. The price that counts is the ask: it is what would be paid.

    Parameters
    ----------
    baseline : first price of the listing, 0.0 while it is not known.  missed : it never will be.
    quiet_until_ns : no entry before it.
    """
    age_s = seen.listing_age_s
    if age_s is None:
        return "AGE_UNKNOWN"
    if age_s < limits.delay_s:
        return "TOO_EARLY"
    if age_s > limits.lateness_s:
        return "LATE"
    if not two_sided(seen):
        return "NO_TWO_SIDED_BOOK"
    if baseline <= 0.0:
        return "BASELINE_UNKNOWN" if missed else "FIRST_PRICE_AWAITED"
    if seen.now_ns < quiet_until_ns:
        return "COOLING_DOWN"
    middle = (seen.bid + seen.ask) / 2.0
    if (seen.ask - seen.bid) / middle > limits.spread:
        return "WIDE_SPREAD"
    if min(seen.bid * seen.bid_size, seen.ask * seen.ask_size) < limits.depth_quote:
        return "THIN_BOOK"
    if seen.ask > baseline * (1.0 + limits.chase):
        return "CHASE"
    return ""


def two_sided(seen: Observation) -> bool:
    """Say whether both sides of the book are there, not crossed, with something on them."""
    return 0.0 < seen.bid < seen.ask and seen.bid_size > 0.0 and seen.ask_size > 0.0
