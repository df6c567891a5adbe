"""Orders that wait for a trigger: what they need, which way they trigger, and what each market calls them."""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import Final

from trading.domain.orders import OrderIntent
from trading.domain.refusals import BPS, Refused, collared_ticks
from trading.domain.risk.reasons import DenyReason
from trading.domain.values import Instrument, Market, OrderType, Side, TimeInForce, decimal_text

LIMITED: Final = frozenset({OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT})
"""Those that rest at a limit once triggered; the others trade at the market then."""

AT_MARKET: Final = frozenset(
    {OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET, OrderType.TRAILING_STOP_MARKET}
)

STOPS: Final = frozenset({OrderType.STOP_MARKET, OrderType.STOP_LIMIT})

MAX_CALLBACK_BPS: Final = 1_000
"""USD-M takes 0.1 % to 10 %."""
MIN_CALLBACK_BPS: Final = 10

_WORDS: Final = MappingProxyType(
    {
        Market.spot: MappingProxyType(
            {
                OrderType.STOP_MARKET: "STOP_LOSS",
                OrderType.STOP_LIMIT: "STOP_LOSS_LIMIT",
                OrderType.TAKE_PROFIT_MARKET: "TAKE_PROFIT",
                OrderType.TAKE_PROFIT_LIMIT: "TAKE_PROFIT_LIMIT",
            }
        ),
        Market.usdm: MappingProxyType(
            {
                OrderType.STOP_LIMIT: "STOP",
                OrderType.TAKE_PROFIT_LIMIT: "TAKE_PROFIT",
                OrderType.LIMIT_MAKER: "LIMIT",  # there a limit with the time in force GTX
            },
        ),
    }
)


def venue_word(order_type: OrderType, market: Market) -> str:
    """Return what a market calls a type of order in its `exchangeInfo`."""
    return _WORDS[market].get(order_type, order_type.value)


def triggers_above(order_type: OrderType, side: Side) -> bool:
    """Tell whether the trigger lies above the market: a buy stop and a sell take-profit, the other two below."""
    return (order_type in STOPS) is (side is Side.BUY)


def would_trigger(
    order_type: OrderType, side: Side, trigger: Decimal, best_bid: Decimal | None, best_ask: Decimal | None
) -> bool:
    """Tell whether the market is at or beyond a trigger already; False while it is not known."""
    if best_bid is None or best_ask is None or best_bid <= 0 or best_ask <= 0:
        return False
    if triggers_above(order_type, side):
        return best_bid >= trigger
    return best_ask <= trigger


def judge(
    intent: OrderIntent,
    instrument: Instrument,
    best_bid: Decimal | None,
    best_ask: Decimal | None,
    collar_bps: int,
) -> tuple[int, TimeInForce | None] | Refused:
    """Return what a conditional order is valued at, in ticks, and its time in force; or why it cannot be sent.

    A market type is valued at its trigger plus the collar, which is what it may cost.
    """
    if intent.type is OrderType.TRAILING_STOP_MARKET:
        return _trailing(intent, instrument, best_bid, best_ask, collar_bps)
    if intent.stop is None:
        detail = f"a {intent.type} order needs a trigger price"
        return Refused(DenyReason.PRICE_UNAVAILABLE, "stop_price", None, None, detail)
    if intent.type in LIMITED and intent.price is None:
        detail = f"a {intent.type} order needs a limit price"
        return Refused(DenyReason.PRICE_UNAVAILABLE, "limit_price", None, None, detail)
    trigger = instrument.price(intent.stop)
    for name, bound, beyond in (
        ("minimum", instrument.min_price, trigger < instrument.min_price),
        ("maximum", instrument.max_price, trigger > instrument.max_price),
    ):
        if bound and beyond:
            shown, limit = decimal_text(trigger), decimal_text(bound)
            detail = f"PRICE_FILTER: the trigger {shown} is beyond the {name} {limit}"
            return Refused(DenyReason.VENUE_FILTER, "PRICE_FILTER", shown, limit, detail)
    if would_trigger(intent.type, intent.side, trigger, best_bid, best_ask):
        touch = best_bid if triggers_above(intent.type, intent.side) else best_ask
        assert touch is not None
        shown, limit = decimal_text(trigger), decimal_text(touch)
        detail = f"Order would trigger immediately: the market is at {limit}, the trigger is {shown}"
        return Refused(DenyReason.VENUE_FILTER, "TRIGGER", shown, limit, detail)
    if intent.type in LIMITED:
        assert intent.price is not None
        return intent.price, intent.time_in_force
    return collared_ticks(instrument, intent.side, trigger, collar_bps), None


def _trailing(
    intent: OrderIntent,
    instrument: Instrument,
    best_bid: Decimal | None,
    best_ask: Decimal | None,
    collar_bps: int,
) -> tuple[int, TimeInForce | None] | Refused:
    assert intent.callback_bps is not None
    if not MIN_CALLBACK_BPS <= intent.callback_bps <= MAX_CALLBACK_BPS:
        detail = f"the venue takes {MIN_CALLBACK_BPS} to {MAX_CALLBACK_BPS} bps"
        shown, limit = str(intent.callback_bps), str(MAX_CALLBACK_BPS)
        return Refused(DenyReason.VENUE_FILTER, "CALLBACK_RATE", shown, limit, detail)
    touch = best_ask if intent.side is Side.BUY else best_bid
    reference = instrument.price(intent.stop) if intent.stop is not None else touch
    if reference is None or reference <= 0:
        detail = f"no price for {instrument.symbol} to trail from"
        return Refused(DenyReason.PRICE_UNAVAILABLE, "price_available", None, None, detail)
    distance = min(BPS - 1, collar_bps + intent.callback_bps if intent.side is Side.BUY else collar_bps)
    return collared_ticks(instrument, intent.side, reference, distance), None
