"""Placing, querying and cancelling spot orders."""

from __future__ import annotations

import secrets
import string
from typing import Any

from testnet.api.call import Call, Endpoint, Json, fixed
from testnet.api.params import Params
from testnet.errors import ApiError, illegal_characters, no_such_order, unknown_order
from testnet.orders import Fill, NewOrder, Order
from testnet.spot.api.order_types import RESPONSE_TYPES, SIDES, TIMES_IN_FORCE, order_type
from testnet.values import DECIMAL_PATTERN, units_text

DAY_MS = 86_400_000
_ID_ALPHABET = string.ascii_letters + string.digits
# Everything the venue documents for a placement; anything else is -1104.
_PLACEMENT = frozenset(
    {
        "symbol",
        "side",
        "type",
        "timeInForce",
        "quantity",
        "quoteOrderQty",
        "price",
        "newClientOrderId",
        "strategyId",
        "strategyType",
        "stopPrice",
        "trailingDelta",
        "icebergQty",
        "newOrderRespType",
        "selfTradePreventionMode",
        "pegPriceType",
        "pegOffsetValue",
        "pegOffsetType",
        "recvWindow",
        "timestamp",
        "signature",
        "apiKey",
        "computeCommissionRates",
        "returnRateLimits",
    }
)


def random_client_id() -> str:
    """22 letters and digits, as the venue assigns when a client sends none."""
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(22))


def parse_placement(call: Call) -> NewOrder:
    """Read a placement; every complaint about parameters comes from here."""
    params = call.params
    extra = [name for name in params.values if name not in _PLACEMENT]
    if extra:
        read = len(params.values) - len(extra)
        raise ApiError(
            -1104,
            f"Not all sent parameters were read; read '{read}' parameter(s) but was sent "
            f"'{len(params.values)}'.",
        )
    symbol = params.symbol()
    side = params.choice("side", SIDES, -1117, "Invalid side.")
    kind = order_type(params)
    time_in_force = "GTC"
    if params.has("timeInForce"):
        time_in_force = params.choice("timeInForce", TIMES_IN_FORCE, -1115, "Invalid timeInForce.")
    kind.check(params)
    call.exchange.listing(symbol)
    response = kind.default_response
    if params.has("newOrderRespType"):
        response = params.choice("newOrderRespType", RESPONSE_TYPES, -1100, "Invalid newOrderRespType.")
    if params.has("selfTradePreventionMode") and params.values["selfTradePreventionMode"] != "NONE":
        raise ApiError(-1013, "This symbol does not allow the specified self-trade prevention mode.")
    strategy_type = params.integer("strategyType")
    if strategy_type is not None and strategy_type < 1_000_000:
        raise ApiError(-1130, "Data sent for parameter 'strategyType' is not valid.")
    return NewOrder(
        symbol=symbol,
        side=side,
        type=kind.name,
        time_in_force=time_in_force,
        price=_positive(params, "price"),
        quantity=_positive(params, "quantity"),
        quote_quantity=_positive(params, "quoteOrderQty"),
        client_order_id=params.client_id("newClientOrderId") or random_client_id(),
        response_type=response,
        strategy_id=params.integer("strategyId"),
        strategy_type=strategy_type,
    )


def _positive(params: Params, name: str) -> int:
    units = params.units(name)
    if params.has(name) and units == 0:
        raise illegal_characters(name, DECIMAL_PATTERN)
    return units


def place(call: Call, request: NewOrder) -> Json:
    """Place an order."""
    account = call.owner
    now = call.venue.server_ms()
    call.venue.limits.check_order(account.account_id, now)
    order, fills = call.exchange.spot.place(account, request)
    call.venue.limits.count_order(account.account_id, now)
    if order.executed:
        call.venue.limits.credit_order(account.account_id, now)
    return placement_json(order, fills, request.response_type)


def _test(call: Call, request: NewOrder) -> Json:
    call.exchange.spot.check(call.owner, request)
    if not call.params.boolean("computeCommissionRates", default=False):
        return {}
    account = call.owner
    return {
        "standardCommissionForOrder": {
            "maker": units_text(account.maker_rate),
            "taker": units_text(account.taker_rate),
        },
        "taxCommissionForOrder": {"maker": units_text(0), "taker": units_text(0)},
        "discount": {
            "enabledForAccount": False,
            "enabledForSymbol": False,
            "discountAsset": "BNB",
            "discount": "0.75000000",
        },
    }


