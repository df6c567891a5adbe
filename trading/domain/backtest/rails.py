"""The rails an order meets in a backtest, on whole numbers, in the declared order of `risk.RAILS`.

A verdict is 0 for "may go" or the number of the rail that stops it, counted from 1 in `CODES`. The rails
about live knowledge (kill level, price age, reconciliation and so on) pass by construction and are left
out; a property test holds the rest equal to the live rails.
"""

from __future__ import annotations

from typing import Final

from trading.domain.backtest.arithmetic import NO_LIMIT, PARTS, mul_div, mul_div_up
from trading.domain.backtest.fold import reserve
from trading.domain.backtest.limits import MILLION, LimitTable, Use, demanded
from trading.domain.backtest.scale import Scale, notional

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
"""The rail `free_balance` on USD-M: the initial margin of what the order adds."""

UNFILLED: Final = 14
"""Not a rail: the order went out and nothing of it filled inside its collar."""

EXPOSURE_STRATEGY_SYMBOL: Final = 15
NET_ACCOUNT: Final = 16
NET_GLOBAL: Final = 17
EXPOSURE_GROUP: Final = 18
OPEN_ORDERS_STRATEGY: Final = 19
ORDER_RATE_STRATEGY: Final = 20
STRATEGY_ENABLED: Final = 21
ACCOUNT_MODE: Final = 22
MARKET_ORDER: Final = 23
MARGIN_USE: Final = 24
LIQUIDATION_DISTANCE: Final = 25
REPEATED_EXECUTION: Final = 26
NEAR_DUPLICATE: Final = 27
SELF_TRADE: Final = 28
DAILY_LOSS: Final = 29
DRAWDOWN: Final = 30
LOSS_STREAK: Final = 31
LOSS_COOLDOWN: Final = 32
SENDS_PER_DECISION: Final = 33
OVERRIDE: Final = 34

CODES: Final = (
    *("venue_filter", "price_collar", "min_notional", "max_notional", "max_quantity"),
    *("exposure_symbol", "exposure_strategy", "exposure_account", "exposure_global"),
    *("free_balance", "open_orders", "order_rate", "margin", "unfilled"),
    *("exposure_strategy_symbol", "net_account", "net_global", "exposure_group"),
    *("open_orders_strategy", "order_rate_strategy", "strategy_enabled", "account_mode", "market_order"),
    *("margin_use", "liquidation_distance", "repeated_execution", "near_duplicate", "self_trade"),
    *("daily_loss", "drawdown", "loss_streak", "loss_cooldown", "sends_per_decision", "override"),
)
"""Names of the verdicts; verdict n is `CODES[n - 1]`. Their own numbers, not those of the live chain: compiled code
keeps a number it was compiled with, whatever is put into the chain afterwards. New ones go to the end."""


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


def net_passes(carried: int, buy: int, sell: int, side: int, value: int, cap: int) -> bool:
    """Tell whether an order leaves a net exposure inside its cap, or no larger than it could become already.

    Parameters
    ----------
    carried : signed quote units.  buy, sell : what open orders may add.
    """
    before = max(abs(carried + buy), abs(carried - sell))
    if side > 0:
        after = max(abs(carried + buy + value), abs(carried - sell))
    else:
        after = max(abs(carried + buy), abs(carried - sell - value))
    return after <= cap or after <= before


def judge_capacity(
    scale: Scale,
    limits: LimitTable,
    side: int,
    value: int,
    touch: int,
    position: int,
    added: int,
    shrinks: bool,
    use: Use,
) -> int:
    """Return the verdict of the rails about room in the buckets and for margin; see `judge`.

    Parameters
    ----------
    added : quote units the order adds to every gross bucket.  shrinks : whether it only reduces the position.
    """
    if added > 0:
        if use.symbol + added > limits.exposure_symbol:
            return EXPOSURE_SYMBOL
        if use.strategy + added > limits.exposure_strategy:
            return EXPOSURE_STRATEGY
        if use.strategy_symbol + added > limits.exposure_strategy_symbol:
            return EXPOSURE_STRATEGY_SYMBOL
        if use.account + added > limits.exposure_account:
            return EXPOSURE_ACCOUNT
    if not shrinks and not net_passes(
        use.net_account, use.account_buy, use.account_sell, side, value, limits.net_account
    ):
        return NET_ACCOUNT
    if added > 0 and use.everything + added > limits.exposure_global:
        return EXPOSURE_GLOBAL
    if not shrinks and not net_passes(
        use.net_global, use.global_buy, use.global_sell, side, value, limits.net_global
    ):
        return NET_GLOBAL
    if added > 0 and use.group + added > limits.exposure_group:
        return EXPOSURE_GROUP
    if added > 0 and scale.futures == 1:
        held = notional(scale, touch, abs(position)) + added
        needed = use.maintenance + mul_div_up(held, limits.maintenance, PARTS)
        # needed / balance > limit, without a quotient that could be anything.
        if limits.margin_ratio < NO_LIMIT and (
            use.balance <= 0 or needed > mul_div(min(limits.margin_ratio, MILLION), use.balance, MILLION)
        ):
            return MARGIN_USE
        move = min(limits.liquidation_distance, MILLION)
        if move > 0 and use.balance < use.at_limit + demanded(held, side < 0, limits.maintenance, move):
            return LIQUIDATION_DISTANCE
    return ALLOWED


