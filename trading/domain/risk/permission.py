"""Rails about permission: may this kind of order be sent at all, now, by this sender?"""

from __future__ import annotations

from trading.domain.risk.answers import allowed, denied, seconds
from trading.domain.risk.checks import OrderCheck, RailResult, RiskContext, reduces
from trading.domain.risk.reasons import DenyReason
from trading.domain.values import Level


def kill_level(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny what the effective kill level does not permit (P01)."""
    level = Level(context.level)
    if level is Level.ACTIVE:
        passed = True
    elif level is Level.REDUCING:
        passed = reduces(order, context)
    else:
        passed = level is Level.FLATTEN and order.is_flattener and reduces(order, context)
    if passed:
        return allowed("kill_level", level.name, None, "level")
    need = "only orders that reduce" if level is Level.REDUCING else "no new orders"
    detail = f"{context.level_scope} is at {level.name}: {need}"
    return denied("kill_level", DenyReason.TRADING_HALTED, level.name, Level.ACTIVE.name, "level", detail)


def limits_in_force(order: OrderCheck, context: RiskContext) -> RailResult:
    """Allow only reducing orders once the limits in force have expired."""
    left = seconds(context.limits_valid_for_ns)
    if context.limits_valid_for_ns > 0 or reduces(order, context):
        return allowed("limits_in_force", left, 0, "s")
    detail = "the limits in force have expired: only orders that reduce"
    return denied("limits_in_force", DenyReason.TRADING_HALTED, left, 0, "s", detail)


def strategy_enabled(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny new risk of a disabled strategy; its way out stays open (P02)."""
    if order.strategy is None or context.strategy_enabled or reduces(order, context):
        return allowed("strategy_enabled", order.strategy, None, "strategy")
    detail = f"strategy {order.strategy} is disabled"
    return denied("strategy_enabled", DenyReason.STRATEGY_DISABLED, order.strategy, None, "strategy", detail)


def symbol_allowed(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny a symbol that is not on the allowlist; a holding in it can still be reduced (P04)."""
    if order.symbol != context.instrument.symbol:
        detail = f"the order is for {order.symbol}, the instrument is {context.instrument.symbol}"
        return denied(
            "symbol_allowed",
            DenyReason.SYMBOL_NOT_ALLOWED,
            order.symbol,
            context.instrument.symbol,
            "symbol",
            detail,
        )
    names = context.allowed_symbols
    if "*" in names or order.symbol in names or reduces(order, context):
        return allowed("symbol_allowed", order.symbol, None, "symbol")
    listed = " ".join(sorted(names)) or "(none)"
    detail = f"{order.symbol} is not on the allowlist: {listed}"
    return denied("symbol_allowed", DenyReason.SYMBOL_NOT_ALLOWED, order.symbol, listed, "symbol", detail)


def venue_status(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny while the venue does not trade the symbol; it would refuse even a reducing order (P04)."""
    status = context.instrument.status
    if context.instrument.is_trading:
        return allowed("venue_status", status, "TRADING", "status")
    detail = f"the venue has {order.symbol} at {status}"
    return denied("venue_status", DenyReason.SYMBOL_NOT_ALLOWED, status, "TRADING", "status", detail)


def order_type(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny an order type the policy does not allow (P05)."""
    if order.type in context.allowed_types:
        return allowed("order_type", order.type, None, "type")
    listed = " ".join(sorted(context.allowed_types)) or "(none)"
    detail = f"{order.type} orders are not allowed: {listed}"
    return denied("order_type", DenyReason.ORDER_TYPE_NOT_ALLOWED, order.type, listed, "type", detail)


def decision_ttl(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny an order whose decision is older than its time to live, or from the future (P10)."""
    age, limit = seconds(order.decision_age_ns), seconds(context.limits.decision_ttl_ns)
    if 0 <= order.decision_age_ns <= context.limits.decision_ttl_ns:
        return allowed("decision_ttl", age, limit, "s")
    detail = f"the decision is {age:g} s old, at most {limit:g} s"
    return denied("decision_ttl", DenyReason.DECISION_EXPIRED, age, limit, "s", detail)


def breakers(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny while a circuit breaker is open; reducing orders pass."""
    blocking = context.open_breakers
    if len(blocking) == 0 or reduces(order, context):
        return allowed("breakers", len(blocking), 0, "open breakers")
    waits = [b.retry_after_s for b in blocking if b.retry_after_s is not None]
    detail = "; ".join(f"breaker {b.name} ({b.scope}) is open: {b.reason}" for b in blocking)
    return denied(
        "breakers",
        DenyReason.BREAKER_OPEN,
        len(blocking),
        0,
        "open breakers",
        detail,
        max(waits) if waits else None,
    )
