"""What trading costs: fees, slippage, funding; integers in, integers out."""

from __future__ import annotations

import math
from typing import NamedTuple

from trading.domain.backtest.arithmetic import PARTS, mul_div, mul_div_up
from trading.domain.backtest.scale import Scale, notional


class CostTable(NamedTuple):
    """Rates in parts of 1e-8 of the notional; see `settings.Costs` for what they mean.

    `collar_bps` is how far beyond the touch a market order may trade; `impact` is the factor y of
    y x sigma_day x sqrt(quantity / daily volume), 0.0 for none.
    """

    taker: int
    maker: int
    slippage: int
    collar_bps: int
    maintenance: int
    impact: float


def fee(quote: int, rate: int) -> int:
    """Return the commission on a fill in quote units, cut to the unit as the venue cuts it."""
    return mul_div(quote, rate, PARTS)


def slipped(amount: int, side: int, rate: int) -> int:
    """Return the quote units of a fill moved against us by `rate`; a part of a unit counts against us."""
    moved = mul_div_up(amount, rate, PARTS)
    return amount + moved if side > 0 else amount - moved


def impact_rate(costs: CostTable, steps: int, daily_steps: float, sigma_day: float) -> int:
    """Return half spread plus impact of a market order as a rate, rounded up.

    Parameters
    ----------
    steps : of the order.  daily_steps : volume of the last day in steps, before the order.
    sigma_day : volatility of a day as a fraction.

    Source: square-root impact, y about 1; Almgren et al. (2005), Risk 18(7).
    """
    if costs.impact <= 0.0:
        return costs.slippage
    if daily_steps <= 0.0:
        return costs.collar_bps * (PARTS // 10_000)  # nothing traded for a day: as bad as the order allows
    moved = costs.impact * sigma_day * math.sqrt(steps / daily_steps) * PARTS
    ceiling = costs.collar_bps * (PARTS // 10_000)
    return costs.slippage + math.ceil(moved) if moved < ceiling else ceiling + 1


def fillable_steps(costs: CostTable, steps: int, daily_steps: float, sigma_day: float) -> int:
    """Return how much of a market order fills before its price leaves the collar.

    The order is an IOC limit at the collar: what would move the price beyond it expires.
    """
    ceiling = costs.collar_bps * (PARTS // 10_000)
    if impact_rate(costs, steps, daily_steps, sigma_day) <= ceiling:
        return steps
    if daily_steps <= 0.0 or sigma_day <= 0.0 or ceiling <= costs.slippage:
        return 0
    share = (ceiling - costs.slippage) / (costs.impact * sigma_day * PARTS)
    return min(steps, int(daily_steps * share * share))


def funding_payment(scale: Scale, position: int, mark: int, rate: int) -> int:
    """Return what a funding time costs, in quote units: longs pay a positive rate, shorts receive it.

    Parameters
    ----------
    position : signed steps held through it.  mark : ticks.  rate : signed parts of 1e-8.
    A part of a unit counts against us.
    """
    value = notional(scale, mark, abs(position))
    if (position > 0) == (rate > 0):
        return mul_div_up(value, abs(rate), PARTS)
    return -mul_div(value, abs(rate), PARTS)


def collared_ticks(touch: int, side: int, collar_bps: int) -> int:
    """Return the protective limit of a market order; as `router.collared_ticks`."""
    if side > 0:
        return touch * (10_000 + collar_bps) // 10_000
    return -(-touch * (10_000 - collar_bps) // 10_000)
