"""Rails about losses, measured mark to market per scope; an order that only reduces always passes."""

from __future__ import annotations

from collections.abc import Callable

from trading.domain.risk.answers import AMOUNT, PLAIN, SECONDS, SHARE, allowed, denied, seconds, shown
from trading.domain.risk.checks import LossMeasured, OrderCheck, RailResult, RiskContext, reduces
from trading.domain.risk.reasons import DenyReason


def daily_loss(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny new risk once a scope has lost its day's limit, open positions at their present value (P36)."""
    unit = context.instrument.quote_asset
    return _bounded(
        "daily_loss", order, context, lambda m: (m.loss, m.loss_limit), unit, AMOUNT, "lost today"
    )


def drawdown(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny new risk once a scope is too far below its peak (P36, pain 28)."""
    return _bounded(
        "drawdown",
        order,
        context,
        lambda m: (m.drawdown, m.drawdown_limit),
        "below peak",
        SHARE,
        "below its peak",
    )


def loss_streak(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny new risk after too many losing trades in a row (P36)."""
    return _bounded(
        "loss_streak",
        order,
        context,
        lambda m: (m.streak, m.streak_limit),
        "losses",
        PLAIN,
        "losses in a row",
    )


def loss_cooldown(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny new risk for a while after the strategy closed at a loss (P38)."""
    age, wait = context.last_loss_age_ns, context.limits.loss_cooldown_ns
    if age is None or age >= wait or reduces(order, context):
        return allowed("loss_cooldown", age, wait, "s", SECONDS)
    left = seconds(wait - age)
    detail = f"{order.strategy or order.account} closed at a loss {seconds(age):g} s ago; {left:g} s to wait"
    return denied("loss_cooldown", DenyReason.BLACKOUT, age, wait, "s", detail, left, SECONDS)


def _bounded(
    rail: str,
    order: OrderCheck,
    context: RiskContext,
    read: Callable[[LossMeasured], tuple[int, int | None]],
    unit: str,
    scale: int,
    words: str,
) -> RailResult:
    # The scope nearest to its limit is the one that is shown; one that was not measured lately denies.
    shown_value: int | None = None
    shown_limit: int | None = None
    nearest = -1.0
    for measured in context.losses:
        value, limit = read(measured)
        if limit is None:
            continue
        oldest = context.limits.equity_age_max_ns
        if measured.age_ns is None or measured.age_ns > oldest:
            if reduces(order, context):
                continue
            since = "never" if measured.age_ns is None else f"{seconds(measured.age_ns):g} s ago"
            detail = f"the result of {measured.scope} was measured {since}, at most {seconds(oldest):g} s"
            return denied(rail, DenyReason.LOSS_LIMIT, None, limit, unit, detail, scale=scale)
        # The limit itself is still allowed; what passes it denies.
        if value > limit and not reduces(order, context):
            detail = f"{measured.scope}: {shown(value, scale)} {words}, at most {shown(limit, scale)}"
            return denied(rail, DenyReason.LOSS_LIMIT, value, limit, unit, detail, scale=scale)
        near = value / limit if limit else float(value)
        if near > nearest or shown_limit is None:
            nearest, shown_value, shown_limit = near, value, limit
    return allowed(rail, shown_value, shown_limit, unit, scale)
