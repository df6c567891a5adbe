"""What a person asks of a backtest, checked and turned into the inputs of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_site.common.errors import ApplicationError
from trading.domain.backtest import Assignment, BarSeries, Costs, FillMode, Inputs, Settings, SizeRule
from trading.domain.backtest.arithmetic import PARTS
from trading.domain.research.legs import AskedLeg
from trading.domain.values import Market
from trading.services.backtests.bars import series_load
from trading.services.backtests.funding import funding_read, funding_stored
from trading.services.backtests.legs import leg_load, leg_shares
from trading.services.backtests.limits import AskedLimits, limits_freeze, limits_of

SPOT_FEE_BPS = Decimal(10)
FUTURES_FEE_BPS = Decimal(5)
"""Binance's fees without discounts; an account's own come from the venue."""

NO_LIMITS = AskedLimits()

MARKET_COLLAR_BPS = 20
"""As the limit `market_slippage` of a new installation."""


@dataclass(frozen=True, slots=True)
class BacktestRequest:
    """One strategy on one symbol, and what else trades the same account.

    Amounts are in quote currency, rates in basis points. `legs` trade beside the first strategy, on bars of the same
    interval and market. A target of 1 is `quantity` base units, or `allocation`, or else the equity.

    Attributes
    ----------
    funding : a file of the first symbol's rates; without one, perpetuals pay what is stored of theirs.
    stored_funding : False leaves that out.
    """

    strategy: str
    symbol: str
    interval: str
    market: str = "spot"
    start: datetime | None = None
    end: datetime | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    cash: Decimal = Decimal(100_000)
    quantity: Decimal | None = None
    allocation: Decimal | None = None
    fill: FillMode = FillMode.next_open
    long_only: bool = False
    fee_bps: Decimal | None = None
    slippage_bps: Decimal = Decimal(0)
    impact: Decimal = Decimal(0)
    latency_bars: int = 0
    leverage: Decimal = Decimal(1)
    funding: Path | None = None
    stored_funding: bool = True
    share: Decimal | None = None
    legs: tuple[AskedLeg, ...] = ()
    limits: AskedLimits = NO_LIMITS

    @property
    def all_legs(self) -> tuple[AskedLeg, ...]:
        """Everything that trades, the first strategy first."""
        return (AskedLeg(self.strategy, self.symbol, self.params, self.share), *self.legs)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Inputs of a run and notes for the person who asked."""

    inputs: Inputs
    params: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def legs(self) -> list[dict[str, Any]]:
        """Everything that trades as plain data; empty for a single strategy."""
        every = self.inputs.assignments
        if len(every) == 1:
            return []
        return [
            {
                "strategy": a.strategy.name,
                "symbol": a.symbol,
                "params": asdict(a.params),
                "share": a.share / PARTS,
            }
            for a in every
        ]


def backtest_prepare(request: BacktestRequest) -> Prepared:
    """Load strategy and bars and check the assumptions.

    Raises
    ------
    ApplicationError : codes UNKNOWN_STRATEGY, BAD_PARAMETER, BAD_REQUEST; and those of `series_load`.
    """
    legs = request.all_legs
    loaded = [leg_load(leg) for leg in legs]
    shares = leg_shares(legs, by_symbol=request.quantity is not None)
    every: dict[str, BarSeries] = {}
    notes: tuple[str, ...] = ()
    for symbol in dict.fromkeys(leg.symbol for leg in legs):
        every[symbol], told = series_load(
            symbol,
            request.interval,
            request.market,
            start=request.start,
            end=request.end,
            quantity=request.quantity,
        )
        notes += told if len(legs) == 1 else tuple(f"{symbol}: {note}" for note in told)
    params = loaded[0][1]
    series = every[request.symbol]
    default = SPOT_FEE_BPS if request.market == "spot" else FUTURES_FEE_BPS
    taker = default if request.fee_bps is None else request.fee_bps
    # A market order may trade as far beyond the touch as it is assumed to slip.
    collar = max(MARKET_COLLAR_BPS, math.ceil(request.slippage_bps))
    kinds = [(leg.strategy, leg.symbol) for leg in legs]
    limits = limits_of(limits_freeze(request.limits, kinds, request.market))
    judged: dict[str, Any] = {}
    if limits is not None:
        collar = limits.collar_bps if request.limits.account else min(collar, limits.collar_bps)
        judged = {"losses": limits.losses, "groups": limits.groups, "max_child": limits.max_child}
    try:
        if request.quantity is not None and request.allocation is not None:
            raise ValueError("a target of 1 is a quantity or an allocation, not both")
        settings = Settings(
            cash=request.cash,
            fill=request.fill,
            costs=Costs(
                taker_bps=taker, maker_bps=taker, slippage_bps=request.slippage_bps, impact=request.impact
            ),
            size=_size_rule(request),
            size_amount=request.allocation if request.quantity is None else request.quantity,
            long_only=request.long_only,
            latency_bars=request.latency_bars,
            market_collar_bps=collar,
            leverage=request.leverage,
            **judged,
        )
        settings.cost_table()
        if request.quantity is not None:
            for one in every.values():
                one.instrument.steps(request.quantity)
        funding = {}
        if request.stored_funding:
            stored = {one.symbol: funding_stored(one) for one in every.values()}
            funding = {name: rates for name, rates in stored.items() if len(rates.times_ns)}
        if request.funding is not None:
            funding[series.symbol] = funding_read(request.funding, series.instrument.tick_size)
        elif request.market == Market.usdm.value and not funding:
            notes += ("no funding is paid: none is stored; see manage.py funding --help",)
        assignments = [
            Assignment(leg.symbol, kind, values, share, *(() if limits is None else limits.legs[at]))
            for at, (leg, (kind, values), share) in enumerate(zip(legs, loaded, shares, strict=True))
        ]
        inputs = Inputs(list(every.values()), assignments, settings, funding)
    except ValueError as error:
        raise ApplicationError("BAD_REQUEST", str(error)) from None
    if request.fill is FillMode.same_close:
        notes += ("same_close fills at the price that made the decision: for comparison only",)
    for leg, (kind, values) in zip(legs, loaded, strict=True):
        count, needed = len(every[leg.symbol]), kind.warmup(values)
        if count < needed:
            notes += (f"{count} bars are fewer than the {needed} the strategy warms up on",)
    if request.limits:
        notes += (_judged_by(request.limits),)
    shown = {name: getattr(params, name) for name in type(params).__dataclass_fields__}
    return Prepared(inputs, shown, notes)


def _size_rule(request: BacktestRequest) -> SizeRule:
    if request.quantity is not None:
        return SizeRule.quantity
    return SizeRule.fraction if request.allocation is None else SizeRule.allocation


def _judged_by(limits: AskedLimits) -> str:
    changed = ", ".join(f"{name} {value}" for name, value in limits.values.items())
    if not limits.account:
        return f"judged by {changed}; no other limit"
    return f"judged by the limits of {limits.account}" + (f", but {changed}" if changed else "")