def placement_json(order: Order, fills: list[Fill], response_type: str) -> dict[str, Any]:
    """The answer to a placement: ACK, RESULT or FULL."""
    body: dict[str, Any] = {
        "symbol": order.instrument.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        "transactTime": order.updated_ms,
    }
    if response_type == "ACK":
        return body
    body |= _amounts(order)
    body["workingTime"] = order.created_ms
    body["selfTradePreventionMode"] = order.stp_mode
    _add_strategy(body, order)
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
    return body


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


def _add_strategy(body: dict[str, Any], order: Order) -> None:
    if order.strategy_id is not None:
        body["strategyId"] = order.strategy_id
    if order.strategy_type is not None:
        body["strategyType"] = order.strategy_type


def order_json(order: Order) -> dict[str, Any]:
    """An order as the queries show it."""
    amounts = _amounts(order)
    quote_quantity = amounts.pop("origQuoteOrderQty")
    body = {
        "symbol": order.instrument.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        **amounts,
        "stopPrice": units_text(0),
        "icebergQty": units_text(0),
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": True,
        "workingTime": order.created_ms,
        "origQuoteOrderQty": quote_quantity,
        "selfTradePreventionMode": order.stp_mode,
    }
    _add_strategy(body, order)
    return body


def _reference(call: Call) -> tuple[str, int | None, str | None]:
    """Symbol and order id or original client id; the id wins when both are sent."""
    params = call.params
    symbol = params.symbol()
    order_id, client_id = params.integer("orderId"), params.client_id("origClientOrderId")
    if order_id is None and client_id is None:
        raise ApiError(
            -1102,
            "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
        )
    call.exchange.listing(symbol)
    return symbol, order_id, client_id


def _find(call: Call, reference: tuple[str, int | None, str | None]) -> Order | None:
    symbol, order_id, client_id = reference
    shelf = call.exchange.spot.shelf(call.owner.account_id)
    if order_id is not None:
        order = shelf.orders.get(order_id)
    else:
        order = shelf.latest_by_client_id.get(client_id or "")
    if order is None or order.instrument.symbol != symbol:
        return None
    if order_id is not None and client_id is not None and order.client_order_id != client_id:
        return None
    return order


def _query(call: Call, reference: tuple[str, int | None, str | None]) -> Json:
    order = _find(call, reference)
    if order is None:
        raise no_such_order()
    return order_json(order)


def _cancel_parse(call: Call) -> tuple[tuple[str, int | None, str | None], str, str | None]:
    reference = _reference(call)
    restriction = call.params.values.get("cancelRestrictions") or None
    if restriction not in (None, "ONLY_NEW", "ONLY_PARTIALLY_FILLED"):
        raise ApiError(-1145, "Invalid cancelRestrictions")
    return reference, call.params.client_id("newClientOrderId") or random_client_id(), restriction


def _cancel(call: Call, args: tuple[tuple[str, int | None, str | None], str, str | None]) -> Json:
    reference, cancel_id, restriction = args
    order = _find(call, reference)
    if order is None:
        raise unknown_order()
    call.exchange.spot.cancel(order, cancel_id, restriction)
    return _canceled_json(order, cancel_id)


def _canceled_json(order: Order, cancel_id: str) -> dict[str, Any]:
    body = {
        "symbol": order.instrument.symbol,
        "origClientOrderId": order.client_order_id,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": cancel_id,
        "transactTime": order.updated_ms,
        **_amounts(order),
        "selfTradePreventionMode": order.stp_mode,
    }
    _add_strategy(body, order)
    return body


def _symbol_parse(call: Call) -> str:
    symbol = call.params.symbol()
    call.exchange.listing(symbol)
    return symbol


