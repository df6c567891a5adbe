"""What makes an instrument a perpetual contract: margin brackets, bands and funding terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from testnet.values import SCALE

PERPETUAL_DELIVERY_MS = 4_133_404_800_000  # how the venue writes "never"
MINUTE_MS = 60_000
INTEREST_8H = SCALE // 10_000  # 0.01 % per eight hours


@dataclass(frozen=True, slots=True)
class Bracket:
    """One step of the leverage table; notionals in 1e-8 units of quote, `ratio` a fraction times 1e8.

    `cum` is what makes maintenance margin continuous: notional * ratio - cum, in 1e-8 units of quote.
    """

    number: int
    leverage: int
    floor: int
    cap: int
    ratio: int
    cum: int


@dataclass(frozen=True, slots=True)
class Perpetual:
    """Terms of one perpetual; fractions are in 1e-8 units (0.05 is 5,000,000)."""

    price_precision: int
    quantity_precision: int
    onboard_ms: int
    liquidation_fee: int
    market_take_bound: int
    trigger_protect: int
    # PERCENT_PRICE: limit prices stay within these factors of the mark price.
    multiplier_up: int
    multiplier_down: int
    brackets: tuple[Bracket, ...]
    funding_hours: int
    funding_cap: int
    funding_floor: int
    max_algo_orders: int = 10
    contract_type: str = "PERPETUAL"
    underlying_type: str = "COIN"
    underlying_sub_types: tuple[str, ...] = ()
    delivery_ms: int = PERPETUAL_DELIVERY_MS

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Perpetual:
        """Read what `dataclasses.asdict` wrote, also after it went through JSON."""
        brackets = tuple(Bracket(**row) for row in raw["brackets"])
        return cls(
            **{**raw, "brackets": brackets, "underlying_sub_types": tuple(raw["underlying_sub_types"])}
        )

    @property
    def funding_ms(self) -> int:
        """Length of a funding interval."""
        return self.funding_hours * 60 * MINUTE_MS

    @property
    def max_leverage(self) -> int:
        """Leverage of the lowest bracket."""
        return self.brackets[0].leverage

    def bracket_of(self, notional: int) -> Bracket:
        """The bracket a notional (1e-8 units of quote, absolute) falls into; the last one above them all."""
        for bracket in self.brackets:
            if notional < bracket.cap:
                return bracket
        return self.brackets[-1]

    def maintenance(self, notional: int) -> int:
        """Maintenance margin of a notional, both in 1e-8 units of quote; rounded up."""
        bracket = self.bracket_of(notional)
        return max(0, -(-notional * bracket.ratio // SCALE) - bracket.cum)

    def max_notional(self, leverage: int) -> int:
        """The largest position value this leverage allows, in 1e-8 units of quote; 0 above the table."""
        return max((row.cap for row in self.brackets if row.leverage >= leverage), default=0)

    def next_funding_ms(self, after_ms: int) -> int:
        """The first funding time later than a moment; intervals count from midnight UTC."""
        return after_ms // self.funding_ms * self.funding_ms + self.funding_ms


def make_brackets(steps: tuple[tuple[int, int, str], ...], top: int) -> tuple[Bracket, ...]:
    """Brackets from (floor in quote, leverage, maintenance ratio in percent) and the last one's cap.

    `cum` follows from continuity at every floor: cum_i = cum_(i-1) + floor_i * (ratio_i - ratio_(i-1)).
    """
    rows: list[Bracket] = []
    for index, (floor, leverage, percent) in enumerate(steps):
        whole, _, fraction = percent.partition(".")
        ratio = int(whole + fraction.ljust(6, "0")[:6])  # percent with six decimals is a fraction with eight
        cap = steps[index + 1][0] if index + 1 < len(steps) else top
        cum = rows[-1].cum + floor * (ratio - rows[-1].ratio) if rows else 0
        rows.append(Bracket(index + 1, leverage, floor * SCALE, cap * SCALE, ratio, cum))
    return tuple(rows)
