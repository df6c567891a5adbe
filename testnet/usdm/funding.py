"""The funding rate: from the premium of a perpetual over its index to what longs pay shorts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from testnet.usdm.contracts import INTEREST_8H, Perpetual
from testnet.values import SCALE

DAMPER = SCALE * 5 // 10_000  # the clamp's half width, 0.05 %
IMPACT_MARGIN = 200 * SCALE  # of quote; times the highest leverage it is the impact notional
_REFERENCE_HOURS = 8


class FundingRow(NamedTuple):
    """One settled funding: the rate as a fraction times 1e8, the mark price in 1e-8 units."""

    time_ms: int
    rate: int
    mark: int


@dataclass(slots=True)
class PremiumAverage:
    """The time-weighted mean of one interval's premiums: the n-th sample weighs n."""

    weighted: int = 0
    count: int = 0

    def add(self, premium: int) -> None:
        """Count the next sample (a fraction times 1e8)."""
        self.count += 1
        self.weighted += premium * self.count

    def value(self) -> int:
        """The mean, rounded down; 0 without a sample."""
        if not self.count:
            return 0
        return self.weighted // (self.count * (self.count + 1) // 2)

    def become(self, mean: int) -> None:
        """Let every sample until now have been this; later ones weigh as they would have."""
        self.count = max(1, self.count)
        self.weighted = mean * (self.count * (self.count + 1) // 2)

    def clear(self) -> None:
        """Begin the next interval."""
        self.weighted = self.count = 0


def premium_index(impact_bid: int, impact_ask: int, index: int) -> int:
    """How far the perpetual stands off its index, as a fraction times 1e8.

    P = (max(0, impact bid - index) - max(0, index - impact ask)) / index; prices in 1e-8 units.

    Source: the venue's introduction to funding rates.
    """
    if index <= 0:
        return 0
    return (max(0, impact_bid - index) - max(0, index - impact_ask)) * SCALE // index


def funding_rate(premium: int, terms: Perpetual) -> int:
    """The rate of one interval from its mean premium, both fractions times 1e8.

    F = (P + clamp(I - P, -0.05 %, 0.05 %)) / (8 / N) with I = 0.01 % per eight hours and N the interval in
    hours, held within the contract's cap and floor.

    Source: the venue's introduction to funding rates.
    """
    per_8h = premium + max(-DAMPER, min(DAMPER, INTEREST_8H - premium))
    rate = per_8h * terms.funding_hours // _REFERENCE_HOURS
    return max(terms.funding_floor, min(terms.funding_cap, rate))


def premium_for(rate: int, terms: Perpetual) -> int:
    """A mean premium at which the interval comes to this rate, both fractions times 1e8; `funding_rate` undone.

    Raises
    ------
    ValueError : beyond the contract's cap or floor.
    """
    if not terms.funding_floor <= rate <= terms.funding_cap:
        raise ValueError(f"expected {terms.funding_floor} to {terms.funding_cap}, was {rate}")
    per_8h = rate * _REFERENCE_HOURS // terms.funding_hours
    if per_8h == INTEREST_8H:
        return INTEREST_8H
    return per_8h + DAMPER if per_8h > INTEREST_8H else per_8h - DAMPER


def impact_notional(terms: Perpetual) -> int:
    """The quote amount whose average execution price is the impact price, in 1e-8 units."""
    return IMPACT_MARGIN * terms.max_leverage
