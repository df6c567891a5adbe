"""Orders and order lists as the spot REST and WebSocket APIs show them."""

from __future__ import annotations

from typing import Any

from testnet.orders import Fill, Order, PreventedMatch
from testnet.spot.lists import OrderList
from testnet.values import units_text


def placement_json(
    order: Order, fills: list[Fill], response_type: str, prevented: list[PreventedMatch] | None = None
) -> dict[str, Any]:
    """The answer to a placement: ACK, RESULT or FULL."""
    body: dict[str, Any] = {
        "symbol": order.instrument.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_order_id,
        "transactTime": order.updated_ms,
    }
    if response_type == "ACK":
        return body
    body |= _amounts(order)
    _add_conditions(body, order)
    body["workingTime"] = order.working_ms or -1
    body["selfTradePreventionMode"] = order.stp_mode
    _add_extras(body, order)
    if response_type == "FULL":
        body["fills"] = [
            {
                "price": units_text(fill.price),
                "qty": units_text(fill.quantity),
                "commission": units_text(fill.commission),
                "commissionAsset": fill.commission_asset,
                "tradeId": fill.trade_id,
            }
            for fill in fills
        ]
    if prevented:
        body["preventedMatches"] = [_prevented_in_order(order, match) for match in prevented]
    return body


def _prevented_in_order(order: Order, match: PreventedMatch) -> dict[str, Any]:
    instrument = order.instrument
    row: dict[str, Any] = {
        "preventedMatchId": match.match_id,
        "makerOrderId": match.maker_id,
        "price": instrument.price_text(match.price),
    }
    if match.taker_steps:
        row["takerPreventedQuantity"] = instrument.qty_text(match.taker_steps)
    if match.maker_steps:
        row["makerPreventedQuantity"] = instrument.qty_text(match.maker_steps)
    return row


def _amounts(order: Order) -> dict[str, Any]:
    instrument = order.instrument
    return {
        "price": instrument.price_text(order.price),
        "origQty": instrument.qty_text(order.steps),
        "executedQty": instrument.qty_text(order.executed),
        "origQuoteOrderQty": units_text(order.quote_quantity),
        "cummulativeQuoteQty": units_text(order.executed_quote),
        "status": order.status.value,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "side": order.side,
    }


def _add_conditions(body: dict[str, Any], order: Order) -> None:
    """Stop price, trailing distance and visible quantity, where the order has them."""
    if order.stop is not None and order.stop.price:
        body["stopPrice"] = units_text(order.stop.price)
    if order.stop is not None and order.stop.trailing_bips:
        body["trailingDelta"] = order.stop.trailing_bips
        body["trailingTime"] = order.trailing_ms or -1
    if order.iceberg:
        body["icebergQty"] = order.instrument.qty_text(order.iceberg)


def _add_extras(body: dict[str, Any], order: Order) -> None:
    if order.strategy_id is not None:
        body["strategyId"] = order.strategy_id
    if order.strategy_type is not None:
        body["strategyType"] = order.strategy_type
    if order.prevented:
        body["preventedMatchId"] = order.prevented_match_id
        body["preventedQuantity"] = order.instrument.qty_text(order.prevented)
    if order.expiry_reason:
        body["expiryReason"] = order.expiry_reason


def order_json(order: Order) -> dict[str, Any]:
    """An order as the queries show it."""
    amounts = _amounts(order)
    quote_quantity = amounts.pop("origQuoteOrderQty")
    body = {
        "symbol": order.instrument.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_order_id,
        **amounts,
        "stopPrice": units_text(0),
        "icebergQty": units_text(0),
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": order.working_ms > 0,
        "workingTime": order.working_ms or -1,
        "origQuoteOrderQty": quote_quantity,
        "selfTradePreventionMode": order.stp_mode,
    }
    _add_conditions(body, order)
    _add_extras(body, order)
    return body


def canceled_json(order: Order, cancel_id: str) -> dict[str, Any]:
    """The answer to a cancel."""
    body = {
        "symbol": order.instrument.symbol,
        "origClientOrderId": order.client_order_id,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": cancel_id,
        "transactTime": order.updated_ms,
        **_amounts(order),
        "selfTradePreventionMode": order.stp_mode,
    }
    _add_conditions(body, order)
    _add_extras(body, order)
    return body


def list_json(row: OrderList, orders: list[Order], time_ms: int | None = None) -> dict[str, Any]:
    """An order list without the reports on its orders."""
    return {
        "orderListId": row.list_id,
        "contingencyType": row.contingency,
        "listStatusType": row.status,
        "listOrderStatus": row.order_status,
        "listClientOrderId": row.client_id,
        "transactionTime": row.created_ms if time_ms is None else time_ms,
        "symbol": row.symbol,
        "orders": [
            {"symbol": row.symbol, "orderId": order.order_id, "clientOrderId": order.client_order_id}
            for order in orders
        ],
    }


def prevented_json(match: PreventedMatch, order: Order) -> dict[str, Any]:
    """A prevented match as its query shows it; no account here is in a trade group."""
    instrument = order.instrument
    body: dict[str, Any] = {
        "symbol": match.symbol,
        "preventedMatchId": match.match_id,
        "takerOrderId": match.taker_id,
        "makerSymbol": match.symbol,
        "makerOrderId": match.maker_id,
        "tradeGroupId": -1,
        "selfTradePreventionMode": match.mode,
        "price": instrument.price_text(match.price),
        "transactTime": match.time_ms,
    }
    if match.taker_steps:
        body["takerPreventedQuantity"] = instrument.qty_text(match.taker_steps)
    if match.maker_steps:
        body["makerPreventedQuantity"] = instrument.qty_text(match.maker_steps)
    return body


def my_trade_json(fill: Fill, list_id: int) -> dict[str, Any]:
    """A fill as `myTrades` shows it."""
    return {
        "symbol": fill.instrument.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": list_id,
        "price": units_text(fill.price),
        "qty": units_text(fill.quantity),
        "quoteQty": units_text(fill.quote),
        "commission": units_text(fill.commission),
        "commissionAsset": fill.commission_asset,
        "time": fill.time_ms,
        "isBuyer": fill.side == "BUY",
        "isMaker": fill.maker,
        "isBestMatch": True,
    }
