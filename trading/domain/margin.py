"""What a USD-M order asks of the wallet, and which orders ask nothing of anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from trading.domain.values import UNITS, Market, PositionSide, Side

MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class MarginBracket:
    """One step of a contract's maintenance table: notionals below `cap` ask for `notional * rate - cum`.

    Attributes
    ----------
    cap, cum : quote units.  rate : a share times 1e8.
    """

    cap: int
    rate: int
    cum: int


@dataclass(frozen=True, slots=True)
class MarginHeld:
    """One position as margin sees it.

    Attributes
    ----------
    notional : at mark, quote units, not negative.  traded : whether an order under judgement is about this one.
    """

    notional: int
    short: bool
    brackets: tuple[MarginBracket, ...]
    traded: bool = False


def flat_brackets(rate_ppm: int) -> tuple[MarginBracket, ...]:
    """One bracket for every notional, for a contract whose table was never read."""
    return (MarginBracket(cap=2**200, rate=rate_ppm * (UNITS // MILLION), cum=0),)


def maintenance_margin(notional: int, brackets: Sequence[MarginBracket]) -> int:
    """Return the quote units the venue demands for a position, rounded up; above the table the last bracket counts.

    Raises
    ------
    ValueError : there is no bracket, or the notional is negative.

    Source: Binance, "Leverage and Margin of USD-M Futures": notional x rate - maintenance amount.
    """
    if not brackets or notional < 0:
        raise ValueError(f"expected brackets and a notional, were {len(brackets)} and {notional}")
    bracket = next((row for row in brackets if notional < row.cap), brackets[-1])
    return max(0, -(-notional * bracket.rate // UNITS) - bracket.cum)


def with_order(
    held: Sequence[MarginHeld], side: Side, added: int, brackets: tuple[MarginBracket, ...]
) -> tuple[MarginHeld, ...]:
    """Return the positions after an order that raises the traded one by `added` quote units on its own side."""
    if added == 0:
        return tuple(held)
    short = side is Side.SELL
    if not any(row.traded for row in held):
        return (*held, MarginHeld(added, short, brackets, traded=True))
    return tuple(
        replace(row, notional=row.notional + added, short=short) if row.traded else row for row in held
    )


def maintenance_of(held: Sequence[MarginHeld]) -> int:
    """Return the maintenance margin of several positions, quote units."""
    return sum(maintenance_margin(row.notional, row.brackets) for row in held)


def liquidating_move(balance: int, held: Sequence[MarginHeld]) -> int:
    """Return how far every price may move against its position before the balance is below maintenance.

    In parts of a million of the price, rounded down; a million where no move gets there, 0 where it is already so.
    Cross margin: one balance stands for all. A long's maintenance shrinks on the way down, a short's grows.
    """
    if all(row.notional == 0 for row in held):
        return MILLION if balance >= 0 else 0

    def stands(move: int) -> bool:
        left = balance
        for row in held:
            left -= -(-row.notional * move // MILLION)
            there = row.notional * (MILLION + (move if row.short else -move))
            left -= maintenance_margin(-(-there // MILLION), row.brackets)
        return left >= 0

    low, high = -1, MILLION  # stands at low, not necessarily at high; what is left only falls with the move
    if stands(high):
        return MILLION
    while high - low > 1:
        middle = (low + high) // 2
        if stands(middle):
            low = middle
        else:
            high = middle
    return max(low, 0)


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
