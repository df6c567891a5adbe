"""Rails about conduct: repetition, duplicates, trading with oneself, and doing more than was decided."""

from __future__ import annotations

from typing import Final

from trading.domain.risk.answers import AMOUNT, SECONDS, allowed, amount, denied, seconds
from trading.domain.risk.checks import OrderCheck, RailResult, RiskContext, order_quantity, reduces
from trading.domain.risk.reasons import DenyReason
from trading.domain.values import Side

_FIRST_WAIT_NS: Final = 2_000_000_000
_LONGEST_DOUBLINGS: Final = 8


def repeated_execution(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny one rule (strategy, symbol, side) executed too often in a short time (P29).

    The service switches the strategy off with this denial; a person switches it on again.
    """
    count, limit = context.executions, context.limits.repeated_executions
    if order.is_manual or order.strategy is None:
        return allowed("repeated_execution", None, limit, "executions")
    if count < limit or reduces(order, context):
        return allowed("repeated_execution", count, limit, "executions")
    detail = f"{order.strategy} was executed {count} times on {order.side} {order.symbol}, at most {limit}"
    return denied("repeated_execution", DenyReason.REPEATED_EXECUTION, count, limit, "executions", detail)


def rejected_backoff(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny an order the venue has just refused word for word; the wait doubles with every refusal (pain 21)."""
    count = context.rejected
    # The flattener waits by its own rule and gives up; a position without its stop is worse than a refusal.
    if count == 0 or order.is_flattener or order.is_protective:
        return allowed("rejected_backoff", 0, None, "refusals")
    wait = _FIRST_WAIT_NS << min(count - 1, _LONGEST_DOUBLINGS)
    left = wait - context.rejected_age_ns
    if left <= 0:
        return allowed("rejected_backoff", context.rejected_age_ns, wait, "s", SECONDS)
    detail = f"the venue refused this order {count} times; it may be tried again in {seconds(left):g} s"
    return denied(
        "rejected_backoff",
        DenyReason.RATE_LIMITED,
        context.rejected_age_ns,
        wait,
        "s",
        detail,
        seconds(left),
        SECONDS,
    )


def duplicate_decision(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny a second order under a key that exists already (P31)."""
    if context.same_decision == 0:
        return allowed("duplicate_decision", 0, 0, "orders")
    detail = "an order of the same decision and leg exists already"
    return denied(
        "duplicate_decision", DenyReason.DUPLICATE_DECISION, context.same_decision, 0, "orders", detail
    )


def near_duplicate(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny a strategy's order that is nearly one it made a moment ago, unless a grant allows it (P32).

    Nearly: same strategy, symbol and side, quantity within 1 %, price within 0.1 %. The parts of one plan are no
    repetition: what they come to together is bounded by `parent_quantity`.
    """
    age, window = context.near_age_ns, context.limits.near_window_ns
    if order.is_manual or order.is_flattener or age is None:
        return allowed("near_duplicate", None, window, "s", SECONDS)
    if age >= window or _granted(order, context):
        return allowed("near_duplicate", age, window, "s", SECONDS)
    detail = (
        f"{order.strategy} asked for nearly the same {seconds(age):g} s ago, at least {seconds(window):g} s"
    )
    return denied(
        "near_duplicate",
        DenyReason.NEAR_DUPLICATE,
        age,
        window,
        "s",
        detail,
        seconds(window - age),
        SECONDS,
    )


def self_trade(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny an order that would trade with a resting order of our own, of whatever strategy (P33)."""
    crossing = context.crossing
    if crossing is None:
        return allowed("self_trade", order.ticks, None, "ticks")
    if order.ticks is None:
        detail = f"an order without a price could meet our own resting order on {order.symbol}"
        return denied("self_trade", DenyReason.SELF_TRADE, None, crossing, "ticks", detail)
    meets = order.ticks >= crossing if order.side is Side.BUY else order.ticks <= crossing
    if not meets:
        return allowed("self_trade", order.ticks, crossing, "ticks")
    price = context.instrument.price
    detail = f"a {order.side} at {price(order.ticks)} would meet our own order at {price(crossing)}"
    return denied("self_trade", DenyReason.SELF_TRADE, order.ticks, crossing, "ticks", detail)


def parent_quantity(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny more than the decision this order is a child of wanted in all (P39)."""
    parent, unit = context.parent, context.instrument.base_asset
    if parent is None:
        return allowed("parent_quantity", None, None, unit)
    after = parent.children + order_quantity(order, context)
    if after <= parent.quantity:
        return allowed("parent_quantity", after, parent.quantity, unit, AMOUNT)
    detail = f"the children would be {amount(after)} {unit} of {amount(parent.quantity)} decided"
    return denied(
        "parent_quantity", DenyReason.PARENT_QUANTITY, after, parent.quantity, unit, detail, scale=AMOUNT
    )


def sends_per_decision(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny more orders than one decision may lead to (P39)."""
    parent, limit = context.parent, context.limits.sends_per_decision
    if parent is None:
        return allowed("sends_per_decision", None, limit, "orders")
    after = parent.sends + 1
    if after <= limit:
        return allowed("sends_per_decision", after, limit, "orders")
    detail = f"{after} orders for one decision with this one, at most {limit}"
    return denied("sends_per_decision", DenyReason.PARENT_QUANTITY, after, limit, "orders", detail)


def override(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny an order above the soft limit without a second person's single-use grant (P40)."""
    limit, unit = context.limits.soft_notional, context.instrument.quote_asset
    if order.notional <= limit or reduces(order, context) or _granted(order, context):
        return allowed("override", order.notional, limit, unit, AMOUNT)
    detail = f"an order of {amount(order.notional)} {unit} needs a grant, up to {amount(limit)} does not"
    return denied("override", DenyReason.OVERRIDE_REQUIRED, order.notional, limit, unit, detail, scale=AMOUNT)


def needs_grant(order: OrderCheck, context: RiskContext) -> bool:
    """Tell whether the order passes only by its grant, which it therefore consumes."""
    if not _granted(order, context):
        return False
    near = context.near_age_ns is not None and context.near_age_ns < context.limits.near_window_ns
    near = near and not order.is_manual and not order.is_flattener
    return near or (order.notional > context.limits.soft_notional and not reduces(order, context))


def _granted(order: OrderCheck, context: RiskContext) -> bool:
    grant = context.grant
    return grant is not None and grant.valid_for_ns > 0 and order.notional <= grant.max_notional
