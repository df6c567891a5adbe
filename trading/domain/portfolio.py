"""What fills do to the book: positions, double entry, and what it is all worth.

Positions are folds of fills. Average cost; correct for both signs and for flips. A commission is booked
once, as the venue charged it: in quote, in base (the position then holds less) or in a third asset.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Final

from trading.domain.errors import InvariantViolation
from trading.domain.orders import Fill
from trading.domain.values import Instrument, Market

WALLET: Final = "wallet"
VENUE: Final = "venue"


@dataclass(frozen=True, slots=True)
class Position:
    """One instrument's holding in units of 1e-8.

    Attributes
    ----------
    quantity : signed base units, net of commission taken in the base asset.
    cost : quote units the open quantity was paid with (long) or sold for (short); zero or more.
    realized : quote units earned by closing, before commission.
    fees : quote units of commission paid; positive is a cost. Net result = realized + unrealized - fees.
    """

    quantity: int = 0
    cost: int = 0
    realized: int = 0
    fees: int = 0

    @property
    def average_price(self) -> Decimal | None:
        """Quote per base of the open quantity (average cost), or None when flat."""
        if self.quantity == 0:
            return None
        return Decimal(self.cost) / Decimal(abs(self.quantity))


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of double entry: `amount` units of `asset` came to `account` (negative: left it)."""

    account: str
    asset: str
    amount: int
    kind: str


@dataclass(frozen=True, slots=True)
class Equity:
    """What an account is worth in quote units; `unpriced` are holdings no price was given for."""

    cash: int
    market_value: int
    unpriced: tuple[str, ...]

    @property
    def total(self) -> int:
        """Cash plus the market value of the holdings."""
        return self.cash + self.market_value


def fee_value_units(fill: Fill, instrument: Instrument, rate: Decimal | None = None) -> int:
    """Return the commission of a fill in quote units, at the fill's own price where it was base.

    Parameters
    ----------
    rate : quote per unit of the fee asset, needed only for a third asset such as BNB.

    Raises
    ------
    ValueError : the fee is in a third asset and no rate was given.
    """
    if fill.fee == 0 or fill.fee_asset == instrument.quote_asset:
        return fill.fee
    if fill.fee_asset == instrument.base_asset:
        return fill.quote * fill.fee // (fill.quantity * instrument.step_units)
    if rate is None:
        raise ValueError(f"no rate to value a fee in {fill.fee_asset}")
    return int(Fraction(rate) * fill.fee)


def fee_takes_base(fill: Fill, instrument: Instrument) -> bool:
    """Tell whether the commission leaves the position: on spot in the base asset.

    A contract is not an asset: BNBUSDT on USD-M stays whole when its commission is paid in BNB.
    """
    return instrument.market is Market.spot and fill.fee > 0 and fill.fee_asset == instrument.base_asset


def apply_fill(position: Position, fill: Fill, instrument: Instrument, fee_value_units: int) -> Position:
    """Return the position after one fill.

    Parameters
    ----------
    fee_value_units : the commission in quote units, from `fee_value_units`.

    Raises
    ------
    InvariantViolation : the fill is for another symbol, or its quantity or quote is not positive.
    """
    if fill.symbol != instrument.symbol:
        raise InvariantViolation(f"a fill of {fill.symbol} cannot change {instrument.symbol}")
    if fill.quantity <= 0 or fill.quote < 0:
        raise InvariantViolation(f"trade {fill.trade_id}: quantity {fill.quantity}, quote {fill.quote}")
    quantity, quote = fill.quantity * instrument.step_units, fill.quote
    if fee_takes_base(fill, instrument):
        # A fee in base is base given up at the fill's price: less is bought, or more is sold.
        quantity -= fill.side.sign * fill.fee
        quote -= fill.side.sign * fee_value_units
    traded = trade_units(position, fill.side.sign * quantity, quote)
    return replace(traded, fees=traded.fees + fee_value_units)


def trade_units(position: Position, signed: int, quote: int) -> Position:
    """Return the position after base units were bought (or, negative, sold) for quote units, commission aside.

    They need not be whole steps: what changes owner inside the account never was at the venue.
    """
    held, traded = abs(position.quantity), abs(signed)
    if position.quantity * signed >= 0:
        return replace(position, quantity=position.quantity + signed, cost=position.cost + quote)
    closed = min(held, traded)
    # The whole of a part takes the whole of its money, so that rounding never leaves a remainder.
    cost_closed = position.cost if closed == held else position.cost * closed // held
    quote_closed = quote if closed == traded else quote * closed // traded
    gained = quote_closed - cost_closed if position.quantity > 0 else cost_closed - quote_closed
    return replace(
        position,
        quantity=position.quantity + signed,
        cost=position.cost - cost_closed + (quote - quote_closed),
        realized=position.realized + gained,
    )


