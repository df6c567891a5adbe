"""One market order of the backtester from rails to fill: the order path, on whole numbers."""

from __future__ import annotations

from trading.domain.backtest.arithmetic import PARTS
from trading.domain.backtest.costs import (
    CostTable,
    collared_ticks,
    fee,
    fillable_steps,
    impact_rate,
    slipped,
)
from trading.domain.backtest.fold import reserve
from trading.domain.backtest.limits import LimitTable, Use
from trading.domain.backtest.rails import ALLOWED, FREE_BALANCE, UNFILLED, VENUE_FILTER, judge
from trading.domain.backtest.scale import Scale, notional


def trade_market(
    scale: Scale,
    limits: LimitTable,
    costs: CostTable,
    side: int,
    steps: int,
    touch: int,
    position: int,
    cash: int,
    use: Use,
    daily_steps: float,
    sigma_day: float,
) -> tuple[int, int, int, int, int, int]:
    """Send a market order as an IOC limit inside the collar and fill it at the touch, worse by the slippage.

    Parameters
    ----------
    As `rails.judge` and `costs.impact_rate`; `touch` is the only price known at that moment.

    Returns
    -------
    (verdict, steps filled, quote, fee, slippage, reserved); money in quote units. Nothing is filled unless
    the verdict is ALLOWED.
    """
    if scale.lot_steps > 1:
        steps -= steps % scale.lot_steps
    limit = collared_ticks(touch, side, costs.collar_bps)
    if steps <= 0 or limit <= 0:
        return VENUE_FILTER, 0, 0, 0, 0, 0
    value = notional(scale, limit, steps)
    verdict = judge(
        scale,
        limits,
        side,
        limit,
        steps,
        value,
        1,
        touch,
        position,
        cash,
        use,
    )
    if verdict != ALLOWED:
        return verdict, 0, 0, 0, 0, 0
    rate = costs.slippage
    if costs.impact > 0.0:
        steps = fillable_steps(costs, steps, daily_steps, sigma_day)
        if steps <= 0:
            return UNFILLED, 0, 0, 0, 0, 0
        rate = min(impact_rate(costs, steps, daily_steps, sigma_day), costs.collar_bps * (PARTS // 10_000))
        value = notional(scale, limit, steps)
    amount = notional(scale, touch, steps)
    quote, slippage = amount, 0
    if rate > 0:
        quote = slipped(amount, side, rate)
        slippage = abs(quote - amount)
    commission = fee(quote, costs.taker)
    if side > 0 and scale.futures == 0 and quote + commission > cash:
        # The rails leave the commission out, as live, where the venue takes it from what was bought.
        return FREE_BALANCE, 0, 0, 0, 0, 0
    # Without limits nothing is reserved: what the fill cost is carried, where others have limits.
    reserved = reserve(position, side * steps, value) if limits.in_force == 1 else 0
    return ALLOWED, steps, quote, commission, slippage, reserved
