"""Binance's private answers and user events, read into the kernel's reports."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from trading.domain.ports import BalanceReport, OrderReport, TradeReport
from trading.domain.values import Side, decimal_of, exact_product, floor_to_step

_QUOTE_STEP: Final = Decimal("1E-8")


def parse_order(entry: Mapping[str, Any]) -> OrderReport:
    """Read an order of `POST/GET/DELETE order` or `openOrders`, with its fills where the answer has them."""
    symbol, side = str(entry["symbol"]), Side(entry["side"])
    order_id = int(entry["orderId"])
    # A cancel's answer carries the cancel's own id as clientOrderId and the order's as origClientOrderId.
    client_id = str(entry.get("origClientOrderId") or entry["clientOrderId"])
    time_ms = int(entry.get("transactTime") or entry.get("updateTime") or entry.get("time") or 0)
    fills = tuple(
        TradeReport(
            symbol=symbol,
            trade_id=int(fill["tradeId"]),
            venue_order_id=order_id,
            side=side,
            price=decimal_of(str(fill["price"])),
            quantity=decimal_of(str(fill["qty"])),
            # The answer leaves the amount out; the venue keeps eight digits of it (ETHBTC would have nine).
            quote_quantity=floor_to_step(
                exact_product(decimal_of(str(fill["price"])), decimal_of(str(fill["qty"]))), _QUOTE_STEP
            ),
            commission=decimal_of(str(fill["commission"])),
            commission_asset=str(fill["commissionAsset"]),
            maker=False,  # fills in a placement's answer were taken from the book
            time_ms=time_ms,
            client_order_id=client_id,
        )
        for fill in entry.get("fills", ())
    )
    return OrderReport(
        symbol=symbol,
        client_order_id=client_id,
        venue_order_id=order_id,
        side=side,
        type=str(entry["type"]),
        time_in_force=str(entry.get("timeInForce") or "") or None,
        price=decimal_of(str(entry["price"])),
        quantity=decimal_of(str(entry["origQty"])),
        executed_quantity=decimal_of(str(entry["executedQty"])),
        cumulative_quote=decimal_of(str(entry["cummulativeQuoteQty"])),
        status=str(entry["status"]),
        time_ms=time_ms,
        fills=fills,
    )


def parse_trade(entry: Mapping[str, Any]) -> TradeReport:
    """Read one entry of `GET myTrades`; it carries no client order id."""
    return TradeReport(
        symbol=str(entry["symbol"]),
        trade_id=int(entry["id"]),
        venue_order_id=int(entry["orderId"]),
        side=Side.BUY if entry["isBuyer"] else Side.SELL,
        price=decimal_of(str(entry["price"])),
        quantity=decimal_of(str(entry["qty"])),
        quote_quantity=decimal_of(str(entry["quoteQty"])),
        commission=decimal_of(str(entry["commission"])),
        commission_asset=str(entry["commissionAsset"]),
        maker=bool(entry["isMaker"]),
        time_ms=int(entry["time"]),
        client_order_id=None,
    )


def parse_balances(account: Mapping[str, Any]) -> list[BalanceReport]:
    """Read the non-zero balances of `GET account`."""
    reports = [
        BalanceReport(str(b["asset"]), decimal_of(str(b["free"])), decimal_of(str(b["locked"])))
        for b in account["balances"]
    ]
    return [report for report in reports if report.free or report.locked]


def parse_execution_report(event: Mapping[str, Any]) -> OrderReport:
    """Read an `executionReport` of the user stream; a TRADE carries its one fill."""
    symbol, side = str(event["s"]), Side(event["S"])
    order_id = int(event["i"])
    # On a cancel `c` is the cancel's id and `C` the order's own.
    client_id = str(event.get("C") or event["c"])
    fills: tuple[TradeReport, ...] = ()
    if event["x"] == "TRADE" and int(event["t"]) >= 0:
        fills = (
            TradeReport(
                symbol=symbol,
                trade_id=int(event["t"]),
                venue_order_id=order_id,
                side=side,
                price=decimal_of(str(event["L"])),
                quantity=decimal_of(str(event["l"])),
                quote_quantity=decimal_of(str(event["Y"])),
                commission=decimal_of(str(event["n"] or "0")),
                commission_asset=str(event["N"] or ""),
                maker=bool(event["m"]),
                time_ms=int(event["T"]),
                client_order_id=client_id,
            ),
        )
    return OrderReport(
        symbol=symbol,
        client_order_id=client_id,
        venue_order_id=order_id,
        side=side,
        type=str(event["o"]),
        time_in_force=str(event["f"]),
        price=decimal_of(str(event["p"])),
        quantity=decimal_of(str(event["q"])),
        executed_quantity=decimal_of(str(event["z"])),
        cumulative_quote=decimal_of(str(event["Z"])),
        status=str(event["X"]),
        time_ms=int(event["T"]),
        fills=fills,
    )