def as_told(position: Position, computed: int, told: int | None) -> Position:
    """Return the position with the venue's own result of its last fill in place of ours.

    USD-M states what every fill realised, and that is what the wallet gets. Both come from the average cost and
    differ, if at all, in how a fraction of a unit was cut; the difference stays in the cost while something is open.

    Parameters
    ----------
    computed : what `apply_fill` added to `realized`.  told : the venue's figure, None where it states none.
    """
    if told is None or told == computed:
        return position
    difference = told - computed
    if position.quantity == 0:
        return replace(position, realized=position.realized + difference)
    sign = 1 if position.quantity > 0 else -1
    return replace(
        position,
        realized=position.realized + difference,
        cost=max(0, position.cost + sign * difference),
    )


def fold(
    fills: Iterable[tuple[Fill, int]], instrument: Instrument, start: Position | None = None
) -> Position:
    """Fold (fill, fee value in quote units) pairs into a position; each venue trade counts once.

    Raises
    ------
    InvariantViolation : two different fills carry one trade id.
    """
    position = start or Position()
    seen: dict[int, Fill] = {}
    for fill, fee_value in fills:
        known = seen.get(fill.trade_id)
        if known is not None:
            if known != fill:
                raise InvariantViolation(f"trade {fill.trade_id} of {fill.symbol} was told in two ways")
            continue
        seen[fill.trade_id] = fill
        position = apply_fill(position, fill, instrument, fee_value)
    return position


def is_dust(quantity: int, instrument: Instrument, price: Decimal | None) -> bool:
    """Tell whether a remainder is too little for the venue to trade, so that it stays until more is bought.

    On spot less than a step, the least quantity or the least notional. A contract can always be closed in whole steps.

    Parameters
    ----------
    quantity : signed base units.  price : without one only the quantity is judged.
    """
    size = abs(quantity)
    steps = size // instrument.step_units
    if size == 0:
        return False
    if steps == 0 or instrument.market is not Market.spot:
        return steps == 0
    tradable = instrument.quantity(steps)
    if tradable < max(instrument.min_quantity, instrument.market_min_quantity):
        return True
    return price is not None and Fraction(tradable) * Fraction(price) < Fraction(instrument.min_notional)


def unrealized(position: Position, mark: Decimal) -> int:
    """Return the result of closing at `mark`, in quote units, before commission."""
    if position.quantity == 0:
        return 0
    value = market_value(abs(position.quantity), mark)
    return value - position.cost if position.quantity > 0 else position.cost - value


def market_value(quantity: int, price: Decimal) -> int:
    """Return signed base units at a price, in quote units rounded down."""
    top, bottom = price.as_integer_ratio()
    return quantity * top // bottom


def wallet_lines(fill: Fill, instrument: Instrument, realized: int) -> list[tuple[str, int, str]]:
    """Return what a fill does to the wallet, as (asset, units, kind).

    Spot exchanges base for quote. USD-M exchanges nothing: the wallet gets what the fill realised.
    The commission is a line of its own, in whatever asset it was paid.
    """
    if instrument.market is Market.spot:
        base = fill.side.sign * fill.quantity * instrument.step_units
        lines = [
            (instrument.base_asset, base, "trade"),
            (instrument.quote_asset, -fill.side.sign * fill.quote, "trade"),
        ]
    else:
        lines = [(instrument.quote_asset, realized, "realized")]
    if fill.fee:
        lines.append((fill.fee_asset, -fill.fee, "fee"))
    return lines


def postings(fill: Fill, instrument: Instrument, realized: int = 0) -> tuple[Posting, ...]:
    """Return the double entry of a fill: what the wallet gains or gives, against the venue.

    Every asset sums to zero.
    """
    return tuple(
        Posting(account, asset, amount if account == WALLET else -amount, kind)
        for asset, amount, kind in wallet_lines(fill, instrument, realized)
        for account in (WALLET, VENUE)
    )


def equity(balances: Mapping[str, int], mids: Mapping[str, Decimal], cash_asset: str = "USDT") -> Equity:
    """Value an account: cash plus holdings at the middle price, never cash plus unrealised (W3).

    Parameters
    ----------
    balances : asset -> units, free and locked together.
    mids : asset -> middle price in the cash asset of one whole unit of it.

    A holding without a price is named in `unpriced` and counts as nothing.
    """
    value, unpriced = 0, []
    for asset, amount in sorted(balances.items()):
        if asset == cash_asset or amount == 0:
            continue
        mid = mids.get(asset)
        if mid is None:
            unpriced.append(asset)
        else:
            value += market_value(amount, mid)
    return Equity(balances.get(cash_asset, 0), value, tuple(unpriced))


def gross_exposure(notionals: Iterable[int]) -> int:
    """Return the sum of absolute notionals: longs and shorts never hide each other (W6)."""
    return sum(abs(notional) for notional in notionals)


def net_exposure(notionals: Iterable[int]) -> int:
    """Return the sum of signed notionals."""
    return sum(notionals)
