"""Rails about one order: venue filters, price collar, size, and whether it truly reduces."""

from __future__ import annotations

from fractions import Fraction

from trading.domain.filters import check_filters
from trading.domain.risk.answers import allowed, amount, denied
from trading.domain.risk.checks import OrderCheck, RailResult, RiskContext, order_quantity, reduces
from trading.domain.risk.reasons import DenyReason
from trading.domain.values import OrderType, Side

_BPS = 10_000
_LIMITED = frozenset({OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT})


def venue_filter(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny what a filter of the venue would refuse, under that filter's name (P12)."""
    if order.ticks is None:
        detail = "an order without a price cannot be checked against the venue's filters"
        return denied("venue_filter", DenyReason.VENUE_FILTER, None, None, "filter", detail)
    reference = None
    if context.best_bid and context.best_ask:
        reference = Fraction(context.best_bid + context.best_ask, 2) * Fraction(context.instrument.tick_size)
    failure = check_filters(
        context.instrument,
        side=order.side,
        ticks=order.ticks,
        steps=order.steps,
        is_market=order.type is OrderType.MARKET,
        # A trigger without a limit has no price for the percent-price band to judge.
        reference=None if order.type.is_conditional and order.type not in _LIMITED else reference,
        open_orders=context.open_orders,
        reduces=order.reduce_only,
    )
    if failure is None:
        return allowed("venue_filter", None, None, "filter")
    return denied(
        "venue_filter",
        DenyReason.VENUE_FILTER,
        failure.measured,
        failure.limit,
        failure.name,
        failure.detail,
    )


def price_collar(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny a limit that pays too far beyond the middle of the book (P13).

    Only the paying side counts: a BUY far below or a SELL far above the middle rests, and the venue's
    percent-price filter bounds it.
    """
    limit = context.limits.collar_bps
    if order.type.is_conditional:
        return _collar_at_trigger(order, limit)
    if order.ticks is None or not context.best_bid or not context.best_ask:
        detail = f"no middle price of {order.symbol} to compare with"
        return denied("price_collar", DenyReason.PRICE_COLLAR, None, limit, "bps", detail)
    doubled_middle = context.best_bid + context.best_ask
    beyond = order.side.sign * (2 * order.ticks - doubled_middle)
    measured = round(beyond * _BPS / doubled_middle, 4)
    if beyond * _BPS <= limit * doubled_middle:
        return allowed("price_collar", measured, limit, "bps")
    detail = f"the limit is {measured:g} bps beyond the middle price, at most {limit} bps"
    return denied("price_collar", DenyReason.PRICE_COLLAR, measured, limit, "bps", detail)


def _collar_at_trigger(order: OrderCheck, limit: int) -> RailResult:
    # It trades when the market is at its trigger, so that is what its limit is compared with; a conditional market
    # order has no limit, and pays what the market then asks.
    if order.type not in _LIMITED or order.ticks is None or not order.stop:
        return allowed("price_collar", None, limit, "bps", "judged when it triggers")
    beyond = order.side.sign * (order.ticks - order.stop)
    measured = round(beyond * _BPS / order.stop, 4)
    if beyond * _BPS <= limit * order.stop:
        return allowed("price_collar", measured, limit, "bps")
    detail = f"the limit is {measured:g} bps beyond the trigger, at most {limit} bps"
    return denied("price_collar", DenyReason.PRICE_COLLAR, measured, limit, "bps", detail)


def min_notional(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny an order below our own minimum; an exit may be smaller."""
    shown, limit = amount(order.notional), amount(context.limits.min_notional)
    unit = context.instrument.quote_asset
    if order.notional >= context.limits.min_notional or reduces(order, context):
        return allowed("min_notional", shown, limit, unit)
    detail = f"the order is worth {shown} {unit}, at least {limit}"
    return denied("min_notional", DenyReason.NOTIONAL_BELOW_MIN, shown, limit, unit, detail)


def max_notional(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny an order worth more than the maximum, however its size was given (P16, W5).

    Exits too: one order of the wrong size is as dangerous on the way out; a large exit is sliced.
    """
    shown, limit = amount(order.notional), amount(context.limits.max_notional)
    unit = context.instrument.quote_asset
    if order.notional <= context.limits.max_notional:
        return allowed("max_notional", shown, limit, unit)
    detail = f"the order is worth {shown} {unit}, at most {limit}"
    return denied("max_notional", DenyReason.NOTIONAL_ABOVE_MAX, shown, limit, unit, detail)


def max_quantity(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny an order of more than the maximum quantity (P17)."""
    quantity = order_quantity(order, context)
    shown, limit = amount(quantity), amount(context.limits.max_quantity)
    unit = context.instrument.base_asset
    if quantity <= context.limits.max_quantity:
        return allowed("max_quantity", shown, limit, unit)
    detail = f"the order is for {shown} {unit}, at most {limit}"
    return denied("max_quantity", DenyReason.QUANTITY_ABOVE_MAX, shown, limit, unit, detail)


def reduce_only(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny an order marked reduce-only that could grow or flip the position (P35)."""
    quantity = order_quantity(order, context)
    unit = context.instrument.base_asset
    if not order.reduce_only:
        return allowed("reduce_only", amount(quantity), None, unit)
    held = 0
    if context.position is not None:
        if order.side is Side.SELL:
            held = context.position - context.open_sell
        else:
            held = -context.position - context.open_buy
    shown, limit = amount(quantity), amount(max(held, 0))
    if reduces(order, context):
        return allowed("reduce_only", shown, limit, unit)
    detail = f"a reduce-only {order.side} of {shown} {unit}, but only {limit} can be reduced"
    return denied("reduce_only", DenyReason.REDUCE_ONLY, shown, limit, unit, detail)
