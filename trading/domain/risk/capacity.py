"""Rails about room: exposure caps, margin, balances, open orders and rates, pending orders counted.

An order that raises no exposure passes every cap, full or not: a cap never blocks the order that would
relieve it (W6).
"""

from __future__ import annotations

from typing import Final

from trading.domain.margin import liquidating_move, maintenance_of, with_order
from trading.domain.risk.answers import AMOUNT, SHARE, allowed, amount, denied, seconds, share
from trading.domain.risk.checks import (
    NetExposure,
    OrderCheck,
    RailResult,
    RiskContext,
    order_quantity,
    order_reserve,
    reduces,
)
from trading.domain.risk.reasons import DenyReason
from trading.domain.values import Market, Side

_MINUTE_S: Final = 60.0
_MILLION: Final = 1_000_000


def _cap(
    rail: str, code: DenyReason, order: OrderCheck, context: RiskContext, used: int, cap: int
) -> RailResult:
    unit = context.instrument.quote_asset
    reserve = order_reserve(order, context)
    after = used + reserve
    if reserve == 0 or after <= cap:
        return allowed(rail, after, cap, unit, AMOUNT)
    detail = (
        f"{amount(used)} {unit} in use and {amount(reserve)} more would be {amount(after)}, "
        f"at most {amount(cap)}"
    )
    return denied(rail, code, after, cap, unit, detail, scale=AMOUNT)


