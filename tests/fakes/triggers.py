"""When a conditional order's price is reached, by the touch it would trade at."""

from __future__ import annotations

from decimal import Decimal

from trading.domain.ports import VenueOrder
from trading.domain.values import OrderType, Side

TAKES_AT_ONCE = frozenset(
    {OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET, OrderType.TRAILING_STOP_MARKET}
)
"""Types that become market orders."""
_STOPS = frozenset({OrderType.STOP_MARKET, OrderType.STOP_LIMIT})


def is_reached(order: VenueOrder, touch: Decimal) -> bool:
    """Whether a stop or a take-profit is due: stops follow the market, take-profits wait against it."""
    assert order.stop_price is not None
    rises = (order.side is Side.BUY) == (order.type in _STOPS)
    return touch >= order.stop_price if rises else touch <= order.stop_price


def trails(order: VenueOrder, extreme: Decimal | None, touch: Decimal) -> tuple[bool, Decimal | None]:
    """Whether a trailing stop is due, and the best price since it was activated (None before that)."""
    selling = order.side is Side.SELL
    if extreme is None:
        activated = order.stop_price is None or (
            touch >= order.stop_price if selling else touch <= order.stop_price
        )
        return False, touch if activated else None
    extreme = max(extreme, touch) if selling else min(extreme, touch)
    distance = extreme * Decimal(order.callback_bps or 0) / 10_000
    return (touch <= extreme - distance if selling else touch >= extreme + distance), extreme
