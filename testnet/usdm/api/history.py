"""Queries of USD-M orders and fills."""

from __future__ import annotations

from typing import Any, NamedTuple

from testnet.api.call import Call, Endpoint, Json, Weight, fixed
from testnet.errors import ApiError, no_such_order
from testnet.usdm.api.order_params import (
    Reference,
    client_id,
    find_order,
    optional_listing,
    read_reference,
    symbol_of,
)
from testnet.usdm.off_book import FORCED
from testnet.usdm.order_json import amendment_json, order_json, trade_json

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS


class Range(NamedTuple):
    """What part of a history is asked for; times in market ms."""

    symbol: str
    start: int | None
    end: int | None
    limit: int
    first_id: int | None
    order_id: int | None


def _reference(call: Call) -> Reference:
    return read_reference(call, call.params)


def _query(call: Call, reference: Reference) -> Json:
    order = find_order(call, reference)
    if order is None:
        raise no_such_order()
    return order_json(order)


def _open_one(call: Call, reference: Reference) -> Json:
    order = find_order(call, reference)
    if order is None or not order.is_open:
        raise no_such_order()
    return order_json(order)


def _symbol(call: Call) -> str | None:
    listing = optional_listing(call)
    return listing.instrument.symbol if listing is not None else None


def _open_orders(call: Call, symbol: str | None) -> Json:
    shelf = call.exchange.usdm.shelf(call.owner.account_id)
    return [order_json(order) for order in shelf.open_orders(symbol)]


def read_range(call: Call, *, first: str, maximum: int = 1000) -> Range:
    """Symbol, times at most a week apart, limit, and where to start."""
    params = call.params
    symbol = symbol_of(call)
    start, end = params.time_ms("startTime"), params.time_ms("endTime")
    if start is not None and end is not None:
        if end < start:
            raise ApiError(-1023, "Start time is greater than end time.")
        if end - start > WEEK_MS:
            raise ApiError(-4165, "Invalid time interval: Maximum time interval is 7 days.")
    return Range(
        symbol,
        start,
        end,
        params.limit(500, maximum),
        params.integer(first),
        params.integer("orderId"),
    )


def _orders_range(call: Call) -> Range:
    return read_range(call, first="orderId")


def _all_orders(call: Call, asked: Range) -> Json:
    orders = [
        order
        for order in call.exchange.usdm.shelf(call.owner.account_id).orders.values()
        if order.instrument.symbol == asked.symbol
        and (asked.first_id is None or order.order_id >= asked.first_id)
        and (asked.start is None or order.created_ms >= asked.start)
        and (asked.end is None or order.created_ms <= asked.end)
    ]
    return [order_json(order) for order in _cut(orders, asked)]


def _trades_range(call: Call) -> Range:
    asked = read_range(call, first="fromId")
    if asked.first_id is not None and (asked.start is not None or asked.end is not None):
        raise ApiError(-1128, "Combination of optional parameters invalid.")
    return asked


def _user_trades(call: Call, asked: Range) -> Json:
    fills = [
        fill
        for fill in call.exchange.usdm.shelf(call.owner.account_id).fills
        if fill.instrument.symbol == asked.symbol
        and (asked.order_id is None or fill.order_id == asked.order_id)
        and (asked.first_id is None or fill.trade_id >= asked.first_id)
        and (asked.start is None or fill.time_ms >= asked.start)
        and (asked.end is None or fill.time_ms <= asked.end)
    ]
    fills.sort(key=lambda fill: fill.trade_id)
    return [trade_json(fill) for fill in _cut(fills, asked)]


def _cut(rows: list[Any], asked: Range) -> list[Any]:
    first = asked.first_id is not None or asked.start is not None
    return rows[: asked.limit] if first else rows[-asked.limit :]


def _amendments_parse(call: Call) -> tuple[Reference, Range]:
    symbol = symbol_of(call)
    reference = (symbol, call.params.integer("orderId"), client_id(call.params, "origClientOrderId"))
    if reference[1] is None and reference[2] is None:
        reference = read_reference(call, call.params)
    return reference, read_range(call, first="fromId", maximum=100)


def _amendments(call: Call, asked: tuple[Reference, Range]) -> Json:
    reference, window = asked
    order = find_order(call, reference)
    if order is None:
        raise no_such_order()
    rows = [
        row
        for row in call.exchange.usdm_market.amendments.of(order.order_id)
        if (window.start is None or row.time_ms >= window.start)
        and (window.end is None or row.time_ms <= window.end)
    ]
    return [amendment_json(order, row) for row in rows[-window.limit :]][::-1]


def _forced_parse(call: Call) -> tuple[str | None, str | None, int | None, int | None, int]:
    params, symbol = call.params, _symbol(call)
    kind = None
    if params.has("autoCloseType"):
        kind = params.choice(
            "autoCloseType", FORCED, -1130, "Data sent for parameter 'autoCloseType' is not valid."
        )
    return symbol, kind, params.time_ms("startTime"), params.time_ms("endTime"), params.limit(50, 100)


def _forced(call: Call, asked: tuple[str | None, str | None, int | None, int | None, int]) -> Json:
    symbol, kind, start, end, limit = asked
    prefixes = tuple(FORCED[kind] if kind is not None else [p for row in FORCED.values() for p in row])
    orders = [
        order
        for order in call.exchange.usdm.shelf(call.owner.account_id).orders.values()
        if order.client_order_id.startswith(prefixes)
        and (symbol is None or order.instrument.symbol == symbol)
        and (start is None or order.created_ms >= start)
        and (end is None or order.created_ms <= end)
    ]
    return [order_json(order) for order in orders[-limit:]][::-1]


def _by_symbol(one: int, every: int) -> Weight:
    return lambda params: one if params.has("symbol") else every


def _data(path: str, weight: Weight, parse: Any, run: Any, ws_method: str | None = None) -> Endpoint:
    return Endpoint("GET", f"/fapi/v1/{path}", weight, parse, run, "USER_DATA", ws_method, market="usdm")


ENDPOINTS: list[Endpoint] = [
    _data("order", fixed(1), _reference, _query, "order.status"),
    _data("openOrder", fixed(1), _reference, _open_one),
    _data("openOrders", _by_symbol(1, 40), _symbol, _open_orders),
    _data("allOrders", fixed(5), _orders_range, _all_orders),
    _data("userTrades", fixed(5), _trades_range, _user_trades),
    _data("orderAmendment", fixed(1), _amendments_parse, _amendments),
    _data("forceOrders", _by_symbol(20, 50), _forced_parse, _forced),
]
