"""From an intent to the order the venue will see, or to a refusal that says why.

A market intent never leaves as a market order: it becomes an IOC limit at the touch plus a collar, and
without a price it does not leave at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from trading.domain import conditional
from trading.domain.filters import check_filters
from trading.domain.orders import OrderIntent
from trading.domain.ports import VenueOrder
from trading.domain.refusals import Refused, collared_ticks
from trading.domain.risk.reasons import DenyReason
from trading.domain.values import (
    Instrument,
    Market,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
    WorkingType,
    decimal_text,
    multiple_of,
    normalise_symbol,
    times_of,
)


@dataclass(frozen=True, slots=True)
class Routed:
    """An order ready to send, its size in ticks, steps and quote units, and each change made to it."""

    order: VenueOrder
    ticks: int
    steps: int
    notional_units: int
    adjustments: tuple[str, ...]


def route(
    intent: OrderIntent,
    instrument: Instrument,
    *,
    best_bid: Decimal | None,
    best_ask: Decimal | None,
    collar_bps: int,
    client_order_id: str,
    open_orders: int = 0,
) -> Routed | Refused:
    """Turn an intent into a venue order, rounding only towards safety.

    Parameters
    ----------
    best_bid, best_ask : top of the book in quote currency; None or not positive means unknown.
    collar_bps : how far beyond the touch a market-like order may trade, in basis points.
    open_orders : orders already open on the symbol, for the venue's own limit.

    Returns
    -------
    Routed, or Refused with PRICE_UNAVAILABLE, SYMBOL_NOT_ALLOWED (wrong instrument),
    ORDER_TYPE_NOT_ALLOWED or VENUE_FILTER.
    """
    adjustments: list[str] = []
    try:
        symbol = normalise_symbol(intent.symbol)
    except ValueError as error:
        return Refused(DenyReason.SYMBOL_NOT_ALLOWED, "symbol", intent.symbol, instrument.symbol, str(error))
    if symbol != instrument.symbol:
        detail = f"the intent is for {symbol}, the instrument is {instrument.symbol}"
        return Refused(DenyReason.SYMBOL_NOT_ALLOWED, "symbol", symbol, instrument.symbol, detail)
    if symbol != intent.symbol:
        adjustments.append(f"symbol {intent.symbol} written as {symbol}")

    is_market = intent.type is OrderType.MARKET
    touch = best_ask if intent.side is Side.BUY else best_bid
    steps = intent.quantity
    wire_type, wire_tif = intent.type, intent.time_in_force
    time_in_force: TimeInForce | None = wire_tif
    if is_market:
        if touch is None or touch <= 0:
            return _price_unavailable(symbol, intent.side)
        ticks = collared_ticks(instrument, intent.side, touch, collar_bps)
        if ticks <= 0:
            return _price_unavailable(symbol, intent.side)
        wire_type, time_in_force = OrderType.LIMIT, TimeInForce.IOC
        adjustments.append(
            f"market order sent as LIMIT IOC at {decimal_text(instrument.price(ticks))}: "
            f"touch {decimal_text(touch)}, collar {collar_bps} bps"
        )
        steps = _market_steps(instrument, steps, adjustments)
        if steps == 0:
            step = decimal_text(instrument.market_step_size)
            shown = decimal_text(instrument.quantity(intent.quantity))
            detail = f"MARKET_LOT_SIZE: quantity {shown} is below one step of {step}"
            return Refused(DenyReason.VENUE_FILTER, "MARKET_LOT_SIZE", shown, step, detail)
    elif intent.type.is_conditional:
        triggered = conditional.judge(intent, instrument, best_bid, best_ask, collar_bps)
        if isinstance(triggered, Refused):
            return triggered
        ticks, time_in_force = triggered
    elif intent.price is None:
        detail = f"a {intent.type} order needs a limit price"
        return Refused(DenyReason.PRICE_UNAVAILABLE, "limit_price", None, None, detail)
    else:
        ticks = intent.price
        if intent.type is OrderType.LIMIT_MAKER:
            refusal = _would_take(intent.side, instrument.price(ticks), best_bid, best_ask)
            if refusal is not None:
                return refusal
            time_in_force = None  # the type itself means "post only or not at all"; a TIF is -1106

    word = conditional.venue_word(wire_type, instrument.market)
    if instrument.order_types and word not in instrument.order_types:
        allowed = " ".join(sorted(instrument.order_types))
        detail = f"{symbol} does not take {word} orders"
        return Refused(DenyReason.ORDER_TYPE_NOT_ALLOWED, "order_types", word, allowed, detail)

    has_no_limit = intent.type.is_conditional and intent.type not in conditional.LIMITED
    failure = check_filters(
        instrument,
        side=intent.side,
        ticks=ticks,
        steps=steps,
        is_market=is_market,
        # Without a limit there is no price for the percent-price band to judge.
        reference=None if has_no_limit else middle(best_bid, best_ask),
        open_orders=open_orders,
        reduces=intent.reduce_only,
    )
    if failure is not None:
        return Refused(DenyReason.VENUE_FILTER, failure.name, failure.measured, failure.limit, failure.detail)
    return Routed(
        order=VenueOrder(
            symbol=symbol,
            side=intent.side,
            type=wire_type,
            time_in_force=time_in_force,
            quantity=instrument.quantity(steps),
            price=None if has_no_limit else instrument.price(ticks),
            client_order_id=client_order_id,
            # Spot has no such flag; there a reducing order is a SELL of what is held.
            reduce_only=intent.reduce_only and instrument.market is Market.usdm,
            position_side=intent.position_side,
            stop_price=None if intent.stop is None else instrument.price(intent.stop),
            callback_bps=intent.callback_bps,
            working_type=intent.working_type,
        ),
        ticks=ticks,
        steps=steps,
        notional_units=instrument.notional_units(ticks, steps),
        adjustments=tuple(adjustments),
    )


def build_intent(
    instrument: Instrument,
    *,
    symbol: str,
    side: Side,
    order_type: OrderType,
    time_in_force: TimeInForce,
    quantity: Decimal | None = None,
    quote_quantity: Decimal | None = None,
    price: Decimal | None = None,
    stop: Decimal | None = None,
    callback_bps: int | None = None,
    best_bid: Decimal | None,
    best_ask: Decimal | None,
    collar_bps: int,
    reduce_only: bool = False,
    position_side: PositionSide = PositionSide.BOTH,
    reason: str = "",
) -> tuple[OrderIntent, tuple[str, ...]] | Refused:
    """Turn a person's request, by quantity or by quote amount, into an intent; quantity rounds DOWN.

    A quote amount is spent at most: it is divided by the limit price, or for a market order by the
    touch plus the collar, so that the order cannot cost more than was asked.

    Raises
    ------
    ValueError : not exactly one of quantity and quote amount, or a number that is not positive.
    """
    if (quantity is None) == (quote_quantity is None):
        raise ValueError("expected exactly one of quantity and quote_quantity")
    named = {"quantity": quantity, "quote_quantity": quote_quantity, "price": price, "stop_price": stop}
    for name, value in named.items():
        if value is not None and (not value.is_finite() or value <= 0):
            raise ValueError(f"expected a positive {name}, was {value}")
    adjustments: list[str] = []
    ticks: int | None = None
    trigger: int | None = None
    if stop is not None:
        trigger = max(1, instrument.round_ticks(stop, side))
        if instrument.price(trigger) != stop:
            rounded = decimal_text(instrument.price(trigger))
            adjustments.append(f"trigger {decimal_text(stop)} rounded to the tick: {rounded}")
    if not (order_type is OrderType.MARKET or order_type in conditional.AT_MARKET):
        if price is None:
            detail = f"a {order_type} order needs a limit price"
            return Refused(DenyReason.PRICE_UNAVAILABLE, "limit_price", None, None, detail)
        ticks = instrument.round_ticks(price, side)
        if instrument.price(ticks) != price:
            rounded = decimal_text(instrument.price(ticks))
            adjustments.append(f"price {decimal_text(price)} rounded to the tick: {rounded}")
        if ticks <= 0:
            tick = decimal_text(instrument.tick_size)
            detail = f"PRICE_FILTER: price {decimal_text(price)} is below one tick of {tick}"
            return Refused(DenyReason.VENUE_FILTER, "PRICE_FILTER", decimal_text(price), tick, detail)

    if quantity is None:
        assert quote_quantity is not None
        valued_at = ticks
        if valued_at is None:
            touch = best_ask if side is Side.BUY else best_bid
            if trigger is not None:
                touch = instrument.price(trigger)
            if touch is None or touch <= 0:
                return _price_unavailable(instrument.symbol, side)
            valued_at = collared_ticks(instrument, side, touch, collar_bps)
            if valued_at <= 0:
                return _price_unavailable(instrument.symbol, side)
        exact = Fraction(quote_quantity) / Fraction(instrument.price(valued_at))
        steps = int(exact / Fraction(instrument.step_size))
        adjustments.append(
            f"{decimal_text(quote_quantity)} {instrument.quote_asset} at "
            f"{decimal_text(instrument.price(valued_at))} is {decimal_text(instrument.quantity(steps))}"
        )
        asked = decimal_text(quote_quantity)
    else:
        steps = instrument.floor_steps(quantity)
        if instrument.quantity(steps) != quantity:
            rounded = decimal_text(instrument.quantity(steps))
            adjustments.append(f"quantity {decimal_text(quantity)} rounded down to the step: {rounded}")
        asked = decimal_text(quantity)
    if steps == 0:
        step = decimal_text(instrument.step_size)
        detail = f"LOT_SIZE: {asked} is less than one step of {step}"
        return Refused(DenyReason.VENUE_FILTER, "LOT_SIZE", asked, step, detail)
    waits = order_type.is_conditional and instrument.market is Market.usdm
    intent = OrderIntent(
        symbol,
        side,
        order_type,
        time_in_force,
        steps,
        ticks,
        reduce_only,
        reason,
        stop=trigger,
        callback_bps=callback_bps,
        working_type=WorkingType.CONTRACT_PRICE if waits else None,
        position_side=position_side,
    )
    return intent, tuple(adjustments)


def middle(best_bid: Decimal | None, best_ask: Decimal | None) -> Fraction | None:
    """Return the exact middle of the book, or None while a side is missing or not positive."""
    if best_bid is None or best_ask is None or best_bid <= 0 or best_ask <= 0:
        return None
    return (Fraction(best_bid) + Fraction(best_ask)) / 2


def _market_steps(instrument: Instrument, steps: int, adjustments: list[str]) -> int:
    if instrument.market_step_size == 0:
        return steps
    quantity = instrument.quantity(steps)
    count, exact = times_of(quantity, instrument.market_step_size)
    if exact:
        return steps
    rounded = multiple_of(count, instrument.market_step_size)
    adjustments.append(
        f"quantity {decimal_text(quantity)} rounded down to the market step: {decimal_text(rounded)}"
    )
    return instrument.floor_steps(rounded)


def _would_take(
    side: Side, price: Decimal, best_bid: Decimal | None, best_ask: Decimal | None
) -> Refused | None:
    opposite = best_ask if side is Side.BUY else best_bid
    if opposite is None or opposite <= 0:
        return None  # an empty other side cannot be taken from
    if (price >= opposite) if side is Side.BUY else (price <= opposite):
        shown, bound = decimal_text(price), decimal_text(opposite)
        detail = f"LIMIT_MAKER: {side} at {shown} would trade at once against {bound}"
        return Refused(DenyReason.VENUE_FILTER, "LIMIT_MAKER", shown, bound, detail)
    return None


def _price_unavailable(symbol: str, side: Side) -> Refused:
    book_side = "ask" if side is Side.BUY else "bid"
    detail = f"no {book_side} price for {symbol}, and a market order is never sent without a limit"
    return Refused(DenyReason.PRICE_UNAVAILABLE, "price_available", None, None, detail)
