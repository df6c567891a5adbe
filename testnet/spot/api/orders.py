"""Placing, querying and cancelling single spot orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from testnet.api.call import Call, Endpoint, Json, fixed
from testnet.errors import ApiError, no_such_order, unknown_order
from testnet.orders import NewOrder, Order, PreventedMatch
from testnet.spot.api.order_json import canceled_json, list_json, order_json, placement_json
from testnet.spot.api.placement import (
    Reference,
    cancel_id,
    parse_placement,
    parse_reference,
    parse_restriction,
    parse_test,
)
from testnet.spot.discounts import discount_json
from testnet.values import units_text

T = TypeVar("T")


def counted(call: Call, orders: int, work: Callable[[], T]) -> T:
    """Place orders under the account's limits; a refused request does not count.

    Raises
    ------
    ApiError : -1015 above a limit, or whatever the work refuses.
    """
    account_id, limits, now = call.owner.account_id, call.venue.limits, call.venue.server_ms()
    limits.check_order(account_id, now, orders=orders)
    # Counted first, because a fill on the way gives credit back.
    limits.count_order(account_id, now, orders=orders)
    try:
        return work()
    except ApiError:
        limits.count_order(account_id, now, orders=-orders)
        raise


def place(call: Call, request: NewOrder) -> Json:
    """Place an order."""
    return counted(call, 1, lambda: placed_json(call, request))


def placed_json(call: Call, request: NewOrder) -> dict[str, Any]:
    """Place an order without counting it; return the answer."""
    order, fills = call.exchange.spot_market.place(call.owner, request)
    return placement_json(order, fills, request.response_type, prevented_by(call, order))


def prevented_by(call: Call, taker: Order) -> list[PreventedMatch]:
    """The matches a new order prevented."""
    if taker.stp_mode == "NONE":
        return []
    return [match for match in call.exchange.spot.prevented if match.taker_id == taker.order_id]


def _test(call: Call, request: NewOrder) -> Json:
    call.exchange.spot_market.check(call.owner, request)
    if not call.params.boolean("computeCommissionRates", default=False):
        return {}
    account = call.owner
    zero = {"maker": units_text(0), "taker": units_text(0)}
    return {
        "standardCommissionForOrder": {
            "maker": units_text(account.maker_rate),
            "taker": units_text(account.taker_rate),
        },
        "specialCommissionForOrder": zero,
        "taxCommissionForOrder": zero,
        "discount": discount_json(account),
    }


def find(call: Call, reference: Reference) -> Order | None:
    """The order a request means, None when the account has no such order."""
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


def _query(call: Call, reference: Reference) -> Json:
    order = find(call, reference)
    if order is None:
        raise no_such_order()
    return order_json(order)


def _cancel_parse(call: Call) -> tuple[Reference, str | None]:
    call.params.client_id("newClientOrderId")
    return parse_reference(call), parse_restriction(call.params)


def _cancel(call: Call, args: tuple[Reference, str | None]) -> Json:
    return canceled(call, args[0], cancel_id(call), args[1])


def canceled(call: Call, reference: Reference, name: str, restriction: str | None) -> dict[str, Any]:
    """Cancel an order, or the whole list it is in; return the answer."""
    order = find(call, reference)
    if order is None:
        raise unknown_order()
    market = call.exchange.spot_market
    gone = market.cancel(order, name, restriction)
    if order.list_id == -1:
        return canceled_json(order, name)
    return canceled_list_json(call, order.list_id, gone, name)


def canceled_list_json(call: Call, list_id: int, gone: list[Order], name: str) -> dict[str, Any]:
    """The answer to the cancel of a list."""
    market = call.exchange.spot_market
    row = market.lists.by_id[list_id]
    return {
        **list_json(row, market.orders_of(row), gone[-1].updated_ms),
        "orderReports": [canceled_json(order, name) for order in gone],
    }


def _symbol_parse(call: Call) -> str:
    symbol = call.params.symbol()
    call.exchange.listing(symbol)
    return symbol


def _cancel_all(call: Call, symbol: str) -> Json:
    market = call.exchange.spot_market
    orders = market.engine.shelf(call.owner.account_id).open_orders(symbol)
    if not orders:
        raise unknown_order()
    singles: list[Json] = []
    lists: list[Json] = []
    for order in orders:
        if not order.is_open:
            continue
        name = cancel_id(call)
        gone = market.cancel(order, name)
        if order.list_id == -1:
            singles.append(canceled_json(order, name))
        else:
            lists.append(canceled_list_json(call, order.list_id, gone, name))
    return singles + lists


def _optional_symbol(call: Call) -> str | None:
    return _symbol_parse(call) if call.params.has("symbol") else None


def _open_orders(call: Call, symbol: str | None) -> Json:
    shelf = call.exchange.spot.shelf(call.owner.account_id)
    return [order_json(order) for order in shelf.open_orders(symbol)]


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
        parse_test,
        _test,
        "TRADE",
        "order.test",
    ),
    Endpoint("GET", "/api/v3/order", fixed(4), parse_reference, _query, "USER_DATA", "order.status"),
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
]
