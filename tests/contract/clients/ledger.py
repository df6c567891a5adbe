"""The oracle: what a client says it has, against what the exchange holds to have happened.

Everything is compared as Decimal, so equal means equal to the last digit and not equal as text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class OrderFact:
    """An order as both sides must see it."""

    symbol: str
    order_id: int
    client_order_id: str
    side: str
    type: str
    price: Decimal
    quantity: Decimal
    executed: Decimal
    status: str


@dataclass(frozen=True, slots=True, order=True)
class FillFact:
    """A fill as both sides must see it."""

    symbol: str
    trade_id: int
    order_id: int
    side: str
    price: Decimal
    quantity: Decimal
    commission: Decimal
    commission_asset: str
    maker: bool


def wire_orders(rows: Iterable[Row]) -> list[OrderFact]:
    """Orders in the REST form of either market (`allOrders`)."""
    return sorted(
        OrderFact(
            row["symbol"],
            int(row["orderId"]),
            row["clientOrderId"],
            row["side"],
            row["type"],
            Decimal(row["price"]),
            Decimal(row["origQty"]),
            Decimal(row["executedQty"]),
            row["status"],
        )
        for row in rows
    )


def wire_fills(rows: Iterable[Row]) -> list[FillFact]:
    """Fills in the REST form: spot `myTrades` (`isBuyer`) or futures `userTrades` (`side`)."""
    return sorted(
        FillFact(
            row["symbol"],
            int(row["id"]),
            int(row["orderId"]),
            row.get("side") or ("BUY" if row["isBuyer"] else "SELL"),
            Decimal(row["price"]),
            Decimal(row["qty"]),
            Decimal(row["commission"]),
            row["commissionAsset"],
            bool(row["isMaker"] if "isMaker" in row else row["maker"]),
        )
        for row in rows
    )


def wire_balances(rows: Iterable[Row]) -> dict[str, tuple[Decimal, Decimal]]:
    """Free and locked by asset from spot `account`, zeros left out."""
    balances = {row["asset"]: (Decimal(row["free"]), Decimal(row["locked"])) for row in rows}
    return {asset: pair for asset, pair in balances.items() if any(pair)}


def ledger_orders(ledger: Row, market: str, symbol: str | None = None) -> list[OrderFact]:
    """The oracle's orders on one market, of one symbol or all."""
    return sorted(
        OrderFact(
            row["symbol"],
            int(row["order_id"]),
            row["client_order_id"],
            row["side"],
            row["type"],
            Decimal(row["price"]),
            Decimal(row["orig_qty"]),
            Decimal(row["executed_qty"]),
            row["status"],
        )
        for row in ledger["orders"]
        if row["market"] == market and symbol in (None, row["symbol"])
    )


def ledger_fills(ledger: Row, market: str, symbol: str | None = None) -> list[FillFact]:
    """The oracle's fills on one market, of one symbol or all."""
    return sorted(
        FillFact(
            row["symbol"],
            int(row["trade_id"]),
            int(row["order_id"]),
            row["side"],
            Decimal(row["price"]),
            Decimal(row["qty"]),
            Decimal(row["commission"]),
            row["commission_asset"],
            row["maker"],
        )
        for row in ledger["fills"]
        if row["market"] == market and symbol in (None, row["symbol"])
    )


def ledger_balances(ledger: Row, account_id: str) -> dict[str, tuple[Decimal, Decimal]]:
    """The oracle's spot balances, zeros left out."""
    spot = ledger["balances"][account_id]["spot"]
    balances = {asset: (Decimal(row["free"]), Decimal(row["locked"])) for asset, row in spot.items()}
    return {asset: pair for asset, pair in balances.items() if any(pair)}


def ledger_wallet(ledger: Row, account_id: str, asset: str = "USDT") -> Decimal:
    """The oracle's futures wallet balance."""
    return Decimal(ledger["balances"][account_id]["usdm"][asset]["wallet"])


def ledger_position(ledger: Row, symbol: str) -> Decimal:
    """The oracle's net futures position, zero where it lists none."""
    return sum(
        (Decimal(row["quantity"]) for row in ledger["positions"] if row["symbol"] == symbol), Decimal()
    )
