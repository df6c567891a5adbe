"""What a run reads: bars, funding, strategies with their shares and limits, assumptions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from trading.domain.backtest.arithmetic import PARTS, mul_div
from trading.domain.backtest.limits import NO_LOSSES, LimitTable, LossLimits, limit_table
from trading.domain.backtest.series import BarSeries, FundingSeries
from trading.domain.backtest.settings import Settings, SizeRule, limits_json
from trading.domain.risk import RiskLimits
from trading.domain.strategies import Strategy
from trading.domain.values import Market, to_units


@dataclass(frozen=True, slots=True)
class Assignment:
    """A strategy on an instrument: its parameters and its share of the capital, parts of 1e-8.

    Attributes
    ----------
    limits : in force for its orders, where they are not those of the settings.
    losses : limits on what the strategy loses, on all its instruments.
    """

    symbol: str
    strategy: Strategy
    params: Any
    share: int = PARTS
    limits: RiskLimits | None = None
    losses: LossLimits = NO_LOSSES


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run reads: one series per instrument, the strategies on them, funding.

    Attributes
    ----------
    slower : slower intervals to show beside those that the strategies ask for.
    """

    series: Sequence[BarSeries]
    assignments: Sequence[Assignment]
    settings: Settings = field(default_factory=Settings)
    funding: Mapping[str, FundingSeries] = field(default_factory=dict)
    slower: Sequence[str] = ()

    def __post_init__(self) -> None:
        symbols = [s.symbol for s in self.series]
        if not symbols or len(set(symbols)) != len(symbols):
            raise ValueError(f"expected one series for each instrument, were {', '.join(symbols) or 'none'}")
        if len({s.instrument.market for s in self.series}) > 1:
            raise ValueError("an account holds spot or futures, not both")
        if {a.symbol for a in self.assignments} != set(symbols):
            raise ValueError("expected at least one strategy on every instrument, and none elsewhere")
        for symbol, funding in self.funding.items():
            if symbol not in symbols:
                raise ValueError(f"funding of {symbol}, which is not part of the run")
            if len(funding.times_ns) and self.series[0].instrument.market is not Market.usdm:
                raise ValueError("only perpetuals have funding")
        for one in self.assignments:
            told = self.funding.get(one.symbol)
            if one.strategy.reads_funding(one.params) and (told is None or not len(told.times_ns)):
                raise ValueError(f"{one.strategy.name} reads the funding rate of {one.symbol}: none is given")
        shares = [(a.symbol, a.share) for a in self.assignments]
        # Capital is one for the account; a fixed quantity is one for each symbol.
        by_symbol = self.settings.size is SizeRule.quantity
        for symbol in symbols if by_symbol else [""]:
            if sum(share for name, share in shares if not by_symbol or name == symbol) > PARTS:
                of = f"the quantity of {symbol}" if by_symbol else "the capital"
                raise ValueError(f"the shares of the strategies sum to more than {of}")

    def slower_of(self, symbol: str) -> tuple[str, ...]:
        """Slower intervals shown on an instrument: asked for by its strategies or by the run, each once."""
        asked = [a.strategy.slower_intervals(a.params) for a in self.assignments if a.symbol == symbol]
        return tuple(dict.fromkeys((*self.slower, *(name for names in asked for name in names))))

    def limit_table(self, assignment: Assignment) -> LimitTable:
        """Return the limits in force for the orders of a strategy on an instrument."""
        settings = self.settings
        limits = assignment.limits or settings.limits
        named = [a for a in self.assignments if a.strategy.name == assignment.strategy.name]
        series = next(s for s in self.series if s.symbol == assignment.symbol)
        if settings.size is SizeRule.allocation and settings.size_amount is not None:
            base = to_units(settings.size_amount)
        else:
            base = to_units(settings.cash)
        return limit_table(
            limits,
            series.instrument.step_units,
            account=settings.losses,
            strategy=assignment.losses,
            capital=mul_div(base, min(PARTS, sum(a.share for a in named)), PARTS),
            maintenance=settings.cost_table().maintenance,
            leverage=int(settings.leverage * PARTS),
            grouped=any(assignment.symbol in symbols for symbols in settings.groups.values()),
        )

    def header(self) -> dict[str, Any]:
        """Return what the run is made of as plain data, content by digest."""
        return {
            "series": [
                {
                    "symbol": s.symbol,
                    "market": s.instrument.market.value,
                    "interval": s.interval,
                    "bars": len(s),
                    "sha256": s.digest,
                }
                for s in self.series
            ],
            "funding": {symbol: _funding_digest(f) for symbol, f in sorted(self.funding.items())},
            "strategies": [
                {
                    "symbol": a.symbol,
                    "strategy": a.strategy.name,
                    "params": asdict(a.params),
                    "share": a.share,
                    **({} if a.limits is None else {"limits": limits_json(a.limits)}),
                    **({} if a.losses == NO_LOSSES else {"losses": a.losses.as_json()}),
                }
                for a in self.assignments
            ],
            "slower": list(self.slower),
            "settings": self.settings.as_json(),
        }


def _funding_digest(funding: FundingSeries) -> str:
    sha = hashlib.sha256()
    for column in (funding.times_ns, funding.rates, funding.marks):
        sha.update(np.ascontiguousarray(column).astype("<i8").tobytes())
    return sha.hexdigest()