def exposure_symbol(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny above the symbol's gross exposure cap (P19)."""
    return _cap(
        "exposure_symbol",
        DenyReason.EXPOSURE_SYMBOL,
        order,
        context,
        context.used_symbol,
        context.limits.exposure_symbol,
    )


def exposure_strategy(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny above the strategy's capital (P20); a person's own order belongs to no strategy."""
    if order.strategy is None:
        return allowed("exposure_strategy", None, None, context.instrument.quote_asset)
    return _cap(
        "exposure_strategy",
        DenyReason.EXPOSURE_STRATEGY,
        order,
        context,
        context.used_strategy,
        context.limits.exposure_strategy,
    )


def exposure_strategy_symbol(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny above what one strategy may expose in one symbol (P20); a person's own order belongs to no strategy."""
    if order.strategy is None:
        return allowed("exposure_strategy_symbol", None, None, context.instrument.quote_asset)
    return _cap(
        "exposure_strategy_symbol",
        DenyReason.EXPOSURE_STRATEGY,
        order,
        context,
        context.used_strategy_symbol,
        context.limits.exposure_strategy_symbol,
    )


def exposure_group(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny above the gross exposure cap of any group of symbols that move together (P23)."""
    cap = context.limits.exposure_group
    fullest = max(context.groups, key=lambda group: group.used, default=None)
    if fullest is None:
        return allowed("exposure_group", None, cap, context.instrument.quote_asset, AMOUNT)
    return _cap("exposure_group", DenyReason.EXPOSURE_GROUP, order, context, fullest.used, cap)


def exposure_account(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny above the account's gross exposure cap (P21)."""
    return _cap(
        "exposure_account",
        DenyReason.EXPOSURE_ACCOUNT,
        order,
        context,
        context.used_account,
        context.limits.exposure_account,
    )


def exposure_global(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny above the gross exposure cap over everything (P22)."""
    return _cap(
        "exposure_global",
        DenyReason.EXPOSURE_GLOBAL,
        order,
        context,
        context.used_global,
        context.limits.exposure_global,
    )


def _net(
    rail: str, code: DenyReason, order: OrderCheck, context: RiskContext, net: NetExposure, cap: int
) -> RailResult:
    unit = context.instrument.quote_asset
    before, after = net.worst(), net.worst(order.side, order.notional)
    # Neither an order that leaves the worst case as it is nor one that shrinks its position adds to it.
    if after <= cap or after <= before or reduces(order, context):
        return allowed(rail, after, cap, unit, AMOUNT)
    detail = f"net exposure could become {amount(after)} {unit}, at most {amount(cap)}"
    return denied(rail, code, after, cap, unit, detail, scale=AMOUNT)


def net_account(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny above the account's net exposure cap, long less short (P21)."""
    return _net(
        "net_account",
        DenyReason.EXPOSURE_ACCOUNT,
        order,
        context,
        context.net_account,
        context.limits.net_account,
    )


def net_global(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny above the net exposure cap over everything, long less short (P22)."""
    return _net(
        "net_global",
        DenyReason.EXPOSURE_GLOBAL,
        order,
        context,
        context.net_global,
        context.limits.net_global,
    )


def margin_use(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny when maintenance margin would take too much of the margin balance after the order (P24)."""
    limit = context.limits.margin_ratio_max
    if context.instrument.market is Market.spot:
        return allowed("margin_use", None, None, "of balance")
    margin = context.margin
    if margin is None:
        detail = f"the margin of account {order.account} was never loaded"
        return denied("margin_use", DenyReason.MARGIN, None, limit, "of balance", detail, scale=SHARE)
    added = order_reserve(order, context)
    maintenance = maintenance_of(with_order(margin.held, order.side, added, margin.brackets))
    measured = _MILLION if margin.balance <= 0 else -(-maintenance * _MILLION // margin.balance)
    if (margin.balance > 0 and measured <= limit) or added == 0:
        return allowed("margin_use", measured, limit, "of balance", SHARE)
    detail = f"maintenance margin would be {share(measured)} of the margin balance, at most {share(limit)}"
    return denied("margin_use", DenyReason.MARGIN, measured, limit, "of balance", detail, scale=SHARE)


def liquidation_distance(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny when, after the order, too small a move of all prices would reach the maintenance margin (P24).

    With cross margin the account is liquidated when the balance falls to the maintenance margin of all positions,
    each by the brackets of its contract at the price it has got to.
    """
    limit = context.limits.liquidation_distance_min
    if context.instrument.market is Market.spot:
        return allowed("liquidation_distance", None, None, "of price")
    margin = context.margin
    if margin is None:
        detail = f"the margin of account {order.account} was never loaded"
        return denied("liquidation_distance", DenyReason.MARGIN, None, limit, "of price", detail, scale=SHARE)
    added = order_reserve(order, context)
    measured = liquidating_move(margin.balance, with_order(margin.held, order.side, added, margin.brackets))
    if measured >= limit or added == 0:
        return allowed("liquidation_distance", measured, limit, "of price", SHARE)
    detail = f"a move of {share(measured)} would liquidate the account, at least {share(limit)}"
    return denied("liquidation_distance", DenyReason.MARGIN, measured, limit, "of price", detail, scale=SHARE)


def free_balance(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny what the account cannot pay, our own orders in flight counted (P25).

    On spot the whole amount of the asset given; on USD-M the initial margin of what the order adds.
    """
    if context.instrument.market is Market.usdm:
        return _initial_margin(order, context)
    buying = order.side is Side.BUY
    asset = context.instrument.quote_asset if buying else context.instrument.base_asset
    free = context.free_quote if buying else context.free_base
    pending = context.pending_quote if buying else context.pending_base
    need = order.notional if buying else order_quantity(order, context)
    code = DenyReason.INSUFFICIENT_BALANCE
    if free is None:
        detail = f"the {asset} balance of account {order.account} was never loaded"
        return denied("free_balance", code, need, None, asset, detail, scale=AMOUNT)
    available = free - pending
    limit = max(available, 0)
    if need <= available:
        return allowed("free_balance", need, limit, asset, AMOUNT)
    detail = f"the order needs {amount(need)} {asset}, {amount(limit)} is free after orders in flight"
    return denied("free_balance", code, need, limit, asset, detail, scale=AMOUNT)


def _initial_margin(order: OrderCheck, context: RiskContext) -> RailResult:
    unit, code, margin = context.instrument.quote_asset, DenyReason.INSUFFICIENT_BALANCE, context.margin
    if order.is_protective and order.reduce_only:
        return allowed("free_balance", None, None, unit, detail="closing frees margin, it takes none")
    if margin is None:
        detail = f"the margin of account {order.account} was never loaded"
        return denied("free_balance", code, None, None, unit, detail)
    need = -(-order_reserve(order, context) // margin.leverage)
    limit = max(margin.available, 0)
    if need == 0 or need <= margin.available:
        return allowed("free_balance", need, limit, unit, AMOUNT)
    detail = f"the order needs {amount(need)} {unit} of margin, {amount(limit)} is available"
    return denied("free_balance", code, need, limit, unit, detail, scale=AMOUNT)


def open_orders(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny too many working orders on the symbol (P26); a reducing order always finds a place."""
    after, limit = context.open_orders + 1, context.limits.max_open_orders
    if after <= limit or reduces(order, context):
        return allowed("open_orders", after, limit, "orders")
    detail = f"{after} open orders on {order.symbol} with this one, at most {limit}"
    return denied("open_orders", DenyReason.OPEN_ORDERS, after, limit, "orders", detail)


def open_orders_strategy(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny too many working orders of the strategy over all symbols (P26); a reducing order always finds a place."""
    after, limit = context.open_orders_strategy + 1, context.limits.max_open_orders_strategy
    if order.strategy is None:
        return allowed("open_orders_strategy", None, limit, "orders")
    if after <= limit or reduces(order, context):
        return allowed("open_orders_strategy", after, limit, "orders")
    detail = f"{after} open orders of {order.strategy} with this one, at most {limit}"
    return denied("open_orders_strategy", DenyReason.OPEN_ORDERS, after, limit, "orders", detail)


def order_rate(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny more orders a minute on the account than allowed, and say when there will be room (P27)."""
    after, limit = context.orders_last_minute + 1, context.limits.orders_per_minute
    return _rate("order_rate", order, after, limit, context.leaving_order_age_ns)


def order_rate_strategy(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny more orders a minute of one strategy than allowed, and say when there will be room (P27)."""
    after, limit = context.orders_last_minute_strategy + 1, context.limits.orders_per_minute_strategy
    if order.strategy is None:
        return allowed("order_rate_strategy", None, limit, "orders/min")
    return _rate("order_rate_strategy", order, after, limit, context.leaving_order_age_strategy_ns)


def _rate(rail: str, order: OrderCheck, after: int, limit: int, oldest_ns: int) -> RailResult:
    # A position is protected, and a flatten goes on, however busy the minute was.
    if after <= limit or order.is_protective or order.is_flattener:
        return allowed(rail, after, limit, "orders/min")
    wait = max(0.0, _MINUTE_S - seconds(oldest_ns)) if limit > 0 else _MINUTE_S
    detail = f"{after} orders in a minute with this one, at most {limit}"
    return denied(rail, DenyReason.RATE_LIMITED, after, limit, "orders/min", detail, wait)


def venue_weight(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny new risk when the request weight left is what cancels, look-ups and the kill may need (P28)."""
    used, total, headroom = context.weight_used, context.weight_limit, context.limits.weight_headroom
    limit = total * (_MILLION - headroom) // _MILLION
    if used + 1 <= limit or reduces(order, context):
        return allowed("venue_weight", used + 1, limit, "weight/min")
    detail = f"{used} of {total} request weight is used; {share(headroom)} is kept for cancels and look-ups"
    return denied("venue_weight", DenyReason.VENUE_WEIGHT, used + 1, limit, "weight/min", detail, _MINUTE_S)
