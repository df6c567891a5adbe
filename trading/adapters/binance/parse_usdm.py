"""USD-M answers read into the kernel's reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from trading.adapters.binance.parse import optional_price
from trading.adapters.binance.words import is_conditional, usdm_time_in_force, usdm_type
from trading.domain.ports import (
    BalanceReport,
    IncomeReport,
    LeverageBracket,
    OrderReport,
    PositionReport,
    TradeReport,
)
from trading.domain.values import OrderService, PositionSide, Side, decimal_of

ALGO_STATUS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "NEW": "NEW",
        "TRIGGERING": "NEW",
        # What became of it afterwards is told of the order it turned into.
        "TRIGGERED": "NEW",
        "FINISHED": "NEW",
        "CANCELED": "CANCELED",
        "EXPIRED": "EXPIRED",
        # Refused when it triggered: it did stand at the venue, and ended with nothing executed.
        "REJECTED": "EXPIRED",
    }
)
TURNED: Final = frozenset({"TRIGGERED", "FINISHED"})
"""States of a conditional order that has become an ordinary one."""


def parse_order(entry: Mapping[str, Any]) -> OrderReport:
    """Read an order of `POST/PUT/GET/DELETE order` or `openOrders`; no answer has fills.

    The venue leaves `cumQuote` out of some answers; it is zero then.
    """
    sent, original = str(entry["type"]), str(entry.get("origType") or entry["type"])
    tif = str(entry.get("timeInForce") or "")
    kind = usdm_type(original, tif)
    return OrderReport(
        symbol=str(entry["symbol"]),
        client_order_id=str(entry["clientOrderId"]),
        venue_order_id=int(entry["orderId"]),
        side=Side(entry["side"]),
        type=kind,
        time_in_force=usdm_time_in_force(tif),
        price=decimal_of(str(entry["price"])),
        quantity=decimal_of(str(entry["origQty"])),
        executed_quantity=decimal_of(str(entry["executedQty"])),
        cumulative_quote=decimal_of(str(entry.get("cumQuote") or 0)),
        status=str(entry["status"]),
        time_ms=int(entry.get("updateTime") or entry.get("time") or 0),
        position_side=PositionSide(entry.get("positionSide") or "BOTH"),
        reduce_only=bool(entry.get("reduceOnly", False)),
        stop_price=optional_price(entry.get("stopPrice")),
        triggered=is_conditional(kind) and sent != original,
    )


def parse_algo(entry: Mapping[str, Any]) -> OrderReport:
    """Read a conditional order of `POST/GET algoOrder` or `openAlgoOrders`.

    One that has triggered says only that; its executions are told of the order it became.
    """
    status = str(entry["algoStatus"])
    kind = usdm_type(str(entry["orderType"]), None)
    became = str(entry.get("actualOrderId") or "")
    return OrderReport(
        symbol=str(entry["symbol"]),
        client_order_id=str(entry["clientAlgoId"]),
        venue_order_id=int(became) if became else 0,
        side=Side(entry["side"]),
        type=kind,
        time_in_force=usdm_time_in_force(entry.get("timeInForce")),
        price=decimal_of(str(entry.get("price") or 0)),
        quantity=decimal_of(str(entry["quantity"])),
        executed_quantity=Decimal(0),
        cumulative_quote=Decimal(0),
        status=ALGO_STATUS.get(status, status),
        time_ms=int(entry.get("updateTime") or entry.get("createTime") or 0),
        service=OrderService.ALGO,
        position_side=PositionSide(entry.get("positionSide") or "BOTH"),
        reduce_only=bool(entry.get("reduceOnly", False)),
        stop_price=optional_price(entry.get("triggerPrice")) or optional_price(entry.get("activatePrice")),
        algo_id=int(entry["algoId"]),
        triggered=status in TURNED,
    )


def turned(algo: OrderReport, order: OrderReport) -> OrderReport:
    """The ordinary order a conditional one became, told under the conditional one's id, type and trigger."""
    return replace(
        order,
        client_order_id=algo.client_order_id,
        type=algo.type,
        service=OrderService.ALGO,
        algo_id=algo.algo_id,
        stop_price=algo.stop_price,
        triggered=True,
    )


def parse_trade(entry: Mapping[str, Any]) -> TradeReport:
    """Read one entry of `userTrades`; it carries no client order id."""
    return TradeReport(
        symbol=str(entry["symbol"]),
        trade_id=int(entry["id"]),
        venue_order_id=int(entry["orderId"]),
        side=Side(entry["side"]),
        price=decimal_of(str(entry["price"])),
        quantity=decimal_of(str(entry["qty"])),
        quote_quantity=decimal_of(str(entry["quoteQty"])),
        commission=decimal_of(str(entry["commission"])),
        commission_asset=str(entry["commissionAsset"]),
        maker=bool(entry["maker"]),
        time_ms=int(entry["time"]),
        client_order_id=None,
        position_side=PositionSide(entry.get("positionSide") or "BOTH"),
        realized=decimal_of(str(entry["realizedPnl"])),
    )


def parse_balance(entry: Mapping[str, Any]) -> BalanceReport:
    """Read one asset of `v3/balance`; orders hold margin, not the wallet, so nothing of it is locked."""
    return BalanceReport(
        asset=str(entry["asset"]),
        free=decimal_of(str(entry["balance"])),
        locked=Decimal(0),
        available=decimal_of(str(entry["availableBalance"])),
    )


def parse_position(entry: Mapping[str, Any], *, isolated: bool) -> PositionReport:
    """Read one entry of `v3/positionRisk`, which does not say the margin type."""
    return PositionReport(
        symbol=str(entry["symbol"]),
        position_side=PositionSide(entry["positionSide"]),
        quantity=decimal_of(str(entry["positionAmt"])),
        entry_price=decimal_of(str(entry["entryPrice"])),
        mark_price=decimal_of(str(entry["markPrice"])),
        unrealized=decimal_of(str(entry["unRealizedProfit"])),
        liquidation_price=optional_price(entry.get("liquidationPrice")),
        maintenance_margin=decimal_of(str(entry["maintMargin"])),
        isolated=isolated,
    )


def parse_income(entry: Mapping[str, Any]) -> IncomeReport:
    """Read one entry of `income`. The venue's number is unique within its kind only, so the kind is part of ours."""
    kind, trade = str(entry["incomeType"]), str(entry.get("tradeId") or "")
    return IncomeReport(
        transaction_id=f"{kind}:{entry['tranId']}",
        kind=kind,
        asset=str(entry["asset"]),
        amount=decimal_of(str(entry["income"])),
        symbol=str(entry.get("symbol") or "") or None,
        trade_id=int(trade) if trade.isdigit() and int(trade) > 0 else None,
        time_ms=int(entry["time"]),
    )


def parse_brackets(entry: Mapping[str, Any]) -> tuple[LeverageBracket, ...]:
    """A contract's maintenance brackets in ascending notional."""
    rows = [
        LeverageBracket(
            cap=Decimal(str(row["notionalCap"])),
            rate=Decimal(str(row["maintMarginRatio"])),
            deducted=Decimal(str(row["cum"])),
        )
        for row in entry["brackets"]
    ]
    return tuple(sorted(rows, key=lambda row: row.cap))
