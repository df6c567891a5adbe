"""Rails about permission: may this kind of order be sent at all, now, by this sender?"""

from __future__ import annotations

from typing import Final

from trading.domain.risk.answers import AMOUNT, SECONDS, allowed, amount, denied, seconds
from trading.domain.risk.checks import OrderCheck, RailResult, RiskContext, order_reserve, reduces
from trading.domain.risk.reasons import DenyReason
from trading.domain.values import UNITS, Level, Market

TRADING_STAGES: Final = frozenset({"champion", "canary"})


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
    left = context.limits_valid_for_ns
    if left > 0 or reduces(order, context):
        return allowed("limits_in_force", left, 0, "s", SECONDS)
    detail = "the limits in force have expired: only orders that reduce"
    return denied("limits_in_force", DenyReason.TRADING_HALTED, left, 0, "s", detail, scale=SECONDS)


def strategy_enabled(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny new risk of a disabled strategy; its way out stays open (P02)."""
    if order.strategy is None or context.strategy_enabled or reduces(order, context):
        return allowed("strategy_enabled", order.strategy, None, "strategy")
    detail = f"strategy {order.strategy} is disabled"
    return denied("strategy_enabled", DenyReason.STRATEGY_DISABLED, "disabled", "enabled", "state", detail)


def model_servable(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny new risk decided by a model that is not promoted, not the one in force, or beyond its canary share (P02)."""
    model = context.model
    if model is None:
        return allowed("model_servable", None, None, "model")
    if reduces(order, context):
        return allowed("model_servable", model.stage, None, "stage")
    code, name = DenyReason.MODEL_NOT_SERVABLE, model.name
    if model.stage not in TRADING_STAGES:
        detail = f"model {name} is {model.stage}: only a champion or a canary trades"
        return denied("model_servable", code, model.stage, "champion", "stage", detail)
    if model.loaded_digest is None or model.loaded_digest != model.digest:
        loaded = (model.loaded_digest or "(none)")[:12]
        detail = f"model {name}: {model.digest[:12]} is in force, {loaded} is loaded"
        return denied("model_servable", code, loaded, model.digest[:12], "digest", detail)
    if model.valid_for_ns <= 0:
        detail = f"model {name} is past the end of its grant"
        return denied("model_servable", code, model.valid_for_ns, 0, "s", detail, scale=SECONDS)
    if model.canary_cap is None:
        return allowed("model_servable", model.stage, None, "stage")
    unit = context.instrument.quote_asset
    own = -(-order_reserve(order, context) * model.part // UNITS)
    after = context.used_strategy + own
    if after <= model.canary_cap:
        return allowed("model_servable", after, model.canary_cap, unit, AMOUNT)
    detail = f"canary {name} would expose {amount(after)} {unit}, its share is {amount(model.canary_cap)}"
    return denied("model_servable", code, after, model.canary_cap, unit, detail, scale=AMOUNT)


def lease_held(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny a send under a lease that is lost, or that ends before the request could have died (P03).

    Asked in the transaction that authorises the send; before that nobody holds the lane.
    """
    left, needed = context.lease_left_ns, context.lease_needed_ns
    if left is not None and left >= needed:
        return allowed("lease", left, needed, "s", SECONDS)
    held = "is not ours" if left is None else f"holds for {seconds(left):g} s"
    detail = f"the lease of the lane {held}, {seconds(needed):g} s are needed"
    return denied("lease", DenyReason.LEASE_LOST, left, needed, "s", detail, scale=SECONDS)


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


def account_mode(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny while a futures account is not set up as the policy says: positions, margin type, leverage (P06)."""
    highest = context.limits.leverage_max
    if context.instrument.market is Market.spot:
        return allowed("account_mode", None, None, "x")
    mode = context.mode
    if mode is None:
        detail = f"the mode of account {order.account} was never read"
        return denied("account_mode", DenyReason.ACCOUNT_MODE, None, highest, "x", detail)
    for name, is_so, should in (
        ("hedge mode", mode.hedge, mode.expected_hedge),
        ("isolated margin", mode.isolated, mode.expected_isolated),
    ):
        if is_so != should:
            words = ("off", "on")
            detail = f"{name} of {order.symbol} is {words[is_so]}, expected {words[should]}"
            return denied("account_mode", DenyReason.ACCOUNT_MODE, words[is_so], words[should], name, detail)
    if mode.leverage <= highest or reduces(order, context):
        return allowed("account_mode", mode.leverage, highest, "x")
    detail = f"the leverage of {order.symbol} is {mode.leverage}x, at most {highest}x"
    return denied("account_mode", DenyReason.ACCOUNT_MODE, mode.leverage, highest, "x", detail)


def decision_ttl(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny an order whose decision is older than its time to live, or from the future (P10)."""
    age, limit = order.decision_age_ns, context.limits.decision_ttl_ns
    if 0 <= age <= limit:
        return allowed("decision_ttl", age, limit, "s", SECONDS)
    detail = f"the decision is {seconds(age):g} s old, at most {seconds(limit):g} s"
    return denied("decision_ttl", DenyReason.DECISION_EXPIRED, age, limit, "s", detail, scale=SECONDS)


def bar_once(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny an order decided on a bar that a newer one has overtaken (P10)."""
    acted = context.bar_is_acted_on
    if not acted:
        return allowed("bar_once", 0, 0, "newer bars")
    detail = f"a newer bar of {order.symbol} was acted on already"
    return denied("bar_once", DenyReason.DECISION_EXPIRED, 1, 0, "newer bars", detail)


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


def blackout(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny new risk inside a maintenance or blackout window (P38)."""
    windows = context.blackouts
    if len(windows) == 0 or reduces(order, context):
        return allowed("blackout", len(windows), 0, "windows")
    longest = max(windows, key=lambda window: window.left_ns)
    detail = f"{longest.scope} takes no new risk for {seconds(longest.left_ns):g} s more: {longest.reason}"
    return denied(
        "blackout", DenyReason.BLACKOUT, len(windows), 0, "windows", detail, seconds(longest.left_ns)
    )
