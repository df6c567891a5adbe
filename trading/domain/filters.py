"""The venue's filters, checked before anything is sent, each failure under the venue's own name."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from trading.domain.values import Instrument, Side, decimal_text, exact_product, times_of


@dataclass(frozen=True, slots=True)
class FilterFailure:
    """The first filter an order breaks, with both numbers as text and a sentence for people."""

    name: str
    measured: str
    limit: str
    detail: str


def check_filters(
    instrument: Instrument,
    *,
    side: Side,
    ticks: int,
    steps: int,
    is_market: bool,
    reference: Fraction | None = None,
    open_orders: int = 0,
    reduces: bool = False,
) -> FilterFailure | None:
    """Return the first filter that refuses the order, or None.

    Parameters
    ----------
    ticks, steps : limit price and quantity; for a market-like order the price of its protective limit.
    is_market : the order was asked for as MARKET, so the market lot and notional rules apply as well.
    reference : price the percent-price band is taken around; without it that band is not checked.
    open_orders : orders already open on the symbol.
    reduces : a USD-M order that only reduces, which that market frees from its minimum notional.
    """
    price, quantity = instrument.price(ticks), instrument.quantity(steps)
    for check in (
        _price_filter(instrument, price),
        _lot("LOT_SIZE", quantity, instrument.min_quantity, instrument.max_quantity, Decimal(0)),
        _lot(
            "MARKET_LOT_SIZE",
            quantity,
            instrument.market_min_quantity,
            instrument.market_max_quantity,
            instrument.market_step_size,
        )
        if is_market
        else None,
        _notional(instrument, ticks, steps, is_market=is_market, reduces=reduces),
        _percent_price(instrument, side, price, reference),
        _open_orders(instrument, open_orders),
    ):
        if check is not None:
            return check
    return None


def _failure(name: str, measured: Decimal, limit: Decimal, sentence: str) -> FilterFailure:
    shown, bound = decimal_text(measured), decimal_text(limit)
    return FilterFailure(name, shown, bound, f"{name}: {sentence.format(measured=shown, limit=bound)}")


def _price_filter(instrument: Instrument, price: Decimal) -> FilterFailure | None:
    if price <= 0:
        return _failure("PRICE_FILTER", price, instrument.tick_size, "price {measured} is not positive")
    if instrument.min_price and price < instrument.min_price:
        text = "price {measured} is below the minimum {limit}"
        return _failure("PRICE_FILTER", price, instrument.min_price, text)
    if instrument.max_price and price > instrument.max_price:
        text = "price {measured} is above the maximum {limit}"
        return _failure("PRICE_FILTER", price, instrument.max_price, text)
    return None


def _lot(name: str, quantity: Decimal, low: Decimal, high: Decimal, step: Decimal) -> FilterFailure | None:
    if quantity <= 0:
        return _failure(name, quantity, low, "quantity {measured} is not positive")
    if low and quantity < low:
        return _failure(name, quantity, low, "quantity {measured} is below the minimum {limit}")
    if high and quantity > high:
        return _failure(name, quantity, high, "quantity {measured} is above the maximum {limit}")
    if step and not times_of(quantity, step)[1]:
        return _failure(name, quantity, step, "quantity {measured} is not a multiple of the step {limit}")
    return None


def _notional(
    instrument: Instrument, ticks: int, steps: int, *, is_market: bool, reduces: bool
) -> FilterFailure | None:
    # Exact, not in units: the venue compares the product itself.
    notional = exact_product(instrument.price(ticks), instrument.quantity(steps))
    exempt = reduces and instrument.market == "usdm"
    low = instrument.min_notional if (instrument.apply_min_to_market or not is_market) else Decimal(0)
    if low and notional < low and not exempt:
        return _failure("NOTIONAL", notional, low, "notional {measured} is below the minimum {limit}")
    high = instrument.max_notional if (instrument.apply_max_to_market or not is_market) else Decimal(0)
    if high and notional > high:
        return _failure("NOTIONAL", notional, high, "notional {measured} is above the maximum {limit}")
    return None


def _percent_price(
    instrument: Instrument, side: Side, price: Decimal, reference: Fraction | None
) -> FilterFailure | None:
    if instrument.percent_price is None or reference is None:
        return None
    bid_up, bid_down, ask_up, ask_down = instrument.percent_price
    up, down = (bid_up, bid_down) if side is Side.BUY else (ask_up, ask_down)
    name = "PERCENT_PRICE"
    ratio = Fraction(price) / reference
    shown = Decimal(f"{float(ratio):.6f}")
    if up and ratio > Fraction(up):
        return _failure(name, shown, up, "price is {measured} of the average price, at most {limit}")
    if down and ratio < Fraction(down):
        return _failure(name, shown, down, "price is {measured} of the average price, at least {limit}")
    return None


def _open_orders(instrument: Instrument, open_orders: int) -> FilterFailure | None:
    if instrument.max_open_orders and open_orders + 1 > instrument.max_open_orders:
        text = "{measured} open orders with this one, at most {limit}"
        return _failure("MAX_NUM_ORDERS", Decimal(open_orders + 1), Decimal(instrument.max_open_orders), text)
    return None
