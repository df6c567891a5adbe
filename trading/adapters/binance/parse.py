"""Binance's private answers and user events, read into the kernel's reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from trading.adapters.binance.words import is_conditional, spot_type
from trading.domain.ports import BalanceReport, OrderListReport, OrderReport, TradeReport
from trading.domain.values import Side, decimal_of, exact_product, floor_to_step

_QUOTE_STEP: Final = Decimal("1E-8")
_NO_LIST: Final = -1


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
    kind = spot_type(str(entry["type"]), trailing="trailingDelta" in entry)
    executed = decimal_of(str(entry["executedQty"]))
    return OrderReport(
        symbol=symbol,
        client_order_id=client_id,
        venue_order_id=order_id,
        side=side,
        type=kind,
        time_in_force=str(entry.get("timeInForce") or "") or None,
        price=decimal_of(str(entry["price"])),
        quantity=decimal_of(str(entry["origQty"])),
        executed_quantity=executed,
        cumulative_quote=decimal_of(str(entry["cummulativeQuoteQty"])),
        status=str(entry["status"]),
        time_ms=time_ms,
        fills=fills,
        stop_price=optional_price(entry.get("stopPrice")),
        # A conditional order works once it has triggered; until then its workingTime is -1.
        triggered=is_conditional(kind) and (executed > 0 or int(entry.get("workingTime") or -1) > 0),
        venue_list_id=list_id_of(entry.get("orderListId")),
    )


def parse_amended(entry: Mapping[str, Any]) -> OrderReport:
    """Read the answer of `order/amend/keepPriority`, whose order spells three members in a way of its own."""
    order = dict(entry["amendedOrder"])
    order["origQty"] = order["qty"]
    order["cummulativeQuoteQty"] = order["cumulativeQuoteQty"]
    # Here origClientOrderId is the id before the amendment, which may have given a new one.
    order["origClientOrderId"] = order["clientOrderId"]
    return parse_order(order | {"transactTime": entry["transactTime"]})


def parse_order_list(entry: Mapping[str, Any], client_ids: Sequence[str] = ()) -> OrderListReport:
    """Read the answer to a list's placement or cancel; legs in the order of `client_ids` where they are given."""
    legs = [parse_order(report) for report in entry["orderReports"]]
    rank = {client_id: place for place, client_id in enumerate(client_ids)}
    return OrderListReport(
        client_list_id=str(entry["listClientOrderId"]),
        venue_list_id=int(entry["orderListId"]),
        legs=tuple(sorted(legs, key=lambda leg: rank.get(leg.client_order_id, len(rank)))),
    )


def optional_price(value: object) -> Decimal | None:
    """A price of an answer; the venue writes "none" as zero."""
    price = decimal_of(str(value)) if value is not None else Decimal(0)
    return price if price > 0 else None


def list_id_of(value: object) -> int | None:
    """The list an order belongs to; the venue writes "none" as -1."""
    number = int(str(value)) if value is not None else _NO_LIST
    return None if number == _NO_LIST else number


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
    kind = spot_type(str(event["o"]), trailing="d" in event)
    executed = decimal_of(str(event["z"]))
    return OrderReport(
        symbol=symbol,
        client_order_id=client_id,
        venue_order_id=order_id,
        side=side,
        type=kind,
        time_in_force=str(event["f"]),
        price=decimal_of(str(event["p"])),
        quantity=decimal_of(str(event["q"])),
        executed_quantity=executed,
        cumulative_quote=decimal_of(str(event["Z"])),
        status=str(event["X"]),
        time_ms=int(event["T"]),
        fills=fills,
        stop_price=optional_price(event.get("P")),
        # `W`, the working time, is sent only of an order that works.
        triggered=is_conditional(kind)
        and (executed > 0 or bool(event.get("w")) or int(event.get("W") or 0) > 0),
        venue_list_id=list_id_of(event.get("g")),
    )