def _cancel_all(call: Call, symbol: str) -> Json:
    engine = call.exchange.spot
    orders = engine.shelf(call.owner.account_id).open_orders(symbol)
    if not orders:
        raise unknown_order()
    answers = []
    for order in orders:
        cancel_id = random_client_id()
        engine.cancel(order, cancel_id)
        answers.append(_canceled_json(order, cancel_id))
    return answers


def _optional_symbol(call: Call) -> str | None:
    return _symbol_parse(call) if call.params.has("symbol") else None


def _open_orders(call: Call, symbol: str | None) -> Json:
    shelf = call.exchange.spot.shelf(call.owner.account_id)
    return [order_json(order) for order in shelf.open_orders(symbol)]


def _range_parse(call: Call) -> tuple[str, int | None, int | None, int]:
    """Symbol, start, end and limit of a history query; times at most a day apart."""
    params = call.params
    symbol = _symbol_parse(call)
    start, end = params.time_ms("startTime"), params.time_ms("endTime")
    if start is not None and end is not None and not 0 <= end - start <= DAY_MS:
        raise ApiError(-1127, "More than 24 hours between startTime and endTime.")
    return symbol, start, end, params.limit(500, 1000)


def _all_orders(call: Call, args: tuple[str, int | None, int | None, int]) -> Json:
    symbol, start, end, limit = args
    order_id = call.params.integer("orderId")
    orders = [
        order
        for order in call.exchange.spot.shelf(call.owner.account_id).orders.values()
        if order.instrument.symbol == symbol
        and (order_id is None or order.order_id >= order_id)
        and (start is None or order.created_ms >= start)
        and (end is None or order.created_ms <= end)
    ]
    first = order_id is not None or start is not None
    return [order_json(order) for order in (orders[:limit] if first else orders[-limit:])]


def _my_trades(call: Call, args: tuple[str, int | None, int | None, int]) -> Json:
    symbol, start, end, limit = args
    params = call.params
    order_id, from_id = params.integer("orderId"), params.integer("fromId")
    if from_id is not None and (start is not None or end is not None):
        raise ApiError(-1128, "Combination of optional parameters invalid.")
    fills = [
        fill
        for fill in call.exchange.spot.shelf(call.owner.account_id).fills
        if fill.instrument.symbol == symbol
        and (order_id is None or fill.order_id == order_id)
        and (from_id is None or fill.trade_id >= from_id)
        and (start is None or fill.time_ms >= start)
        and (end is None or fill.time_ms <= end)
    ]
    fills.sort(key=lambda fill: fill.trade_id)
    first = from_id is not None or start is not None
    return [_my_trade_json(fill) for fill in (fills[:limit] if first else fills[-limit:])]


def _my_trade_json(fill: Fill) -> dict[str, Any]:
    return {
        "symbol": fill.instrument.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": -1,
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


ENDPOINTS = [
    Endpoint(
        "POST",
        "/api/v3/order",
        fixed(1),
        parse_placement,
        place,
        "TRADE",
        "order.place",
        places_order=True,
    ),
    Endpoint(
        "POST",
        "/api/v3/order/test",
        lambda params: 20 if params.values.get("computeCommissionRates") == "true" else 1,
        parse_placement,
        _test,
        "TRADE",
        "order.test",
    ),
    Endpoint("GET", "/api/v3/order", fixed(4), _reference, _query, "USER_DATA", "order.status"),
    Endpoint("DELETE", "/api/v3/order", fixed(1), _cancel_parse, _cancel, "TRADE", "order.cancel"),
    Endpoint(
        "GET",
        "/api/v3/openOrders",
        lambda params: 6 if params.has("symbol") else 80,
        _optional_symbol,
        _open_orders,
        "USER_DATA",
        "openOrders.status",
    ),
    Endpoint(
        "DELETE",
        "/api/v3/openOrders",
        fixed(1),
        _symbol_parse,
        _cancel_all,
        "TRADE",
        "openOrders.cancelAll",
    ),
    Endpoint("GET", "/api/v3/allOrders", fixed(20), _range_parse, _all_orders, "USER_DATA", "allOrders"),
    Endpoint(
        "GET",
        "/api/v3/myTrades",
        lambda params: 5 if params.has("orderId") else 20,
        _range_parse,
        _my_trades,
        "USER_DATA",
        "myTrades",
    ),
]
