"""Why a live result is not the backtest's: signal, fill, fee and latency, which add up to the difference.

With every quantity valued at one last price M, a live trade of s q at price p, which was decided when the backtest
would have traded at r and left us when the market stood at a, earns

    s q (M - p) = s q (M - r) - s q (a - r) - s q (p - a)

Summed over trades, against a backtest that follows the recorded decisions and trades quantities Q at r:

    latency  = - sum s q (a - r)                      the market moved before the order left
    price    = - sum s q (p - a)                      what it traded at beyond that
    size     =   sum s q (M - r) - sum s Q (M - R)    other quantities: unfilled, denied, rounded, still working
    fee      = - (fees paid - fees modelled)
    signal   =   backtest of the recorded decisions - backtest of its own decisions

Live minus backtest is the sum of the five, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Traded:
    """One live execution; quantity signed, money in quote currency.

    Attributes
    ----------
    reference : what the backtest would have traded at.  arrival : the middle when the order was made.
    """

    quantity: Decimal
    price: Decimal
    fee: Decimal
    reference: Decimal
    arrival: Decimal


@dataclass(frozen=True, slots=True)
class Split:
    """Effects on the result in quote currency, negative is worse live; they sum to `live - backtest`.

    Attributes
    ----------
    carried : what the position held before the first decision earned, which the backtest did not hold.
    followed : result of the backtest that repeats the recorded decisions.
    """

    live: Decimal
    backtest: Decimal
    followed: Decimal
    signal: Decimal
    latency: Decimal
    price: Decimal
    size: Decimal
    fee: Decimal
    carried: Decimal

    @property
    def fill(self) -> Decimal:
        """Price and size together: how it was filled."""
        return self.price + self.size

    @property
    def difference(self) -> Decimal:
        """Live less backtest."""
        return self.live - self.backtest


def split(
    traded: Sequence[Traded],
    *,
    last_price: Decimal,
    carried_quantity: Decimal,
    carried_price: Decimal,
    followed: Decimal,
    followed_fees: Decimal,
    backtest: Decimal,
) -> Split:
    """Split the difference between a live result and a backtest.

    Parameters
    ----------
    carried_quantity, carried_price : held before the first decision, and its value then.
    followed, followed_fees : result after fees, and fees, of the backtest of the recorded decisions.
    backtest : result after fees of the backtest of its own decisions.
    """
    carried = carried_quantity * (last_price - carried_price)
    fees = sum((t.fee for t in traded), ZERO)
    at_reference = sum((t.quantity * (last_price - t.reference) for t in traded), ZERO)
    latency = -sum((t.quantity * (t.arrival - t.reference) for t in traded), ZERO)
    price = -sum((t.quantity * (t.price - t.arrival) for t in traded), ZERO)
    live = carried + sum((t.quantity * (last_price - t.price) for t in traded), ZERO) - fees
    return Split(
        live=live,
        backtest=backtest,
        followed=followed,
        signal=followed - backtest,
        latency=latency,
        price=price,
        size=at_reference - (followed + followed_fees),
        fee=followed_fees - fees,
        carried=carried,
    )
