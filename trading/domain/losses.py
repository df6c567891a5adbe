"""What a strategy has won or lost: the fold of its fills, valued at present prices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, Decimal

from trading.domain.values import Side

ZERO = Decimal(0)
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class TradeResult:
    """One fill as far as results go: quote currency, and base units of the instrument.

    Attributes
    ----------
    commission : quote currency; zero where `kept` is the commission.  kept : base units the venue took instead.
    realized : what closing with it won or lost, before commission; zero when it only opened.
    """

    fill: int
    order: int
    instrument: int
    side: Side
    quantity: Decimal
    quote: Decimal
    commission: Decimal
    kept: Decimal
    realized: Decimal
    at_ns: int


@dataclass(frozen=True, slots=True)
class Tally:
    """A strategy's results so far: cash won, what it holds, and its running streak of losing trades."""

    cursor: int = 0
    cash: Decimal = ZERO
    holdings: Mapping[int, Decimal] = field(default_factory=dict)
    streak: int = 0
    last_loss_ns: int | None = None
    order: int = 0
    result: Decimal = ZERO


def fold(tally: Tally, trades: Iterable[TradeResult]) -> Tally:
    """Add fills in the order of their ids; one that is in the tally already changes nothing.

    A losing trade is an order whose closing fills lost in all. Fills of one order that come in pieces are one trade:
    the verdict on it is corrected as the pieces arrive.
    """
    holdings = dict(tally.holdings)
    for trade in trades:
        if trade.fill <= tally.cursor:
            continue
        sign = trade.side.sign
        holdings[trade.instrument] = holdings.get(trade.instrument, ZERO) + sign * trade.quantity - trade.kept
        cash = tally.cash - sign * trade.quote - trade.commission
        tally = replace(tally, cursor=trade.fill, cash=cash)
        if trade.realized == 0:
            continue
        tally = _closed(tally, trade)
    return replace(tally, holdings={key: amount for key, amount in holdings.items() if amount != 0})


def _closed(tally: Tally, trade: TradeResult) -> Tally:
    same = trade.order == tally.order
    before = tally.result if same else ZERO
    after = before + trade.realized
    counted = same and before < 0
    if after < 0:
        return replace(
            tally,
            order=trade.order,
            result=after,
            streak=tally.streak + (0 if counted else 1),
            last_loss_ns=trade.at_ns,
        )
    return replace(tally, order=trade.order, result=after, streak=0)


def value(tally: Tally, prices: Mapping[int, Decimal | None]) -> Decimal | None:
    """What was won in all with everything held at these prices; None while something held has none."""
    total = tally.cash
    for instrument, quantity in tally.holdings.items():
        price = prices.get(instrument)
        if price is None:
            return None
        total += quantity * price
    return total


def drawdown_ppm(value: Decimal, peak: Decimal, capital: Decimal) -> int:
    """How far a result is below its peak, in millionths of the capital at work, rounded up.

    Without any capital a fall is a total one: there is nothing it could be a part of.
    """
    fall = peak - value
    if fall <= 0:
        return 0
    if capital <= 0:
        return _MILLION
    # Decimal division by // cuts towards zero, on either side of it.
    return min(_MILLION, int((fall * _MILLION / capital).to_integral_value(ROUND_CEILING)))
