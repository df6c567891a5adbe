"""The symbol filters, one function each, in the order they are applied."""

from __future__ import annotations

from testnet.errors import filter_failure
from testnet.instruments import Instrument
from testnet.orders import NewOrder
from testnet.values import SCALE


def check_price(order: NewOrder, instrument: Instrument) -> None:
    """PRICE_FILTER: range and tick."""
    if not instrument.min_price <= order.price <= instrument.max_price or order.price % instrument.tick:
        raise filter_failure("PRICE_FILTER")


def check_percent_price(order: NewOrder, instrument: Instrument, average: int) -> None:
    """PERCENT_PRICE_BY_SIDE: a band round the average price, other for bids than for asks."""
    up, down = (
        (instrument.bid_up, instrument.bid_down)
        if order.side == "BUY"
        else (instrument.ask_up, instrument.ask_down)
    )
    if not average * down <= order.price * 100 <= average * up:
        raise filter_failure("PERCENT_PRICE_BY_SIDE")


def check_lot_size(order: NewOrder, instrument: Instrument) -> None:
    """LOT_SIZE: range and step."""
    if not instrument.min_qty <= order.quantity <= instrument.max_qty or order.quantity % instrument.step:
        raise filter_failure("LOT_SIZE")


def check_market_lot_size(order: NewOrder, instrument: Instrument) -> None:
    """MARKET_LOT_SIZE: the largest market order."""
    if order.quantity > instrument.market_max_qty:
        raise filter_failure("MARKET_LOT_SIZE")


def check_notional(order: NewOrder, instrument: Instrument, average: int) -> None:
    """NOTIONAL: smallest and largest value; market orders are valued at the average price."""
    is_market = order.type == "MARKET"
    if order.quote_quantity:
        notional = order.quote_quantity
    else:
        price = average if is_market else order.price
        notional = price * order.quantity // SCALE
    if notional < instrument.min_notional or (not is_market and notional > instrument.max_notional):
        raise filter_failure("NOTIONAL")


def check_filters(order: NewOrder, instrument: Instrument, average: int, open_orders: int) -> None:
    """Apply every filter.

    Raises
    ------
    ApiError : -1013 naming the first filter that fails.
    """
    if order.type != "MARKET":
        check_price(order, instrument)
        check_percent_price(order, instrument, average)
    if not order.quote_quantity:
        check_lot_size(order, instrument)
        if order.type == "MARKET":
            check_market_lot_size(order, instrument)
    check_notional(order, instrument, average)
    if order.type != "MARKET" and open_orders >= instrument.max_orders:
        raise filter_failure("MAX_NUM_ORDERS")
