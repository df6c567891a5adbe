"""Rails about knowledge: do we know the price and our own books well enough to send?"""

from __future__ import annotations

from trading.domain.risk.answers import allowed, denied, seconds
from trading.domain.risk.checks import OrderCheck, RailResult, RiskContext
from trading.domain.risk.reasons import DenyReason


def price_available(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny without a two-sided book and a limit: such an order cannot be valued (W5, W16)."""
    for name, value in (("bid", context.best_bid), ("ask", context.best_ask), ("limit", order.ticks)):
        if value is None or value <= 0:
            detail = f"{order.symbol} has no {name} price"
            return denied("price_available", DenyReason.PRICE_UNAVAILABLE, value, None, "ticks", detail)
    return allowed("price_available", order.ticks, None, "ticks")


def price_fresh(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny on a price received too long ago (P07)."""
    limit = seconds(context.limits.quote_age_max_ns)
    if context.quote_age_ns is None:
        detail = f"no price of {order.symbol} was ever received"
        return denied("price_fresh", DenyReason.PRICE_STALE, None, limit, "s", detail)
    age = seconds(context.quote_age_ns)
    if context.quote_age_ns <= context.limits.quote_age_max_ns:
        return allowed("price_fresh", age, limit, "s")
    detail = f"the price of {order.symbol} is {age:g} s old, at most {limit:g} s"
    return denied("price_fresh", DenyReason.PRICE_STALE, age, limit, "s", detail)


def reconciled(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny until the account was found equal to the venue, recently; also while balances are unknown.

    An account whose balances were never loaded is "not ready", not bankrupt (P11, W35).
    """
    limit = seconds(context.limits.reconcile_age_max_ns)
    unknown = [
        name
        for name, value in (
            ("position", context.position),
            ("base balance", context.free_base),
            ("quote balance", context.free_quote),
        )
        if value is None
    ]
    if unknown:
        detail = f"not ready: {', '.join(unknown)} of account {order.account} never loaded"
        return denied("reconciled", DenyReason.NOT_RECONCILED, None, limit, "s", detail)
    if context.reconciled_age_ns is None:
        detail = f"account {order.account} was never reconciled"
        return denied("reconciled", DenyReason.NOT_RECONCILED, None, limit, "s", detail)
    age = seconds(context.reconciled_age_ns)
    if context.reconciled_age_ns <= context.limits.reconcile_age_max_ns:
        return allowed("reconciled", age, limit, "s")
    detail = f"account {order.account} was reconciled {age:g} s ago, at most {limit:g} s"
    return denied("reconciled", DenyReason.NOT_RECONCILED, age, limit, "s", detail)


def unknown_orders(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny while an order on the symbol has been UNKNOWN for too long (P11)."""
    age, limit = seconds(context.unknown_age_ns), seconds(context.limits.unknown_age_max_ns)
    if context.unknown_age_ns <= context.limits.unknown_age_max_ns:
        return allowed("unknown_orders", age, limit, "s")
    detail = f"an order on {order.symbol} has been UNKNOWN for {age:g} s, at most {limit:g} s"
    return denied("unknown_orders", DenyReason.NOT_RECONCILED, age, limit, "s", detail)
