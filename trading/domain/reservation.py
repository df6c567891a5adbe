"""How caps are held: an order reserves notional, its fills carry it over, its end gives the rest back.

Pure arithmetic in base units and quote units (1e-8). A bucket (symbol, strategy, account, global) is
always the sum of what open orders hold and what positions carry; nothing is created or lost by rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from trading.domain.errors import InvariantViolation
from trading.domain.values import Side


def worst_case(position: int, open_buy: int, open_sell: int) -> int:
    """Return the largest absolute position the open orders could lead to, in base units."""
    return max(abs(position + open_buy), abs(position - open_sell))


def exposure_increase(position: int, open_buy: int, open_sell: int, side: Side, quantity: int) -> int:
    """Return by how many base units an order raises the worst case; 0 for one that only reduces.

    Parameters
    ----------
    position : signed; `open_buy`, `open_sell`, `quantity` : zero or more; all base units.
    """
    before = worst_case(position, open_buy, open_sell)
    if side is Side.BUY:
        return worst_case(position, open_buy + quantity, open_sell) - before
    return worst_case(position, open_buy, open_sell + quantity) - before


def is_reducing(side: Side, quantity: int, *, position: int, open_buy: int, open_sell: int) -> bool:
    """Tell whether an order can only shrink the position, whatever fills first.

    On spot: a SELL not larger than what is held and not yet promised to other sells. All base units.
    """
    if quantity <= 0:
        return False
    if side is Side.SELL:
        return quantity <= position - open_sell
    return quantity <= -position - open_buy


def reserved_notional(notional: int, increase: int, quantity: int) -> int:
    """Return the quote units an order must reserve: its notional times the part that raises exposure.

    Parameters
    ----------
    notional : of the whole order at its reservation price (its limit, which for a market-like order is
        the touch plus the collar), quote units.
    increase : of that order, from `exposure_increase`; quantity : of the order; both base units.

    Raises
    ------
    ValueError : the quantity is not positive, or the increase is not between zero and the quantity.
    """
    if quantity <= 0 or not 0 <= increase <= quantity:
        raise ValueError(f"expected 0 <= increase <= quantity, were {increase} and {quantity}")
    return -(-notional * increase // quantity)


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one order still holds: base units not yet filled, and quote units of the caps (0 once ended)."""

    quantity: int
    notional: int
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Carried:
    """What one position holds of the caps: signed base units, and quote units at reservation prices."""

    quantity: int = 0
    notional: int = 0


@dataclass(frozen=True, slots=True)
class Settlement:
    """The books after a fill; `bucket_delta` is what every bucket of the order changes by."""

    reservation: Reservation
    carried: Carried
    bucket_delta: int


def release_on_fill(reservation: Reservation, filled: int) -> tuple[Reservation, int]:
    """Take a fill's share out of a reservation, pro rata; the last fill takes all that is left.

    Returns
    -------
    The reservation after it, and the quote units that moved.

    Raises
    ------
    InvariantViolation : more was filled than the order has left.
    """
    if filled <= 0 or filled > reservation.quantity:
        raise InvariantViolation(f"filled {filled} of {reservation.quantity} base units left")
    moved = reservation.notional * filled // reservation.quantity
    left = replace(
        reservation,
        quantity=reservation.quantity - filled,
        notional=reservation.notional - moved,
    )
    return left, moved


def release_on_end(reservation: Reservation) -> tuple[Reservation, int]:
    """Give back what a cancelled, expired, rejected, released or absent order still holds, once.

    A second call returns zero, so a repeated report cannot release twice. The unfilled quantity stays
    known: a fill told after the end (reports overtake each other) is still booked, at what it cost.
    """
    return replace(reservation, notional=0, ended=True), reservation.notional


def settle_fill(
    reservation: Reservation,
    carried: Carried,
    side: Side,
    filled: int,
    quote: int,
    fee_base: int = 0,
) -> Settlement:
    """Move a fill through the books: shrink the position's part first, carry the rest.

    A reducing part releases carried notional pro rata. An opening part carries what its order had
    reserved; when the order had reserved nothing for it (an adopted order, or one that turned out to
    flip the position) it carries what the fill cost: a real fill is always booked, whatever the cap.

    Parameters
    ----------
    filled : base units; quote : quote units of the fill.
    fee_base : base units of it that the venue kept as commission; the position never held them.

    Raises
    ------
    InvariantViolation : more was filled than the order has left.
    """
    left, moved = release_on_fill(reservation, filled)
    opposite = carried.quantity * side.sign < 0
    closing = min(abs(carried.quantity), filled) if opposite else 0
    opening = filled - closing
    after, released = release_carried(carried, closing)
    opened = 0
    if opening:
        opened = moved if moved else quote * opening // filled
    after = Carried(after.quantity + side.sign * opening - fee_base, after.notional + opened)
    if after.quantity == 0:
        released, after = released + after.notional, Carried()
    return Settlement(left, after, bucket_delta=opened - moved - released)


def release_carried(carried: Carried, reduced: int) -> tuple[Carried, int]:
    """Shrink a position by `reduced` base units and release its notional pro rata; all when flat.

    Raises
    ------
    InvariantViolation : the position is smaller than that.
    """
    held = abs(carried.quantity)
    if reduced < 0 or reduced > held:
        raise InvariantViolation(f"reduced {reduced} of {held} base units held")
    if reduced == 0:
        return carried, 0
    released = carried.notional if reduced == held else carried.notional * reduced // held
    sign = 1 if carried.quantity > 0 else -1
    return Carried(carried.quantity - sign * reduced, carried.notional - released), released
