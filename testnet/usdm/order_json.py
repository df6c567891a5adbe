"""Orders, fills and conditional orders as the USD-M REST answers show them."""

from __future__ import annotations

from typing import Any

from testnet.orders import Fill, Order
from testnet.usdm.algo import LIMIT_TYPES, TRAILING, AlgoOrder
from testnet.usdm.amendments import Amendment
from testnet.usdm.clearing import PLAIN
from testnet.values import SCALE, fixed_text, trimmed_text, units_text


def average_price(order: Order) -> int:
    """Average execution price in 1e-8 units, 0 before the first."""
    if not order.executed:
        return 0
    return order.executed_quote * SCALE // (order.executed * order.instrument.step)


def average_text(price: int, tick: int) -> str:
    """An average price in units, with no fewer decimals than the tick."""
    text = trimmed_text(price)
    decimals = len(trimmed_text(tick).partition(".")[2])
    whole, _, fraction = text.partition(".")
    return text if len(fraction) >= decimals else f"{whole}.{fraction.ljust(decimals, '0')}"


def order_json(order: Order, *, queried: bool = True) -> dict[str, Any]:
    """An order; the answers to placements and cancels lack `time`."""
    instrument, terms = order.instrument, order.position or PLAIN
    executed = instrument.qty_text(order.executed)
    body: dict[str, Any] = {
        "orderId": order.order_id,
        "symbol": instrument.symbol,
        "status": order.status.value,
        "clientOrderId": order.client_order_id,
        "price": instrument.price_text(order.price),
        "avgPrice": average_text(average_price(order), instrument.tick),
        "origQty": instrument.qty_text(order.steps),
        "executedQty": executed,
        "cumQuote": units_text(order.executed_quote),
        "timeInForce": order.time_in_force,
        "type": order.type,
        "reduceOnly": terms.reduce_only,
        "closePosition": terms.close_position,
        "side": order.side,
        "positionSide": terms.position_side,
        "stopPrice": instrument.price_text(0),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": terms.original_type or order.type,
        "priceMatch": terms.price_match,
        "selfTradePreventionMode": order.stp_mode,
        "goodTillDate": terms.good_till_ms,
    }
    if queried:
        body["time"] = order.created_ms
    else:
        body["cumQty"] = executed
    body["updateTime"] = order.updated_ms
    return body


def trade_json(fill: Fill) -> dict[str, Any]:
    """A fill, as userTrades lists it."""
    instrument = fill.instrument
    return {
        "symbol": instrument.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "side": fill.side,
        "price": instrument.price_text(fill.price // instrument.tick),
        "qty": instrument.qty_text(fill.quantity // instrument.step),
        "realizedPnl": units_text(fill.realized),
        "quoteQty": units_text(fill.quote),
        "commission": units_text(fill.commission),
        "commissionAsset": fill.commission_asset,
        "time": fill.time_ms,
        "positionSide": fill.position_side,
        "buyer": fill.side == "BUY",
        "maker": fill.maker,
    }


def amendment_json(order: Order, row: Amendment) -> dict[str, Any]:
    """One modification of an order."""
    instrument = order.instrument
    return {
        "amendmentId": row.amendment_id,
        "symbol": instrument.symbol,
        "pair": instrument.symbol,
        "orderId": order.order_id,
        "clientOrderId": order.client_order_id,
        "time": row.time_ms,
        "amendment": {
            "price": {
                "before": instrument.price_text(row.price_before),
                "after": instrument.price_text(row.price_after),
            },
            "origQty": {
                "before": instrument.qty_text(row.steps_before),
                "after": instrument.qty_text(row.steps_after),
            },
            "count": row.count,
        },
        "priceMatch": row.price_match,
    }


def algo_json(algo: AlgoOrder, *, queried: bool = True) -> dict[str, Any]:
    """A conditional order; queries also show the order it became."""
    instrument = algo.instrument
    body: dict[str, Any] = {
        "algoId": algo.algo_id,
        "clientAlgoId": algo.client_algo_id,
        "algoType": "CONDITIONAL",
        "orderType": algo.type,
        "symbol": instrument.symbol,
        "side": algo.side,
        "positionSide": algo.position_side,
        "timeInForce": algo.time_in_force,
        "quantity": instrument.qty_text(algo.quantity // instrument.step),
        "algoStatus": algo.status.value,
        "triggerPrice": price_text(algo.trigger_price, algo),
        "price": price_text(algo.price if algo.type in LIMIT_TYPES else 0, algo),
        "icebergQuantity": None,
        "selfTradePreventionMode": algo.stp_mode,
        "workingType": algo.working_type,
        "priceMatch": algo.price_match,
        "closePosition": algo.close_position,
        "priceProtect": algo.price_protect,
        "reduceOnly": algo.reduce_only,
        "createTime": algo.created_ms,
        "updateTime": algo.updated_ms,
        "triggerTime": algo.triggered_ms,
        "goodTillDate": algo.good_till_ms,
    }
    if algo.type == TRAILING:
        body["activatePrice"] = price_text(algo.activate_price, algo)
        body["callbackRate"] = trimmed_text(algo.callback * SCALE // 100)
    if queried:
        order = algo.order
        average = average_price(order) if order is not None else 0
        body["type"] = algo.type
        body["actualOrderId"] = str(algo.order_id) if algo.order_id else ""
        body["actualPrice"] = average_text(average, instrument.tick)
        body["actualQty"] = instrument.qty_text(order.executed if order is not None else 0)
    return body


def price_text(units: int, algo: AlgoOrder) -> str:
    """A price of a conditional order with the contract's decimals."""
    perpetual = algo.instrument.perpetual
    return fixed_text(units, perpetual.price_precision if perpetual is not None else 8)
