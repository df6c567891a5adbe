"""The rails an order meets in a backtest, on whole numbers, in the declared order of `risk.RAILS`.

A verdict is 0 for "may go" or the number of the rail that stops it, counted from 1 in `CODES`. The rails
about live knowledge (kill level, price age, reconciliation and so on) pass by construction and are left
out; a property test holds the rest equal to the live rails.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from trading.domain.backtest.arithmetic import NO_LIMIT, PARTS, mul_div
from trading.domain.backtest.fold import reserve
from trading.domain.backtest.scale import Scale
from trading.domain.risk import RiskLimits

ALLOWED: Final = 0
VENUE_FILTER: Final = 1
PRICE_COLLAR: Final = 2
MIN_NOTIONAL: Final = 3
MAX_NOTIONAL: Final = 4
MAX_QUANTITY: Final = 5
EXPOSURE_SYMBOL: Final = 6
EXPOSURE_STRATEGY: Final = 7
EXPOSURE_ACCOUNT: Final = 8
EXPOSURE_GLOBAL: Final = 9
FREE_BALANCE: Final = 10
OPEN_ORDERS: Final = 11
ORDER_RATE: Final = 12

MARGIN: Final = 13
"""USD-M in place of the balance: the position after the order must fit equity times leverage."""

UNFILLED: Final = 14
"""Not a rail: the order went out and nothing of it filled inside its collar."""

CODES: Final = (
    *("venue_filter", "price_collar", "min_notional", "max_notional", "max_quantity"),
    *("exposure_symbol", "exposure_strategy", "exposure_account", "exposure_global"),
    *("free_balance", "open_orders", "order_rate", "margin", "unfilled"),
)
"""Names of the verdicts; verdict n is `CODES[n - 1]`. Their own numbers, not those of the live chain: compiled code
keeps a number it was compiled with, whatever is put into the chain afterwards."""


class LimitTable(NamedTuple):
    """Limits in force, as whole numbers; see `RiskLimits`. `max_steps` is its max_quantity in steps."""

    min_notional: int
    max_notional: int
    max_steps: int
    exposure_symbol: int
    exposure_strategy: int
    exposure_account: int
    exposure_global: int
    orders_per_minute: int
    max_open_orders: int
    collar_bps: int


def limit_table(limits: RiskLimits | None, step_units: int) -> LimitTable:
    """Return the table of some limits; without limits only the collar of 100 % binds."""
    if limits is None:
        return LimitTable(
            0, NO_LIMIT, NO_LIMIT, NO_LIMIT, NO_LIMIT, NO_LIMIT, NO_LIMIT, NO_LIMIT, NO_LIMIT, 10_000
        )
    return LimitTable(
        min_notional=limits.min_notional,
        max_notional=limits.max_notional,
        max_steps=limits.max_quantity // step_units,
        exposure_symbol=limits.exposure_symbol,
        exposure_strategy=limits.exposure_strategy,
        exposure_account=limits.exposure_account,
        exposure_global=limits.exposure_global,
        orders_per_minute=limits.orders_per_minute,
        max_open_orders=limits.max_open_orders,
        collar_bps=limits.collar_bps,
    )


def passes_filters(
    scale: Scale, side: int, ticks: int, steps: int, touch: int, open_orders: int, market: int, reducing: int
) -> bool:
    """Tell whether the venue's filters take an order; as `filters.check_filters`.

    Parameters
    ----------
    ticks : limit, or protective limit of a market order.  touch : bid and ask alike, ticks.
    market : 1 for a market order.  reducing : 1 for one marked reduce-only.
    """
    if ticks <= 0 or ticks < scale.min_ticks or (scale.max_ticks > 0 and ticks > scale.max_ticks):
        return False
    if steps <= 0 or steps < scale.min_steps or (scale.max_steps > 0 and steps > scale.max_steps):
        return False
    if market == 1 and (
        steps < scale.market_min_steps
        or (scale.market_max_steps > 0 and steps > scale.market_max_steps)
        or (scale.lot_steps > 1 and steps % scale.lot_steps != 0)
    ):
        return False
    value = ticks * steps * scale.num
    exempt = reducing == 1 and scale.futures == 1
    if value < scale.min_value and not exempt and (scale.min_for_market == 1 or market == 0):
        return False
    if 0 < scale.max_value < value and (scale.max_for_market == 1 or market == 0):
        return False
    up, down = (scale.bid_up, scale.bid_down) if side > 0 else (scale.ask_up, scale.ask_down)
    if (up > 0 and ticks * PARTS > up * touch) or (down > 0 and ticks * PARTS < down * touch):
        return False
    return not 0 < scale.max_open_orders < open_orders + 1


def judge(
    scale: Scale,
    limits: LimitTable,
    side: int,
    ticks: int,
    steps: int,
    value: int,
    market: int,
    touch: int,
    position: int,
    cash: int,
    open_orders: int,
    sent_last_minute: int,
    used_symbol: int,
    used_strategy: int,
    used_account: int,
    used_global: int,
) -> int:
    """Return the verdict on an order when nothing else of ours is in flight on the symbol.

    Parameters
    ----------
    side : +1 or -1.  ticks : its limit.  steps : quantity.  value : notional at `ticks`, quote units.
    touch : bid and ask alike, ticks.  position : signed steps held.
    cash : quote units free, which for USD-M means equity times leverage less what is in use.
    used_* : quote units the buckets hold.
    """
    signed = side * steps
    shrinks = 0 < steps <= -side * position
    # The planner marks what only reduces, so the rail REDUCE_ONLY always passes here.
    if not passes_filters(scale, side, ticks, steps, touch, open_orders, market, 1 if shrinks else 0):
        return VENUE_FILTER
    if side * (ticks - touch) * 10_000 > limits.collar_bps * touch:
        return PRICE_COLLAR
    if value < limits.min_notional and not shrinks:
        return MIN_NOTIONAL
    if value > limits.max_notional:
        return MAX_NOTIONAL
    if steps > limits.max_steps:
        return MAX_QUANTITY
    added = reserve(position, signed, value)
    if added > 0:
        if used_symbol + added > limits.exposure_symbol:
            return EXPOSURE_SYMBOL
        if used_strategy + added > limits.exposure_strategy:
            return EXPOSURE_STRATEGY
        if used_account + added > limits.exposure_account:
            return EXPOSURE_ACCOUNT
        if used_global + added > limits.exposure_global:
            return EXPOSURE_GLOBAL
    if scale.futures == 1:
        if not shrinks and mul_div(value, abs(position + signed), steps) > cash:
            return MARGIN
    elif (value > cash) if side > 0 else (steps > position):
        return FREE_BALANCE
    if open_orders + 1 > limits.max_open_orders and not shrinks:
        return OPEN_ORDERS
    if sent_last_minute + 1 > limits.orders_per_minute:
        return ORDER_RATE
    return ALLOWED
