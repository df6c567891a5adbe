"""Rails about room: exposure caps, balances, open orders and order rate, pending orders counted.

An order that raises no exposure passes every cap, full or not: a cap never blocks the order that would
relieve it (W6).
"""

from __future__ import annotations

from trading.domain.risk.answers import allowed, amount, denied, seconds
from trading.domain.risk.checks import (
    OrderCheck,
    RailResult,
    RiskContext,
    order_quantity,
    order_reserve,
    reduces,
)
from trading.domain.risk.reasons import DenyReason
from trading.domain.values import Market, Side

_MINUTE_S = 60.0


def _cap(
    rail: str, code: DenyReason, order: OrderCheck, context: RiskContext, used: int, cap: int
) -> RailResult:
    unit = context.instrument.quote_asset
    reserve = order_reserve(order, context)
    after, limit = amount(used + reserve), amount(cap)
    if reserve == 0 or used + reserve <= cap:
        return allowed(rail, after, limit, unit)
    detail = f"{amount(used)} {unit} in use and {amount(reserve)} more would be {after}, at most {limit}"
    return denied(rail, code, after, limit, unit, detail)


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


def free_balance(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny what the account cannot pay, our own orders in flight counted (P25)."""
    if order.is_protective and order.reduce_only and context.instrument.market is Market.usdm:
        unit = context.instrument.quote_asset
        return allowed("free_balance", None, None, unit, "closing frees margin, it takes none")
    buying = order.side is Side.BUY
    asset = context.instrument.quote_asset if buying else context.instrument.base_asset
    free = context.free_quote if buying else context.free_base
    pending = context.pending_quote if buying else context.pending_base
    need = order.notional if buying else order_quantity(order, context)
    if free is None:
        detail = f"the {asset} balance of account {order.account} was never loaded"
        return denied("free_balance", DenyReason.INSUFFICIENT_BALANCE, amount(need), None, asset, detail)
    available = free - pending
    shown, limit = amount(need), amount(max(available, 0))
    if need <= available:
        return allowed("free_balance", shown, limit, asset)
    detail = f"the order needs {shown} {asset}, {limit} is free after orders in flight"
    return denied("free_balance", DenyReason.INSUFFICIENT_BALANCE, shown, limit, asset, detail)


def open_orders(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny too many working orders on the symbol (P26); a reducing order always finds a place."""
    after, limit = context.open_orders + 1, context.limits.max_open_orders
    if after <= limit or reduces(order, context):
        return allowed("open_orders", after, limit, "orders")
    detail = f"{after} open orders on {order.symbol} with this one, at most {limit}"
    return denied("open_orders", DenyReason.OPEN_ORDERS, after, limit, "orders", detail)


def order_rate(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny more orders a minute than allowed, and say when there will be room (P27)."""
    after, limit = context.orders_last_minute + 1, context.limits.orders_per_minute
    if after <= limit:
        return allowed("order_rate", after, limit, "orders/min")
    wait = max(0.0, _MINUTE_S - seconds(context.oldest_order_age_ns)) if limit > 0 else _MINUTE_S
    detail = f"{after} orders in a minute with this one, at most {limit}"
    return denied("order_rate", DenyReason.RATE_LIMITED, after, limit, "orders/min", detail, wait)
