"""Rails about one order: venue filters, price collar, size, and whether it truly reduces."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from trading.domain.filters import check_filters
from trading.domain.risk.answers import AMOUNT, allowed, amount, denied
from trading.domain.risk.checks import OrderCheck, RailResult, RiskContext, order_quantity, reduces
from trading.domain.risk.reasons import DenyReason
from trading.domain.values import OrderType, Side, TimeInForce

_BPS: Final = 10_000
_LIMITED: Final = frozenset({OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT})


def venue_filter(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny what a filter of the venue would refuse, under that filter's name (P12)."""
    if order.ticks is None:
        detail = "an order without a price cannot be checked against the venue's filters"
        return denied("venue_filter", DenyReason.VENUE_FILTER, None, None, "filter", detail)
    doubled = (context.best_bid or 0) + (context.best_ask or 0)
    if (
        context.best_bid
        and context.best_ask
        and not order.type.is_conditional
        and context.instrument.is_plainly_inside(
            order.side, order.ticks, order.steps, order.notional, doubled, context.open_orders
        )
    ):
        return allowed("venue_filter", None, None, "filter")
    reference = None
    # A trigger without a limit has no price for the percent-price band to judge.
    banded = context.instrument.percent_price is not None and (
        not order.type.is_conditional or order.type in _LIMITED
    )
    if context.best_bid and context.best_ask and banded:
        reference = Fraction(context.best_bid + context.best_ask, 2) * Fraction(context.instrument.tick_size)
    failure = check_filters(
        context.instrument,
        side=order.side,
        ticks=order.ticks,
        steps=order.steps,
        is_market=order.type is OrderType.MARKET,
        reference=reference,
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
    """Deny a limit that pays too far beyond the middle of the book, the last trade or the mark price (P13).

    Only the paying side counts: a BUY far below or a SELL far above rests, and the venue's percent-price filter
    bounds it. A symbol that never traded has no last price, spot has no mark price.
    """
    limit, code = context.limits.collar_bps, DenyReason.PRICE_COLLAR
    if order.type.is_conditional:
        return _collar_at_trigger(order, limit)
    if order.ticks is None or not context.best_bid or not context.best_ask:
        detail = f"no middle price of {order.symbol} to compare with"
        return denied("price_collar", code, None, limit, "bps", detail)
    # Doubled, so that the middle stays a whole number. The reference the order is worst against decides.
    name, reference = "middle", context.best_bid + context.best_ask
    buying = order.side is Side.BUY
    for other, price in (("last", context.last), ("mark", context.mark)):
        if price is not None and (2 * price < reference if buying else 2 * price > reference):
            name, reference = other, 2 * price
    beyond = (2 * order.ticks - reference) * _BPS * (1 if buying else -1)
    measured = round(beyond / reference, 4)
    if beyond <= limit * reference:
        return allowed("price_collar", measured, limit, "bps")
    detail = f"the limit is {measured:g} bps beyond the {name} price, at most {limit} bps"
    return denied("price_collar", code, measured, limit, "bps", detail)


def _collar_at_trigger(order: OrderCheck, limit: int) -> RailResult:
    # It trades when the market is at its trigger, so that is what its limit is compared with; a conditional market
    # order has no limit, and pays what the market then asks.
    if order.type not in _LIMITED or order.ticks is None or not order.stop:
        return allowed("price_collar", None, limit, "bps", detail="judged when it triggers")
    beyond = order.side.sign * (order.ticks - order.stop)
    measured = round(beyond * _BPS / order.stop, 4)
    if beyond * _BPS <= limit * order.stop:
        return allowed("price_collar", measured, limit, "bps")
    detail = f"the limit is {measured:g} bps beyond the trigger, at most {limit} bps"
    return denied("price_collar", DenyReason.PRICE_COLLAR, measured, limit, "bps", detail)


def market_order(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny a market order that does not leave as an immediate limit close to the touch (P15).

    Protective stops that become market orders at the venue are exempt: their trigger is the bound.
    """
    limit, code = context.limits.slippage_bps, DenyReason.MARKET_ORDER_NOT_ALLOWED
    if order.type is not OrderType.MARKET:
        return allowed("market_order", None, limit, "bps")
    if order.sent_type is not OrderType.LIMIT or order.sent_tif is not TimeInForce.IOC or order.ticks is None:
        sent = order.sent_type or "nothing"
        detail = f"a market order leaves as an IOC limit inside the collar, this one as {sent}"
        return denied("market_order", code, str(sent), "LIMIT IOC", "type", detail)
    touch = context.best_ask if order.side is Side.BUY else context.best_bid
    if not touch:
        return denied("market_order", code, None, limit, "bps", f"{order.symbol} has no price to trade at")
    beyond = (order.ticks - touch) * _BPS * order.side.sign
    measured = round(beyond / touch, 4)
    if beyond <= limit * touch:
        return allowed("market_order", measured, limit, "bps")
    detail = f"the market order may pay {measured:g} bps beyond the touch, at most {limit} bps"
    return denied("market_order", code, measured, limit, "bps", detail)


def min_notional(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny an order below our own minimum; an exit may be smaller."""
    value, limit, unit = order.notional, context.limits.min_notional, context.instrument.quote_asset
    if value >= limit or reduces(order, context):
        return allowed("min_notional", value, limit, unit, AMOUNT)
    detail = f"the order is worth {amount(value)} {unit}, at least {amount(limit)}"
    return denied("min_notional", DenyReason.NOTIONAL_BELOW_MIN, value, limit, unit, detail, scale=AMOUNT)


def max_notional(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny an order worth more than the maximum, however its size was given (P16, W5).

    Exits too: one order of the wrong size is as dangerous on the way out; a large exit is sliced.
    """
    value, limit, unit = order.notional, context.limits.max_notional, context.instrument.quote_asset
    if value <= limit:
        return allowed("max_notional", value, limit, unit, AMOUNT)
    detail = f"the order is worth {amount(value)} {unit}, at most {amount(limit)}"
    return denied("max_notional", DenyReason.NOTIONAL_ABOVE_MAX, value, limit, unit, detail, scale=AMOUNT)


def max_quantity(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny an order of more than the maximum quantity (P17)."""
    quantity, limit = order_quantity(order, context), context.limits.max_quantity
    unit = context.instrument.base_asset
    if quantity <= limit:
        return allowed("max_quantity", quantity, limit, unit, AMOUNT)
    detail = f"the order is for {amount(quantity)} {unit}, at most {amount(limit)}"
    return denied("max_quantity", DenyReason.QUANTITY_ABOVE_MAX, quantity, limit, unit, detail, scale=AMOUNT)


def reduce_only(order: OrderCheck, context: RiskContext) -> RailResult:
    """Deny an order marked reduce-only that could grow or flip the position (P35).

    What other open orders on its side promise to sell (or to buy back) already cannot be promised again.
    """
    quantity = order_quantity(order, context)
    unit = context.instrument.base_asset
    if not order.reduce_only:
        return allowed("reduce_only", quantity, None, unit, AMOUNT)
    held = 0
    if context.position is not None:
        if order.side is Side.SELL:
            held = context.position - context.open_sell
        else:
            held = -context.position - context.open_buy
    limit = max(held, 0)
    if reduces(order, context):
        return allowed("reduce_only", quantity, limit, unit, AMOUNT)
    detail = (
        f"a reduce-only {order.side} of {amount(quantity)} {unit}, but only {amount(limit)} can be reduced"
    )
    return denied("reduce_only", DenyReason.REDUCE_ONLY, quantity, limit, unit, detail, scale=AMOUNT)
