"""An account's past on the spot market."""

from __future__ import annotations

from testnet.api.call import Call, Endpoint, Json, fixed
from testnet.errors import ApiError
from testnet.spot.api.order_json import my_trade_json, order_json, prevented_json

DAY_MS = 86_400_000
History = tuple[str, int | None, int | None, int]


def symbol_of(call: Call) -> str:
    """A mandatory listed symbol."""
    symbol = call.params.symbol()
    call.exchange.listing(symbol)
    return symbol


def _range_parse(call: Call) -> History:
    """Symbol, start, end and limit of a history query; times at most a day apart."""
    params = call.params
    symbol = symbol_of(call)
    start, end = params.time_ms("startTime"), params.time_ms("endTime")
    if start is not None and end is not None and not 0 <= end - start <= DAY_MS:
        raise ApiError(-1127, "More than 24 hours between startTime and endTime.")
    return symbol, start, end, params.limit(500, 1000)


def _all_orders(call: Call, args: History) -> Json:
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


def _trades_parse(call: Call) -> History:
    params, args = call.params, _range_parse(call)
    timed = args[1] is not None or args[2] is not None
    if params.integer("fromId") is not None and timed:
        raise ApiError(-1128, "Combination of optional parameters invalid.")
    params.integer("orderId")
    return args


def _my_trades(call: Call, args: History) -> Json:
    symbol, start, end, limit = args
    params, engine = call.params, call.exchange.spot
    order_id, from_id = params.integer("orderId"), params.integer("fromId")
    fills = [
        fill
        for fill in engine.shelf(call.owner.account_id).fills
        if fill.instrument.symbol == symbol
        and (order_id is None or fill.order_id == order_id)
        and (from_id is None or fill.trade_id >= from_id)
        and (start is None or fill.time_ms >= start)
        and (end is None or fill.time_ms <= end)
    ]
    fills.sort(key=lambda fill: fill.trade_id)
    first = from_id is not None or start is not None
    chosen = fills[:limit] if first else fills[-limit:]
    orders = engine.by_id
    return [
        my_trade_json(fill, orders[fill.order_id].list_id if fill.order_id in orders else -1)
        for fill in chosen
    ]


def _prevented_parse(call: Call) -> tuple[str, int | None, int | None, int, int]:
    params, symbol = call.params, symbol_of(call)
    match_id, order_id = params.integer("preventedMatchId"), params.integer("orderId")
    from_id = params.integer("fromPreventedMatchId", 0) or 0
    if match_id is None and order_id is None:
        raise ApiError(-1102, "Param 'preventedMatchId' or 'orderId' must be sent, but both were empty/null!")
    return symbol, match_id, order_id, from_id, params.limit(500, 1000)


def _prevented(call: Call, args: tuple[str, int | None, int | None, int, int]) -> Json:
    symbol, match_id, order_id, from_id, limit = args
    engine, owner = call.exchange.spot, call.owner.account_id
    found = [
        match
        for match in engine.prevented
        if match.account_id == owner
        and match.symbol == symbol
        and (match_id is None or match.match_id == match_id)
        and (order_id is None or order_id in (match.taker_id, match.maker_id))
        and match.match_id >= from_id
    ]
    known = [match for match in found if match.taker_id in engine.by_id]
    return [prevented_json(match, engine.by_id[match.taker_id]) for match in known[:limit]]


def _allocations(call: Call, args: History) -> Json:
    # Allocations come from smart order routing, which no symbol here uses.
    return []


ENDPOINTS = [
    Endpoint("GET", "/api/v3/allOrders", fixed(20), _range_parse, _all_orders, "USER_DATA", "allOrders"),
    Endpoint(
        "GET",
        "/api/v3/myTrades",
        lambda params: 5 if params.has("orderId") else 20,
        _trades_parse,
        _my_trades,
        "USER_DATA",
        "myTrades",
    ),
    Endpoint(
        "GET",
        "/api/v3/myPreventedMatches",
        lambda params: 2 if params.has("preventedMatchId") else 20,
        _prevented_parse,
        _prevented,
        "USER_DATA",
        "myPreventedMatches",
    ),
    Endpoint(
        "GET",
        "/api/v3/myAllocations",
        fixed(20),
        _range_parse,
        _allocations,
        "USER_DATA",
        "myAllocations",
    ),
]