def judge_conduct(limits: LimitTable, side: int, ticks: int, use: Use, shrinks: bool) -> int:
    """Return the verdict of the rails about counts, repetition and own orders; see `judge`."""
    if not shrinks:
        if use.open_orders + 1 > limits.max_open_orders:
            return OPEN_ORDERS
        if use.open_orders_strategy + 1 > limits.max_open_orders_strategy:
            return OPEN_ORDERS_STRATEGY
    if use.sent + 1 > limits.orders_per_minute:
        return ORDER_RATE
    if use.sent_strategy + 1 > limits.orders_per_minute_strategy:
        return ORDER_RATE_STRATEGY
    if use.executions >= limits.repeated_executions and not shrinks:
        return REPEATED_EXECUTION
    if use.near_age_ns < limits.near_window_ns:
        return NEAR_DUPLICATE
    if use.crossing > 0 and side * (ticks - use.crossing) >= 0:
        return SELF_TRADE
    return ALLOWED


def judge_losses(limits: LimitTable, use: Use) -> int:
    """Return the verdict of the rails about losses on an order that does not only reduce; see `judge`."""
    if use.loss > limits.loss or use.loss_strategy > limits.loss_strategy:
        return DAILY_LOSS
    if use.drawdown > limits.drawdown or use.drawdown_strategy > limits.drawdown_strategy:
        return DRAWDOWN
    if use.streak > limits.streak:
        return LOSS_STREAK
    if use.loss_age_ns < limits.cooldown_ns:
        return LOSS_COOLDOWN
    return ALLOWED


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
    use: Use,
) -> int:
    """Return the verdict on an order.

    Parameters
    ----------
    side : +1 or -1.  ticks : its limit.  steps : quantity.  value : notional at `ticks`, quote units.
    market : 1 for a market order.  touch : bid and ask alike, ticks.  position : signed steps held.
    cash : quote units free, which for USD-M means equity times leverage less what is in use.
    """
    signed = side * steps
    held = position - use.open_sell if side < 0 else -position - use.open_buy
    shrinks = 0 < steps <= held
    if limits.in_force == 1 and not shrinks:
        if use.off == 1:
            return STRATEGY_ENABLED
        if scale.futures == 1 and limits.over_leveraged == 1:
            return ACCOUNT_MODE
    # The planner marks what only reduces, so the rail REDUCE_ONLY always passes here.
    if not passes_filters(scale, side, ticks, steps, touch, use.open_orders, market, 1 if shrinks else 0):
        return VENUE_FILTER
    beyond = side * (ticks - touch) * 10_000
    if beyond > limits.collar_bps * touch:
        return PRICE_COLLAR
    added = 0
    if limits.in_force == 1 or scale.futures == 1:
        added = reserve(position, signed, value, use.open_buy, use.open_sell)
    if limits.in_force == 1:
        if market == 1 and beyond > limits.slippage_bps * touch:
            return MARKET_ORDER
        if value < limits.min_notional and not shrinks:
            return MIN_NOTIONAL
        if value > limits.max_notional:
            return MAX_NOTIONAL
        if steps > limits.max_steps:
            return MAX_QUANTITY
        verdict = judge_capacity(scale, limits, side, value, touch, position, added, shrinks, use)
        if verdict != ALLOWED:
            return verdict
    if scale.futures == 1:
        if added > 0 and added > cash:
            return MARGIN
    elif (value > cash) if side > 0 else (steps > position):
        return FREE_BALANCE
    if limits.in_force == 1:
        verdict = judge_conduct(limits, side, ticks, use, shrinks)
        if verdict != ALLOWED:
            return verdict
        if limits.measured == 1 and not shrinks:
            verdict = judge_losses(limits, use)
            if verdict != ALLOWED:
                return verdict
        if use.sends + 1 > limits.sends_per_decision:
            return SENDS_PER_DECISION
        if value > limits.soft_notional and not shrinks:
            return OVERRIDE
    return ALLOWED
