"""The symbol filters, one function each, in the order they are applied."""

from __future__ import annotations

from dataclasses import dataclass

from testnet.errors import filter_failure
from testnet.instruments import Instrument
from testnet.orders import NO_LIMIT, NewOrder
from testnet.values import SCALE


@dataclass(frozen=True, slots=True)
class OpenCounts:
    """What an account would have open on a symbol with the request; `position` in base units before it."""

    orders: int
    algos: int = 0
    icebergs: int = 0
    position: int = 0


def check_price(order: NewOrder, instrument: Instrument) -> None:
    """PRICE_FILTER: range and tick, of the limit and of the stop price."""
    prices = [] if order.type in NO_LIMIT else [order.price]
    if order.stop is not None and order.stop.price:
        prices.append(order.stop.price)
    for price in prices:
        if not instrument.min_price <= price <= instrument.max_price or price % instrument.tick_size:
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
    """LOT_SIZE: range and step, of the quantity and of the visible part of an iceberg."""
    for quantity in (order.quantity, order.iceberg) if order.iceberg else (order.quantity,):
        if not instrument.min_qty <= quantity <= instrument.max_qty or quantity % instrument.step_size:
            raise filter_failure("LOT_SIZE")


def check_market_lot_size(order: NewOrder, instrument: Instrument) -> None:
    """MARKET_LOT_SIZE: the largest market order."""
    if order.quantity > instrument.market_max_qty:
        raise filter_failure("MARKET_LOT_SIZE")


def check_notional(order: NewOrder, instrument: Instrument, average: int) -> None:
    """NOTIONAL: smallest and largest value; orders without a limit are valued at the average price."""
    any_price = order.type in NO_LIMIT
    if order.quote_quantity:
        notional = order.quote_quantity
    else:
        price = average if any_price else order.price
        notional = price * order.quantity // SCALE
    if notional < instrument.min_notional or (not any_price and notional > instrument.max_notional):
        raise filter_failure("NOTIONAL")


def check_iceberg_parts(order: NewOrder, instrument: Instrument) -> None:
    """ICEBERG_PARTS: how many visible parts an order may have."""
    if order.iceberg and -(-order.quantity // order.iceberg) > instrument.iceberg_parts:
        raise filter_failure("ICEBERG_PARTS")


def check_trailing_delta(order: NewOrder, instrument: Instrument) -> None:
    """TRAILING_DELTA: the distance a trailing stop may keep."""
    if order.stop is None or not order.stop.trailing_bips:
        return
    if not instrument.trailing_min <= order.stop.trailing_bips <= instrument.trailing_max:
        raise filter_failure("TRAILING_DELTA")


def check_counts(order: NewOrder, instrument: Instrument, counts: OpenCounts) -> None:
    """MAX_NUM_ORDERS, MAX_NUM_ALGO_ORDERS, MAX_NUM_ICEBERG_ORDERS; a market order is never open."""
    if order.type != "MARKET" and counts.orders > instrument.max_orders:
        raise filter_failure("MAX_NUM_ORDERS")
    if order.stop is not None and counts.algos > instrument.max_algo_orders:
        raise filter_failure("MAX_NUM_ALGO_ORDERS")
    if order.iceberg and counts.icebergs > instrument.max_iceberg_orders:
        raise filter_failure("MAX_NUM_ICEBERG_ORDERS")


def check_max_position(order: NewOrder, instrument: Instrument, counts: OpenCounts) -> None:
    """MAX_POSITION: base asset held and being bought, with this order."""
    if not instrument.max_position or order.side != "BUY":
        return
    if counts.position + order.quantity > instrument.max_position:
        raise filter_failure("MAX_POSITION")


def check_filters(order: NewOrder, instrument: Instrument, average: int, counts: OpenCounts) -> None:
    """Apply every filter.

    Raises
    ------
    ApiError : -1013 naming the first filter that fails.
    """
    check_price(order, instrument)
    if order.type not in NO_LIMIT:
        check_percent_price(order, instrument, average)
    if not order.quote_quantity:
        check_lot_size(order, instrument)
        if order.type == "MARKET":
            check_market_lot_size(order, instrument)
    check_notional(order, instrument, average)
    check_iceberg_parts(order, instrument)
    check_trailing_delta(order, instrument)
    check_counts(order, instrument, counts)
    check_max_position(order, instrument, counts)
