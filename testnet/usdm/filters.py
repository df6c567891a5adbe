"""The filters of USD-M orders, in the order they are applied; breaches are -4xxx, unlike spot's."""

from __future__ import annotations

from testnet.errors import ApiError, too_precise
from testnet.instruments import Instrument
from testnet.orders import NewOrder
from testnet.usdm.margin import terms
from testnet.values import DECIMALS, SCALE, trimmed_text


def check_quantity(quantity: int, instrument: Instrument, *, is_market: bool) -> None:
    """LOT_SIZE, or MARKET_LOT_SIZE for a market order."""
    if quantity <= 0:
        raise ApiError(-4003, "Quantity less than or equal to zero.")
    if quantity % 10 ** (DECIMALS - terms(instrument).quantity_precision):
        raise too_precise("quantity", instrument.market)
    if quantity < instrument.min_qty:
        raise ApiError(-4004, "Quantity less than min quantity.")
    if quantity > (instrument.market_max_qty if is_market else instrument.max_qty):
        raise ApiError(-4005, "Quantity greater than max quantity.")
    if quantity % instrument.step_size:
        raise ApiError(-4023, "Qty not increased by step size.")


def check_price(price: int, instrument: Instrument) -> None:
    """PRICE_FILTER."""
    if price <= 0:
        raise ApiError(-4001, "Price less than 0.")
    if price % 10 ** (DECIMALS - terms(instrument).price_precision):
        raise too_precise("price", instrument.market)
    if price > instrument.max_price:
        raise ApiError(-4002, "Price greater than max price.")
    if price < instrument.min_price:
        raise ApiError(-4013, "Price less than min price.")
    if price % instrument.tick_size:
        raise ApiError(-4014, "Price not increased by tick size.")


def check_percent_price(side: str, price: int, instrument: Instrument, mark: int) -> None:
    """PERCENT_PRICE: a purchase not too far above the mark price, a sale not too far below it."""
    perpetual = terms(instrument)
    highest = mark * perpetual.multiplier_up // SCALE // instrument.tick * instrument.tick
    lowest = -(-mark * perpetual.multiplier_down // SCALE // instrument.tick) * instrument.tick
    if side == "BUY" and price > highest:
        raise ApiError(-4016, f"Limit price can't be higher than {trimmed_text(highest)}.")
    if side == "SELL" and price < lowest:
        raise ApiError(-4024, f"Limit price can't be lower than {trimmed_text(lowest)}.")


def check_notional(quantity: int, price: int, instrument: Instrument) -> None:
    """MIN_NOTIONAL; market orders are valued at the mark price."""
    if quantity * price < instrument.min_notional * SCALE:
        raise ApiError(
            -4164,
            f"Order's notional must be no smaller than {trimmed_text(instrument.min_notional)} "
            "(unless you choose reduce only).",
        )


def check_filters(request: NewOrder, instrument: Instrument, mark: int, *, reduces: bool) -> None:
    """Apply every filter to an order about to be placed.

    Raises
    ------
    ApiError : -1111 or -4xxx, for the first filter that fails.
    """
    is_market = request.type == "MARKET"
    check_quantity(request.quantity, instrument, is_market=is_market)
    if not is_market:
        check_price(request.price, instrument)
        check_percent_price(request.side, request.price, instrument, mark)
    if not reduces:
        check_notional(request.quantity, mark if is_market else request.price, instrument)
