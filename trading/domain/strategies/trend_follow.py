"""Trend following: Donchian breakout blended with time-series momentum, volatility target, ATR stop.

At the close of bar t, with s the side of the Donchian channel (`channel.py`; bar t is not part of the channel)
and m the mean over three look-backs L of sign(C_t - C_t-L):

    signal = w s + (1 - w) m
    target = clip(signal * volatility target / EWMA volatility, +-cap)

The stop starts `stop_atr` average true ranges from the close of the entry and is only ever drawn closer. A bar that
trades through it ends the position; the side then stays shut until a fresh breakout, or until the signal has
left it.

Sources: Moskowitz, Ooi & Pedersen (2012), J. Financ. Econ. 104, 228-250; Wilder (1978) for the ATR; the channel
and the stop of two ATR(20) are those of the Turtle rules.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple

from trading.domain.clock import NS_PER_S, interval_ns
from trading.domain.strategies.average_true_range import TrueRange, next_true_range
from trading.domain.strategies.base import Bar, Desired, Observation, Protection, Strategy
from trading.domain.strategies.channel import channel_side
from trading.domain.strategies.compiled import CompiledStep
from trading.domain.strategies.exposure import banded_target
from trading.domain.strategies.parameters import ParameterError, parameter
from trading.domain.strategies.trend_rules import drawn_stop, side_shut, sign, stop_was_hit
from trading.domain.strategies.trend_step import HEADER, REASONS, trend_step
from trading.domain.strategies.volatility import (
    ReturnSpread,
    annual_volatility,
    next_return_spread,
    volatility_target,
)

YEAR_NS: Final = 365 * 86_400 * NS_PER_S
"""The market never closes: a year has 365 trading days."""


@dataclass(frozen=True, slots=True)
class TrendFollowParams:
    """Windows in bars. The default look-backs are 7, 28 and 80 days of 4h bars."""

    entry: int = parameter(55, ge=2, le=2_000, unit="bars", help="channel whose break opens a side")
    exit: int = parameter(20, ge=1, le=2_000, unit="bars", help="channel whose break closes it")
    channel_weight: float = parameter(
        0.5, ge=0.0, le=1.0, help="weight of the channel in the signal; the rest is momentum"
    )
    momentum_short: int = parameter(42, ge=1, le=10_000, unit="bars", help="shortest momentum look-back")
    momentum_medium: int = parameter(168, ge=1, le=10_000, unit="bars", help="middle momentum look-back")
    momentum_long: int = parameter(480, ge=1, le=10_000, unit="bars", help="longest momentum look-back")
    volatility: float = parameter(
        0.25, ge=0.01, le=2.0, unit="a year", help="volatility that a full signal aims at"
    )
    volatility_mass: float = parameter(
        60.0, ge=1.0, le=5_000.0, unit="bars", help="centre of mass of the volatility's weights"
    )
    cap: float = parameter(1.0, ge=0.01, le=1.0, help="largest exposure, fraction of the capital")
    band: float = parameter(0.1, ge=0.0, le=0.5, help="smaller changes of the target are not traded")
    atr_window: int = parameter(20, ge=1, le=1_000, unit="bars", help="window of the average true range")
    stop_atr: float = parameter(2.0, ge=0.0, le=20.0, unit="ATR", help="distance of the stop; 0 is no stop")
    allow_short: bool = parameter(False, help="be short, not flat, in a falling market; futures only")

    def __post_init__(self) -> None:
        if self.exit > self.entry:
            raise ParameterError("exit", f"expected exit of at most entry, were {self.exit} and {self.entry}")
        if not self.momentum_short <= self.momentum_medium <= self.momentum_long:
            raise ParameterError(
                "momentum_medium",
                "expected look-backs in ascending order, were "
                f"{self.momentum_short}, {self.momentum_medium} and {self.momentum_long}",
            )

    @property
    def lookbacks(self) -> tuple[int, int, int]:
        """The three momentum look-backs, bars."""
        return self.momentum_short, self.momentum_medium, self.momentum_long


class TrendState(NamedTuple):
    """What is remembered between bars.

    Attributes
    ----------
    highs, lows : of the entry window.  closes : of the longest look-back.
    channel : side of the channel.  target : in force.  stop : in force, 0.0 for none.
    shut : side that was stopped out of and waits for a fresh signal, else 0.
    """

    highs: tuple[float, ...] = ()
    lows: tuple[float, ...] = ()
    closes: tuple[float, ...] = ()
    true_range: tuple[Any, ...] = TrueRange()
    spread: tuple[float, ...] = ReturnSpread()
    channel: int = 0
    target: float = 0.0
    stop: float = 0.0
    shut: int = 0


def _vector(params: TrendFollowParams, interval: str) -> tuple[float, ...]:
    return (
        float(params.entry),
        float(params.exit),
        params.channel_weight,
        *(float(back) for back in params.lookbacks),
        params.volatility,
        params.volatility_mass,
        params.cap,
        params.band,
        float(params.atr_window),
        params.stop_atr,
        float(params.allow_short),
        YEAR_NS / interval_ns(interval),
    )


def _state_size(params: TrendFollowParams) -> int:
    return HEADER + 2 * params.entry + params.momentum_long


class TrendFollow(Strategy):
    """Follow the trend with a size that the market's volatility sets, and a stop behind it."""

    name: ClassVar[str] = "trend_follow"
    Params: ClassVar[type] = TrendFollowParams
    compiled: ClassVar[CompiledStep | None] = CompiledStep(
        trend_step, _vector, _state_size, REASONS, by_interval=True
    )

    def warmup(self, params: TrendFollowParams) -> int:
        """Return the bars until channel, momentum and true range are full."""
        return max(params.entry, params.momentum_long, params.atr_window) + 1

    def initial(self, params: TrendFollowParams) -> tuple[Any, ...]:
        """Return empty windows."""
        return TrendState()

    def step(
        self, params: TrendFollowParams, state: tuple[Any, ...], observation: Observation
    ) -> tuple[tuple[Any, ...], Desired | None]:
        """Decide at a closed bar; other triggers change nothing."""
        if observation.trigger != "bar":
            return state, None
        before, bar = TrendState(*state), observation.bar
        fresh = _remember(before, bar, params)
        if len(before.closes) < params.momentum_long or len(before.highs) < params.entry:
            return fresh, None
        if fresh.true_range[0] <= params.atr_window:
            return fresh, None
        fresh = fresh._replace(
            channel=channel_side(
                before.channel, before.highs, before.lows, bar.close, params.entry, params.exit
            )
        )
        momentum = sum(sign(bar.close - before.closes[-back]) for back in params.lookbacks) / 3.0
        signal = params.channel_weight * fresh.channel + (1.0 - params.channel_weight) * momentum
        stopped = stop_was_hit(before.target, before.stop, bar.high, bar.low)
        shut = side_shut(before.shut, before.target, stopped, signal, _breakout(before, bar, params))
        periods = YEAR_NS / interval_ns(observation.interval)
        volatility = annual_volatility(ReturnSpread(*fresh.spread), periods)
        wanted = volatility_target(signal, params.volatility, volatility, params.cap)
        if not params.allow_short:
            wanted = max(0.0, wanted)
        if shut and wanted * shut > 0.0:
            wanted = 0.0
        target = 0.0 if stopped else banded_target(before.target, wanted, params.band)
        stop = drawn_stop(
            before.target, before.stop, target, bar.close, fresh.true_range[2] * params.stop_atr
        )
        fresh = fresh._replace(target=target, stop=stop, shut=shut)
        features = {
            "channel": float(fresh.channel),
            "momentum": momentum,
            "signal": signal,
            "volatility": volatility,
            "atr": fresh.true_range[2],
        }
        return fresh, Desired(
            target,
            confidence=min(1.0, abs(signal)),
            reason=_reason(target, shut, volatility),
            protection=Protection(stop=stop) if stop > 0.0 else None,
            features=features,
        )


def _remember(before: TrendState, bar: Bar, params: TrendFollowParams) -> TrendState:
    spread = ReturnSpread(*before.spread)
    if before.closes:
        spread = next_return_spread(spread, math.log(bar.close / before.closes[-1]), params.volatility_mass)
    return before._replace(
        highs=(*before.highs, bar.high)[-params.entry :],
        lows=(*before.lows, bar.low)[-params.entry :],
        closes=(*before.closes, bar.close)[-params.momentum_long :],
        true_range=next_true_range(
            TrueRange(*before.true_range), bar.high, bar.low, bar.close, params.atr_window
        ),
        spread=spread,
    )


def _breakout(before: TrendState, bar: Bar, params: TrendFollowParams) -> int:
    return channel_side(0, before.highs, before.lows, bar.close, params.entry, params.exit)


def _reason(target: float, shut: int, volatility: float) -> str:
    if target > 0.0:
        return "TREND_LONG"
    if target < 0.0:
        return "TREND_SHORT"
    if shut:
        return "STOPPED_OUT"
    return "NO_TREND" if volatility > 0.0 else "NO_VOLATILITY"
