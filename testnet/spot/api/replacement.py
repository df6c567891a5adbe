"""Replacing an order by another, and making one smaller in place."""

from __future__ import annotations

from typing import Any

from testnet.api.call import Call, Endpoint, Json, fixed
from testnet.errors import ApiError, mandatory, no_such_order, unknown_order
from testnet.orders import NewOrder
from testnet.spot.amendments import Amendment
from testnet.spot.api.order_json import list_json, order_json
from testnet.spot.api.orders import canceled, counted, find, placed_json
from testnet.spot.api.placement import (
    ORDER_PARAMETERS,
    Reference,
    cancel_id,
    parse_order,
    parse_reference,
    parse_restriction,
    positive,
    refuse_unread,
)

_MODES = ("STOP_ON_FAILURE", "ALLOW_FAILURE")
_REPLACE_PARAMETERS = ORDER_PARAMETERS | {
    "cancelReplaceMode",
    "cancelNewClientOrderId",
    "cancelOrigClientOrderId",
    "cancelOrderId",
    "cancelRestrictions",
    "orderRateLimitExceededMode",
}
Replacement = tuple[NewOrder, Reference, str, str | None]


def _replace_parse(call: Call) -> Replacement:
    refuse_unread(call.params, _REPLACE_PARAMETERS)
    mode = call.params.choice(
        "cancelReplaceMode", _MODES, -1130, "Data sent for parameter 'cancelReplaceMode' is not valid."
    )
    reference = parse_reference(call, "cancelOrderId", "cancelOrigClientOrderId")
    call.params.client_id("cancelNewClientOrderId")
    return parse_order(call), reference, mode, parse_restriction(call.params)


def _replace(call: Call, args: Replacement) -> Json:
    request, reference, mode, restriction = args
    # Filters and order count come before anything is cancelled; the count stays whatever happens then.
    call.exchange.spot_market.check_filters(call.owner, request)
    counted(call, 1, lambda: None)
    name = cancel_id(call, "cancelNewClientOrderId")
    cancel_answer, cancel_done = _attempt(lambda: canceled(call, reference, name, restriction))
    if not cancel_done and mode == "STOP_ON_FAILURE":
        raise _failure(-2022, cancel_answer, cancel_done, None, None)
    order_answer, order_done = _attempt(lambda: placed_json(call, request))
    if cancel_done and order_done:
        return {
            "cancelResult": "SUCCESS",
            "newOrderResult": "SUCCESS",
            "cancelResponse": cancel_answer,
            "newOrderResponse": order_answer,
        }
    code = -2021 if cancel_done or order_done else -2022
    raise _failure(code, cancel_answer, cancel_done, order_answer, order_done)


def _attempt(work: Any) -> tuple[dict[str, Any], bool]:
    try:
        return work(), True
    except ApiError as error:
        return error.body(), False


def _failure(
    code: int,
    cancel_answer: dict[str, Any],
    cancel_done: bool,
    order_answer: dict[str, Any] | None,
    order_done: bool | None,
) -> ApiError:
    partly = code == -2021
    message = "Order cancel-replace partially failed." if partly else "Order cancel-replace failed."
    data = {
        "cancelResult": "SUCCESS" if cancel_done else "FAILURE",
        "newOrderResult": "NOT_ATTEMPTED" if order_done is None else "SUCCESS" if order_done else "FAILURE",
        "cancelResponse": cancel_answer,
        "newOrderResponse": order_answer,
    }
    return ApiError(code, message, 409 if partly else 400, data=data)


def _amend_parse(call: Call) -> tuple[Reference, int, str | None]:
    reference = parse_reference(call)
    if not call.params.has("newQty"):
        raise mandatory("newQty")
    return reference, positive(call.params, "newQty"), call.params.client_id("newClientOrderId")


def _amend(call: Call, args: tuple[Reference, int, str | None]) -> Json:
    reference, quantity, client_id = args
    market = call.exchange.spot_market
    order = find(call, reference)
    if order is None or not order.is_open:
        raise unknown_order()
    amendment = market.amendments.amend(order, quantity, client_id)
    body = order_json(order)
    amended = {
        "symbol": body["symbol"],
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "origClientOrderId": amendment.old_client_id,
        "clientOrderId": order.client_order_id,
        "price": body["price"],
        "qty": body["origQty"],
        "executedQty": body["executedQty"],
        "preventedQty": order.instrument.qty_text(order.prevented),
        "quoteOrderQty": body["origQuoteOrderQty"],
        "cumulativeQuoteQty": body["cummulativeQuoteQty"],
        "status": body["status"],
        "timeInForce": order.time_in_force,
        "type": order.type,
        "side": order.side,
        "workingTime": body["workingTime"],
        "selfTradePreventionMode": order.stp_mode,
    }
    answer: dict[str, Any] = {
        "transactTime": order.updated_ms,
        "executionId": amendment.execution_id,
        "amendedOrder": amended,
    }
    if order.list_id != -1:
        row = market.lists.by_id[order.list_id]
        listed = list_json(row, market.orders_of(row))
        answer["listStatus"] = {
            "orderListId": row.list_id,
            "contingencyType": row.contingency,
            "listOrderStatus": row.order_status,
            "listClientOrderId": row.client_id,
            "symbol": row.symbol,
            "orders": listed["orders"],
        }
    return answer


def _amendments_parse(call: Call) -> tuple[Reference, int, int]:
    params, reference = call.params, parse_reference(call)
    return reference, params.integer("fromExecutionId", 0) or 0, params.limit(500, 1000)


def _amendments(call: Call, args: tuple[Reference, int, int]) -> Json:
    reference, from_id, limit = args
    order = find(call, reference)
    if order is None:
        raise no_such_order()
    rows = call.exchange.spot_market.amendments.of(order.order_id)
    chosen = [row for row in rows if row.execution_id >= from_id][:limit]
    instrument = order.instrument

    def shown(row: Amendment) -> dict[str, Any]:
        return {
            "symbol": instrument.symbol,
            "orderId": row.order_id,
            "executionId": row.execution_id,
            "origClientOrderId": row.old_client_id,
            "newClientOrderId": row.new_client_id,
            "origQty": instrument.qty_text(row.old_steps),
            "newQty": instrument.qty_text(row.new_steps),
            "time": row.time_ms,
        }

    return [shown(row) for row in chosen]


ENDPOINTS = [
    Endpoint(
        "POST",
        "/api/v3/order/cancelReplace",
        fixed(1),
        _replace_parse,
        _replace,
        "TRADE",
        "order.cancelReplace",
        places_order=True,
    ),
    Endpoint(
        "PUT",
        "/api/v3/order/amend/keepPriority",
        fixed(4),
        _amend_parse,
        _amend,
        "TRADE",
        "order.amend.keepPriority",
    ),
    Endpoint(
        "GET",
        "/api/v3/order/amendments",
        fixed(4),
        _amendments_parse,
        _amendments,
        "USER_DATA",
        "order.amendments",
    ),
]
