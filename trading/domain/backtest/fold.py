"""What a fill does to a position and to the notional it carries against the caps, on whole numbers.

The same numbers as `portfolio.apply_fill` and `reservation.settle_fill` for an order that fills whole.
"""

from __future__ import annotations

from trading.domain.backtest.arithmetic import mul_div, mul_div_up
from trading.domain.backtest.scale import Scale, base_quantity


def fold_trade(position: int, cost: int, realized: int, signed: int, quote: int) -> tuple[int, int, int]:
    """Return (position, cost, realized) after trading `signed` steps for `quote` units, at average cost.

    Parameters
    ----------
    position, signed : steps, negative is short or sold.
    cost : quote units paid (long) or got (short) for the open quantity.
    realized : quote units earned by closing, before fees.
    """
    if position == 0 or (position > 0) == (signed > 0):
        return position + signed, cost + quote, realized
    if position + signed == 0:
        return 0, 0, realized + (quote - cost if position > 0 else cost - quote)
    held, traded = abs(position), abs(signed)
    closed = min(held, traded)
    # The whole of a part takes the whole of its money, so that rounding never leaves a remainder.
    cost_closed = cost if closed == held else mul_div(cost, closed, held)
    quote_closed = quote if closed == traded else mul_div(quote, closed, traded)
    gained = quote_closed - cost_closed if position > 0 else cost_closed - quote_closed
    return position + signed, cost - cost_closed + quote - quote_closed, realized + gained


def average_price(scale: Scale, cost: int, position: int) -> float:
    """Return the average price of the open position in quote currency, 0.0 when flat."""
    return cost / 1e8 / base_quantity(scale, abs(position)) if position != 0 else 0.0


def cost_quote(cost: int, position: int) -> float:
    """Return what the open position was paid with in quote currency, negative for a short one.

    Its result at a price, before fees, is base quantity x price - this.
    """
    if position == 0:
        return 0.0
    return cost / 1e8 if position > 0 else -cost / 1e8


def reserve(position: int, signed: int, notional: int, open_buy: int = 0, open_sell: int = 0) -> int:
    """Return the quote units an order adds to the exposure buckets; 0 when it raises no exposure.

    Parameters
    ----------
    position : signed steps held.  notional : of the whole order at its limit.
    open_buy, open_sell : steps of other open orders on the symbol.
    """
    if open_buy == 0 and open_sell == 0:
        # The common cases of the quotient below: the whole order adds, or nothing of it.
        if position == 0 or (position > 0) == (signed > 0):
            return notional
        if (position + signed > 0) == (position > 0) or position + signed == 0:
            return 0
    before = max(abs(position + open_buy), abs(position - open_sell))
    if signed > 0:
        after = max(abs(position + open_buy + signed), abs(position - open_sell))
    else:
        after = max(abs(position + open_buy), abs(position - open_sell + signed))
    return mul_div_up(notional, after - before, abs(signed))


def carried_after(position: int, carried: int, signed: int, reserved: int, quote: int) -> int:
    """Return what the position carries of the caps after an order of `signed` steps filled whole.

    Parameters
    ----------
    position : steps before the fill.  carried : quote units it carries.
    reserved : quote units the order had reserved.  quote : what the fill cost.
    """
    if position + signed == 0:
        return 0
    if position == 0:
        return reserved if reserved > 0 else quote
    held, filled = abs(position), abs(signed)
    closing = min(held, filled) if (position > 0) != (signed > 0) else 0
    opening = filled - closing
    left = 0 if closing == held else carried - mul_div(carried, closing, held)
    if opening == 0:
        return left
    return left + (reserved if reserved > 0 else mul_div(quote, opening, filled))
