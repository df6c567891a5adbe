"""What a backtest assumes: costs, sizes, fills, limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import Any

from trading.domain.backtest.arithmetic import PARTS
from trading.domain.backtest.costs import CostTable
from trading.domain.backtest.limits import NO_LOSSES, LossLimits
from trading.domain.risk import RiskLimits
from trading.domain.values import decimal_text, to_units

BPS = 10_000


class FillMode(StrEnum):
    """Where a market order decided at a bar's close fills.

    next_open : at the open of the first bar after it and after the latency.
    same_close : at that very close, which nobody can do; for comparison with other programs only.
    """

    next_open = "next_open"
    same_close = "same_close"


class SizeRule(StrEnum):
    """What a target of 1 means.

    fraction : equity at the decision, less room for the collar and the fee, times the strategy's share.
    allocation : a fixed capital in quote currency times the share, as live.
    quantity : a fixed base quantity times the share.
    """

    fraction = "fraction"
    allocation = "allocation"
    quantity = "quantity"


@dataclass(frozen=True, slots=True)
class Costs:
    """Rates in basis points of the notional; a positive one is a cost.

    Attributes
    ----------
    taker_bps, maker_bps : commission.
    slippage_bps : of market orders against the touch; the half spread where there is impact.
    impact : factor y of y x sigma_day x sqrt(quantity / volume of a day); 0 is none.
    maintenance_bps : USD-M maintenance margin.
    """

    taker_bps: Decimal = Decimal(10)
    maker_bps: Decimal = Decimal(10)
    slippage_bps: Decimal = Decimal(0)
    impact: Decimal = Decimal(0)
    maintenance_bps: Decimal = Decimal(40)

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not value.is_finite() or not 0 <= value < BPS:
                raise ValueError(f"expected {name} of 0 to below {BPS}, was {value}")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a run depends on besides bars and strategies.

    Attributes
    ----------
    cash : at the start, quote currency.
    size, size_amount : what a target of 1 means; capital or base quantity where the rule needs one.
    long_only : a negative target is taken as 0; on spot it always is.
    latency_bars, latency_ns : how much later than at once an order reaches the venue; the later counts.
    limits : the rails' limits; without them only balance, filters and collar bind.
    losses : limits on what the account loses.
    groups : symbols that move together, by the name of their group; each group shares one cap.
    market_collar_bps : how far beyond the touch a market order may trade.
    rebalance_band : fraction of the target within which drift alone does not trade.
    max_child : largest order in quote currency; None is no bound.
    leverage : USD-M, highest gross exposure over equity.
    touch_fills : resting orders fill when touched; otherwise only when traded through.
    """

    cash: Decimal = Decimal(100_000)
    fill: FillMode = FillMode.next_open
    costs: Costs = field(default_factory=Costs)
    size: SizeRule = SizeRule.fraction
    size_amount: Decimal | None = None
    long_only: bool = False
    latency_bars: int = 0
    latency_ns: int = 0
    limits: RiskLimits | None = None
    losses: LossLimits = NO_LOSSES
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    market_collar_bps: int = 20
    rebalance_band: Decimal = Decimal("0.10")
    max_child: Decimal | None = None
    leverage: Decimal = Decimal(1)
    touch_fills: bool = False

    def __post_init__(self) -> None:
        if not self.cash.is_finite() or self.cash <= 0:
            raise ValueError(f"expected positive cash, was {self.cash}")
        if (self.size is SizeRule.fraction) != (self.size_amount is None):
            raise ValueError(f"size rule {self.size} and amount {self.size_amount} do not go together")
        for name in ("size_amount", "max_child", "leverage"):
            value = getattr(self, name)
            if value is not None and (not value.is_finite() or value <= 0):
                raise ValueError(f"expected a positive {name}, was {value}")
        if self.latency_bars < 0 or self.latency_ns < 0:
            raise ValueError(f"expected no negative latency, was {self.latency_bars} and {self.latency_ns}")
        if self.fill is FillMode.same_close and (self.latency_bars or self.latency_ns):
            raise ValueError("a fill at the same close leaves no time for latency")
        if not self.rebalance_band.is_finite() or not 0 <= self.rebalance_band < 1:
            raise ValueError(f"expected a band of 0 to below 1, was {self.rebalance_band}")
        if not 0 <= self.market_collar_bps < BPS:
            raise ValueError(f"expected a collar of 0 to {BPS - 1} bps, was {self.market_collar_bps}")
        if self.costs.slippage_bps > self.market_collar_bps:
            raise ValueError(
                f"slippage of {self.costs.slippage_bps} bps is beyond the collar of {self.market_collar_bps}"
            )

    def cost_table(self) -> CostTable:
        """Return the costs as the kernels take them."""
        return CostTable(
            taker=_parts(self.costs.taker_bps / BPS),
            maker=_parts(self.costs.maker_bps / BPS),
            slippage=_parts(self.costs.slippage_bps / BPS),
            collar_bps=self.market_collar_bps,
            maintenance=_parts(self.costs.maintenance_bps / BPS),
            impact=float(self.costs.impact),
        )

    @property
    def band_parts(self) -> int:
        """The rebalance band in parts of 1e-8."""
        return _parts(self.rebalance_band)

    @property
    def max_child_units(self) -> int:
        """The largest order in quote units, 0 where there is no bound."""
        return 0 if self.max_child is None else to_units(self.max_child)

    @property
    def usable_parts(self) -> int:
        """The part of the equity a full target may use, in parts of 1e-8, under the fraction rule."""
        return _usable(self.market_collar_bps, self.costs.taker_bps)

    def as_json(self) -> dict[str, Any]:
        """Return plain data that identifies the assumptions; numbers as text."""
        return {
            "cash": decimal_text(self.cash),
            "fill": self.fill.value,
            "costs": {name: decimal_text(getattr(self.costs, name)) for name in Costs.__slots__},
            "size": self.size.value,
            "size_amount": None if self.size_amount is None else decimal_text(self.size_amount),
            "long_only": self.long_only,
            "latency_bars": self.latency_bars,
            "latency_ns": self.latency_ns,
            "limits": None if self.limits is None else limits_json(self.limits),
            **({} if self.losses == NO_LOSSES else {"losses": self.losses.as_json()}),
            **({"groups": {n: list(s) for n, s in sorted(self.groups.items())}} if self.groups else {}),
            "market_collar_bps": self.market_collar_bps,
            "rebalance_band": decimal_text(self.rebalance_band),
            "max_child": None if self.max_child is None else decimal_text(self.max_child),
            "leverage": decimal_text(self.leverage),
            "touch_fills": self.touch_fills,
        }


def limits_json(limits: RiskLimits) -> dict[str, int]:
    """Return limits as plain data."""
    return {name: getattr(limits, name) for name in RiskLimits.__slots__}


# Fractions are exact and slow: of the hundreds of runs of a sweep each would take as long for them as for its loop.
@lru_cache(maxsize=256)
def _usable(collar_bps: int, taker_bps: Decimal) -> int:
    return int(PARTS / (1 + Fraction(collar_bps, BPS) + Fraction(taker_bps) / BPS))


@lru_cache(maxsize=256)
def _parts(rate: Decimal) -> int:
    parts = Fraction(rate) * PARTS
    if parts.denominator != 1:
        raise ValueError(f"{rate} is finer than 1e-8")
    return parts.numerator
