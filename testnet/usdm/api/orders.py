"""Placing, changing and cancelling USD-M orders, one by one and in batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from testnet.api.call import Call, Endpoint, Json, fixed
from testnet.api.params import Params
from testnet.errors import ApiError, mandatory, unknown_order
from testnet.orders import NewOrder, Order
from testnet.usdm.api.order_params import (
    Reference,
    find_order,
    price_match_of,
    read_list,
    read_order,
    read_reference,
    row_params,
    side_of,
    symbol_of,
)
from testnet.usdm.clearing import PLAIN
from testnet.usdm.order_json import order_json

MAX_PLACED, MAX_CANCELED = 5, 10
ALL_CANCELED = {"code": 200, "msg": "The operation of cancel all open order is done."}


def _place_parse(call: Call) -> NewOrder:
    return read_order(call, call.params)


def _place(call: Call, request: NewOrder) -> Json:
    account_id, now = call.owner.account_id, call.venue.server_ms()
    call.venue.limits.check_order(account_id, now, "usdm")
    order, _ = call.exchange.usdm_market.place(call.owner, request)
    call.venue.limits.count_order(account_id, now, "usdm")
    if request.response_type == "RESULT":
        return order_json(order, queried=False)
    return _acknowledged(order)


def _acknowledged(order: Order) -> dict[str, Any]:
    # ACK answers before the book is asked: the order as it was accepted.
    body = order_json(order, queried=False)
    zero = order.instrument.qty_text(0)
    return body | {
        "status": "NEW",
        "avgPrice": order.instrument.price_text(0),
        "executedQty": zero,
        "cumQty": zero,
        "cumQuote": "0.00000000",
        "updateTime": order.created_ms,
    }


def _test(call: Call, request: NewOrder) -> Json:
    market = call.exchange.usdm_market
    market.engine.check(call.owner, market.prepared(call.owner, request))
    return {}


Change = tuple[Reference, str, int, int, str]


def _modify_parse(call: Call) -> Change:
    return _read_change(call, call.params)


def _read_change(call: Call, params: Params) -> Change:
    reference = read_reference(call, params)
    side = side_of(params)
    match = price_match_of(params)
    for name in ("quantity", "price"):
        if not params.has(name) and not (name == "price" and match != "NONE"):
            raise mandatory(name)
    return reference, side, params.units("quantity"), params.units("price"), match


def _modify(call: Call, change: Change) -> Json:
    reference, side, quantity, price, match = change
    order = find_order(call, reference)
    if order is None or not order.is_open:
        raise ApiError(-2013, "Order does not exist.")
    if side != order.side:
        raise ApiError(-1117, "Invalid side.")
    request = NewOrder(
        symbol=order.instrument.symbol,
        side=order.side,
        type=order.type,
        time_in_force=order.time_in_force,
        price=price,
        quantity=quantity,
        quote_quantity=0,
        client_order_id=order.client_order_id,
        response_type="RESULT",
        stp_mode=order.stp_mode,
        position=replace(order.position or PLAIN, price_match=match),
    )
    account_id, now = call.owner.account_id, call.venue.server_ms()
    call.venue.limits.check_order(account_id, now, "usdm")
    call.exchange.usdm_market.modify(call.owner, order, request)
    call.venue.limits.count_order(account_id, now, "usdm")
    return order_json(order, queried=False)


def _cancel_parse(call: Call) -> Reference:
    return read_reference(call, call.params)


def _cancel(call: Call, reference: Reference) -> Json:
    order = find_order(call, reference)
    if order is None:
        raise unknown_order()
    call.exchange.usdm.cancel(order, order.client_order_id)
    return order_json(order, queried=False)


def _cancel_all(call: Call, symbol: str) -> Json:
    call.exchange.usdm_market.cancel_all(call.owner.account_id, symbol)
    return ALL_CANCELED


# -- batches -------------------------------------------------------------------------------


def _batch_parse(call: Call) -> list[Any]:
    rows = read_list(call.params, "batchOrders")
    if len(rows) > MAX_PLACED:
        raise ApiError(-4082, "Invalid number of batch place orders.")
    return rows


def _place_row(call: Call, row: object) -> Json:
    return _place(call, read_order(call, row_params(row)))


def _modify_row(call: Call, row: object) -> Json:
    return _modify(call, _read_change(call, row_params(row)))


def _place_batch(call: Call, rows: list[Any]) -> Json:
    return [_one(partial(_place_row, call, row)) for row in rows]


def _modify_batch(call: Call, rows: list[Any]) -> Json:
    return [_one(partial(_modify_row, call, row)) for row in rows]


def _cancel_batch_parse(call: Call) -> list[Reference]:
    symbol, params = symbol_of(call), call.params
    # Some clients send the names in lower case, which the venue takes as well.
    ids, names = _list_named(params, "orderIdList"), _list_named(params, "origClientOrderIdList")
    if ids is not None:
        rows: list[Reference] = [(symbol, _order_id(value), None) for value in ids]
    elif names is not None:
        rows = [(symbol, None, str(value)) for value in names]
    else:
        raise mandatory("orderIdList")
    if len(rows) > MAX_CANCELED:
        raise ApiError(-4032, "Exceed maximum cancel order size.")
    return rows


def _list_named(params: Params, name: str) -> list[Any] | None:
    found = next((spelling for spelling in (name, name.lower()) if params.has(spelling)), None)
    return read_list(params, found) if found is not None else None


def _order_id(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).isdigit():
        raise ApiError(-1130, "Data sent for parameter 'orderIdList' is not valid.")
    return int(value)


def _cancel_batch(call: Call, rows: list[Reference]) -> Json:
    return [_one(partial(_cancel, call, row)) for row in rows]


def _one(action: Callable[[], Json]) -> Json:
    """One item of a batch: its answer, or its refusal as an object of its own."""
    try:
        return action()
    except ApiError as error:
        return error.body()


# -- dead man's switch ---------------------------------------------------------------------


def _countdown_parse(call: Call) -> tuple[str, int]:
    symbol = symbol_of(call)
    if not call.params.has("countdownTime"):
        raise mandatory("countdownTime")
    return symbol, call.params.integer("countdownTime") or 0


def _countdown(call: Call, asked: tuple[str, int]) -> Json:
    symbol, length = asked
    deadline = call.venue.server_ms() - call.venue.clock_skew_ms + length if length else 0
    call.exchange.usdm_market.countdown.set(call.owner.account_id, symbol, deadline)
    return {"symbol": symbol, "countdownTime": str(length)}


def _trade(
    method: str,
    path: str,
    weight: int,
    parse: Any,
    run: Any,
    ws_method: str | None = None,
    *,
    counted: bool = False,
) -> Endpoint:
    return Endpoint(
        method,
        f"/fapi/v1/{path}",
        fixed(weight),
        parse,
        run,
        "TRADE",
        ws_method,
        places_order=counted,
        market="usdm",
    )


ENDPOINTS: list[Endpoint] = [
    _trade("POST", "order", 0, _place_parse, _place, "order.place", counted=True),
    _trade("POST", "order/test", 0, _place_parse, _test),
    _trade("PUT", "order", 0, _modify_parse, _modify, "order.modify", counted=True),
    _trade("DELETE", "order", 1, _cancel_parse, _cancel, "order.cancel"),
    _trade("DELETE", "allOpenOrders", 1, symbol_of, _cancel_all),
    _trade("POST", "batchOrders", 5, _batch_parse, _place_batch, counted=True),
    _trade("PUT", "batchOrders", 5, _batch_parse, _modify_batch, counted=True),
    _trade("DELETE", "batchOrders", 1, _cancel_batch_parse, _cancel_batch),
    _trade("POST", "countdownCancelAll", 10, _countdown_parse, _countdown),
]
