"""What a USD-M order asks of the wallet, and which orders ask nothing of anything."""

from __future__ import annotations

from trading.domain.values import Market, PositionSide, Side


def venue_only_reduces(
    market: Market, side: Side, position_side: PositionSide, *, reduce_only: bool, close_position: bool
) -> bool:
    """Tell whether the venue itself keeps an order from ever adding to a position.

    On USD-M it cuts reduce-only and close-position orders to what is left, and in hedge mode a SELL of a LONG and a
    BUY of a SHORT can only close. Such an order holds no exposure, no open quantity and no margin, so exits may wait
    beside each other. Spot has no such order: there a sale locks what it sells.
    """
    if market is Market.spot:
        return False
    if reduce_only or close_position:
        return True
    if position_side is PositionSide.LONG:
        return side is Side.SELL
    if position_side is PositionSide.SHORT:
        return side is Side.BUY
    return False


def initial_margin(notional: int, leverage: int) -> int:
    """Return the quote units the venue sets aside for a notional at a leverage, rounded up.

    Raises
    ------
    ValueError : the leverage is below one or the notional is negative.
    """
    if leverage < 1 or notional < 0:
        raise ValueError(f"expected a leverage of one or more and a notional, were {leverage} and {notional}")
    return -(-notional // leverage)


def order_margin(notional: int, opening: int, quantity: int, leverage: int, fee_bps: int) -> int:
    """Return what an order must hold of the wallet: margin of the part that opens, and its fee.

    Parameters
    ----------
    notional : of the whole order at its reservation price, quote units.
    opening : the base units of it that raise the position's worst case, of `quantity`.
    fee_bps : the highest commission the venue may take of the whole order.
    """
    if quantity <= 0 or not 0 <= opening <= quantity:
        raise ValueError(f"expected 0 <= opening <= quantity, were {opening} and {quantity}")
    opened = -(-notional * opening // quantity)
    return initial_margin(opened, leverage) + -(-opened * fee_bps // 10_000)
