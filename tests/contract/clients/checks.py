"""Claims every client's test makes about what it read, whatever library read it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from .exchange import FUTURES_MONEY, SPOT_MONEY, Account, PaperExchange
from .ledger import (
    FillFact,
    OrderFact,
    Row,
    ledger_balances,
    ledger_fills,
    ledger_orders,
    ledger_wallet,
    wire_balances,
    wire_fills,
    wire_orders,
)

MINUTE_MS = 60_000


def assert_book(bids: Sequence[Sequence[Any]], asks: Sequence[Sequence[Any]]) -> None:
    """Best first on both sides, never crossed, no empty level."""
    bid_prices, ask_prices = [Decimal(str(row[0])) for row in bids], [Decimal(str(row[0])) for row in asks]
    assert bid_prices == sorted(set(bid_prices), reverse=True)
    assert ask_prices == sorted(set(ask_prices))
    assert bid_prices[0] < ask_prices[0]
    assert all(Decimal(str(row[1])) > 0 for row in [*bids, *asks])


def assert_bars(rows: Sequence[Sequence[Any]], count: int) -> None:
    """`count` one-minute bars in a row, each with its open and close between its low and high."""
    assert len(rows) == count
    times = [int(row[0]) for row in rows]
    assert times == [times[0] + MINUTE_MS * step for step in range(count)]
    for row in rows:
        opened, high, low, close = (Decimal(str(value)) for value in row[1:5])
        assert low <= min(opened, close) <= max(opened, close) <= high


def assert_spot_account(
    exchange: PaperExchange, account: Account, orders: list[Row], fills: list[Row], balances: list[Row]
) -> None:
    """Orders, fills and balances a client read, in their wire form, are the exchange's own to the digit."""
    ledger = exchange.ledger(account)
    assert wire_orders(orders) == ledger_orders(ledger, "spot")
    assert wire_fills(fills) == ledger_fills(ledger, "spot")
    assert wire_balances(balances) == ledger_balances(ledger, account.account_id)
    assert_spot_money_adds_up(ledger, account)


def assert_spot_money_adds_up(ledger: Row, account: Account) -> None:
    """Deposits plus the fills, worked out here, are the balances; resting orders lock what they must."""
    expected = {asset: Decimal(amount) for asset, amount in SPOT_MONEY.items()}
    for fill in ledger_fills(ledger, "spot"):
        sign = 1 if fill.side == "BUY" else -1
        base = fill.symbol.removesuffix("USDT")
        expected[base] += sign * fill.quantity
        expected["USDT"] -= sign * fill.quantity * fill.price
        expected[fill.commission_asset] -= fill.commission
    totals = {
        asset: free + locked for asset, (free, locked) in ledger_balances(ledger, account.account_id).items()
    }
    assert totals == expected


def assert_futures_account(
    exchange: PaperExchange, account: Account, orders: list[Row], fills: list[Row], wallet: Any
) -> None:
    """Orders, fills and the wallet a client read, in their wire form, are the exchange's own to the digit."""
    ledger = exchange.ledger(account)
    assert wire_orders(orders) == ledger_orders(ledger, "usdm")
    assert wire_fills(fills) == ledger_fills(ledger, "usdm")
    assert Decimal(str(wallet)) == ledger_wallet(ledger, account.account_id)
    # The wallet moves by what was realised and paid, and by nothing else.
    moved = sum(
        (Decimal(row["realized_pnl"]) - Decimal(row["commission"]) for row in usdm_rows(ledger)), Decimal()
    )
    funded = sum(
        (Decimal(row["amount"]) for row in ledger["income"] if row["type"] == "FUNDING_FEE"), Decimal()
    )
    assert ledger_wallet(ledger, account.account_id) == Decimal(FUTURES_MONEY["USDT"]) + moved + funded


def usdm_rows(ledger: Row) -> list[Row]:
    """The oracle's raw futures fills."""
    return [row for row in ledger["fills"] if row["market"] == "usdm"]


def net_position(fills: list[FillFact], symbol: str = "BTCUSDT") -> Decimal:
    """What a one-way position must be after these fills."""
    return sum(
        (
            (fill.quantity if fill.side == "BUY" else -fill.quantity)
            for fill in fills
            if fill.symbol == symbol
        ),
        Decimal(),
    )


def only(orders: list[OrderFact], order_id: int) -> OrderFact:
    """The one order with this id."""
    (found,) = [order for order in orders if order.order_id == order_id]
    return found
