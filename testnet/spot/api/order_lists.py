"""Placing, querying and cancelling order lists."""

from __future__ import annotations

from typing import Any

from testnet.api.call import Call, Endpoint, Json, Parse, Run, fixed
from testnet.errors import ApiError
from testnet.orders import Order
from testnet.spot.api.list_requests import parse_new_oco, parse_old_oco, parse_oto, parse_otoco
from testnet.spot.api.order_json import list_json, placement_json
from testnet.spot.api.orders import canceled_list_json, counted, prevented_by
from testnet.spot.api.placement import cancel_id
from testnet.spot.checks import ListRequest
from testnet.spot.lists import OrderList

DAY_MS = 86_400_000


def _place(call: Call, request: ListRequest) -> Json:
    """Place a list; each of its orders counts."""
    market = call.exchange.spot_market
    response = request.orders[0].response_type

    def report(row: OrderList, orders: list[Order]) -> dict[str, Any]:
        fills = market.engine.shelf(row.account_id).fills
        return {
            **list_json(row, orders),
            "orderReports": [
                placement_json(
                    order,
                    [fill for fill in fills if fill.order_id == order.order_id] if order.executed else [],
                    response,
                    prevented_by(call, order),
                )
                for order in orders
            ],
        }

    return counted(call, len(request.orders), lambda: market.place_list(call.owner, request, report))


def _reference(call: Call, by_name: str) -> tuple[int | None, str | None]:
    list_id, name = call.params.integer("orderListId"), call.params.client_id(by_name)
    if list_id is None and name is None:
        raise ApiError(-1102, f"Param '{by_name}' or 'orderListId' must be sent, but both were empty/null!")
    return list_id, name


def _find(call: Call, list_id: int | None, name: str | None) -> OrderList | None:
    lists, account_id = call.exchange.spot_market.lists, call.owner.account_id
    if list_id is None:
        return lists.named(account_id, name or "")
    found = lists.by_id.get(list_id)
    return found if found is not None and found.account_id == account_id else None


def _cancel_parse(call: Call) -> tuple[str, int | None, str | None]:
    symbol = call.params.symbol()
    call.exchange.listing(symbol)
    call.params.client_id("newClientOrderId")
    return symbol, *_reference(call, "listClientOrderId")


def _cancel(call: Call, args: tuple[str, int | None, str | None]) -> Json:
    symbol, list_id, name = args
    row = _find(call, list_id, name)
    if row is None or row.symbol != symbol or row.done:
        raise ApiError(-2011, "Unknown order list sent.")
    cancel = cancel_id(call)
    gone = call.exchange.spot_market.cancel_list(row, cancel)
    return canceled_list_json(call, row.list_id, gone, cancel)


def _shown(call: Call, row: OrderList) -> dict[str, Any]:
    return list_json(row, call.exchange.spot_market.orders_of(row))


def _query_parse(call: Call) -> tuple[int | None, str | None]:
    return _reference(call, "origClientOrderId")


def _query(call: Call, args: tuple[int | None, str | None]) -> Json:
    row = _find(call, *args)
    if row is None:
        raise ApiError(-2013, "Order list does not exist.")
    return _shown(call, row)


def _open(call: Call, _: None) -> Json:
    return [_shown(call, row) for row in call.exchange.spot_market.lists.open_of(call.owner.account_id)]


def _nothing(call: Call) -> None:
    return None


def _all_parse(call: Call) -> tuple[int | None, int | None, int | None, int]:
    params = call.params
    from_id = params.integer("fromId")
    start, end = params.time_ms("startTime"), params.time_ms("endTime")
    if from_id is not None and (start is not None or end is not None):
        raise ApiError(-1128, "Combination of optional parameters invalid.")
    if start is not None and end is not None and not 0 <= end - start <= DAY_MS:
        raise ApiError(-1127, "More than 24 hours between startTime and endTime.")
    return from_id, start, end, params.limit(500, 1000)


def _all(call: Call, args: tuple[int | None, int | None, int | None, int]) -> Json:
    from_id, start, end, limit = args
    rows = [
        row
        for row in call.exchange.spot_market.lists.of_account(call.owner.account_id)
        if (from_id is None or row.list_id >= from_id)
        and (start is None or row.created_ms >= start)
        and (end is None or row.created_ms <= end)
    ]
    first = from_id is not None or start is not None
    return [_shown(call, row) for row in (rows[:limit] if first else rows[-limit:])]


def _placement(path: str, parse: Parse, ws_method: str, run: Run = _place) -> Endpoint:
    return Endpoint("POST", path, fixed(1), parse, run, "TRADE", ws_method, places_order=True)


ENDPOINTS = [
    _placement("/api/v3/order/oco", parse_old_oco, "orderList.place"),
    _placement("/api/v3/orderList/oco", parse_new_oco, "orderList.place.oco"),
    _placement("/api/v3/orderList/oto", parse_oto, "orderList.place.oto"),
    _placement("/api/v3/orderList/otoco", parse_otoco, "orderList.place.otoco"),
    Endpoint("DELETE", "/api/v3/orderList", fixed(1), _cancel_parse, _cancel, "TRADE", "orderList.cancel"),
    Endpoint("GET", "/api/v3/orderList", fixed(4), _query_parse, _query, "USER_DATA", "orderList.status"),
    Endpoint("GET", "/api/v3/allOrderList", fixed(20), _all_parse, _all, "USER_DATA", "allOrderLists"),
    Endpoint("GET", "/api/v3/openOrderList", fixed(6), _nothing, _open, "USER_DATA", "openOrderLists.status"),
]
