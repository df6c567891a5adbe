"""An instrument as whole numbers: what the kernels need of its scale and filters."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final, NamedTuple

from trading.domain.backtest.arithmetic import PARTS
from trading.domain.values import UNITS, Instrument, Market

MAX_TICKS: Final = 4_000_000_000
"""Highest price: five times its double in parts of 1e-8 (the percent-price band) still fits 64 bits."""


class Scale(NamedTuple):
    """Filters in ticks and steps; a bound of zero is no bound.

    One tick times one step is `num` / `den` quote units of 1e-8 (for USDT pairs `den` is 1). `min_value`
    and `max_value` are notionals in 1/den of a quote unit, so that they compare exactly with
    ticks x steps x num. `lot_steps` is the market lot in steps. The percent-price bounds are in parts of
    1e-8. A tick is `tick_num` / `tick_den` of the quote currency, a step
    `step_num` / `step_den` of the base. `futures` is 1 for USD-M.
    """

    num: int
    den: int
    tick_num: int
    tick_den: int
    step_num: int
    step_den: int
    min_ticks: int
    max_ticks: int
    min_steps: int
    max_steps: int
    market_min_steps: int
    market_max_steps: int
    lot_steps: int
    min_value: int
    max_value: int
    min_for_market: int
    max_for_market: int
    bid_up: int
    bid_down: int
    ask_up: int
    ask_down: int
    max_open_orders: int
    futures: int


@lru_cache(maxsize=1024)
def scale_of(instrument: Instrument) -> Scale:
    """Return the scale of an instrument.

    Raises
    ------
    ValueError : a market lot that is no multiple of the step, or a bound finer than 1e-8.
    """
    tick, step = Fraction(instrument.tick_size), Fraction(instrument.step_size)
    unit = tick * step * UNITS
    lot = 1
    if instrument.market_step_size:
        ratio = Fraction(instrument.market_step_size) / step
        if ratio.denominator != 1:
            raise ValueError(
                f"{instrument.symbol}: market lot {instrument.market_step_size} is no multiple of the "
                f"step {instrument.step_size}"
            )
        lot = ratio.numerator
    return Scale(
        num=unit.numerator,
        den=unit.denominator,
        tick_num=tick.numerator,
        tick_den=tick.denominator,
        step_num=step.numerator,
        step_den=step.denominator,
        min_ticks=_up(instrument.min_price, tick),
        max_ticks=_down(instrument.max_price, tick),
        min_steps=_up(instrument.min_quantity, step),
        max_steps=_down(instrument.max_quantity, step),
        market_min_steps=_up(instrument.market_min_quantity, step),
        market_max_steps=_down(instrument.market_max_quantity, step),
        lot_steps=lot,
        min_value=_up(instrument.min_notional, Fraction(1, UNITS * unit.denominator)),
        max_value=_down(instrument.max_notional, Fraction(1, UNITS * unit.denominator)),
        min_for_market=int(instrument.apply_min_to_market),
        max_for_market=int(instrument.apply_max_to_market),
        **_percent_price(instrument),
        max_open_orders=instrument.max_open_orders,
        futures=int(instrument.market is Market.usdm),
    )


def notional(scale: Scale, ticks: int, steps: int) -> int:
    """Return price times quantity in quote units, a fraction of a unit counted as a whole one.

    As `Instrument.notional_units`.
    """
    value = ticks * steps * scale.num
    # A quotient costs machine code more than all the rest of this, and for USDT pairs there is none.
    return value if scale.den == 1 else -(-value // scale.den)


def market_value(scale: Scale, steps: int, ticks: int) -> int:
    """Return signed steps at a price in quote units, rounded down; as `portfolio.market_value`."""
    value = steps * ticks * scale.num
    return value if scale.den == 1 else value // scale.den


def base_quantity(scale: Scale, steps: int) -> float:
    """Return signed steps in base currency, for strategies: the float nearest to the decimal quantity."""
    return steps * scale.step_num / scale.step_den


def _up(value: Decimal, unit: Fraction) -> int:
    return math.ceil(Fraction(value) / unit)


def _down(value: Decimal, unit: Fraction) -> int:
    return math.floor(Fraction(value) / unit)


def _percent_price(instrument: Instrument) -> dict[str, int]:
    names = ("bid_up", "bid_down", "ask_up", "ask_down")
    if instrument.percent_price is None:
        return dict.fromkeys(names, 0)
    bounds = {}
    for name, value in zip(names, instrument.percent_price, strict=True):
        parts = Fraction(value) * PARTS
        if parts.denominator != 1:
            raise ValueError(f"{instrument.symbol}: percent price bound {value} is finer than 1e-8")
        bounds[name] = parts.numerator
    return bounds
