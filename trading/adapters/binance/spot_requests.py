"""Spot placements as the venue wants them written, one by one and in lists.

Source: Binance spot documentation, "Order lists": each order of a list is described by parameters with a prefix.
"""

from __future__ import annotations

from typing import Any

from trading.adapters.binance.words import LIMIT_TYPES, SPOT
from trading.domain.ports import VenueOrder, VenueOrderList
from trading.domain.values import ListKind, OrderType

_PATHS = {
    ListKind.OCO: "/api/v3/orderList/oco",
    ListKind.OTO: "/api/v3/orderList/oto",
    ListKind.OTOCO: "/api/v3/orderList/otoco",
}
_PREFIXES = {
    ListKind.OCO: ("above", "below"),
    ListKind.OTO: ("working", "pending"),
    ListKind.OTOCO: ("working", "pendingAbove", "pendingBelow"),
}


def order_request(order: VenueOrder) -> dict[str, Any]:
    """The parameters of `POST order`, client order id and answer form left out; None where nothing is sent."""
    if order.close_position:
        raise ValueError("spot has no positions to close")
    trails = order.type is OrderType.TRAILING_STOP_MARKET
    return {
        "symbol": order.symbol,
        "side": order.side.value,
        "type": SPOT[order.type],
        "timeInForce": order.time_in_force.value
        if order.time_in_force and order.type in LIMIT_TYPES
        else None,
        "quantity": order.quantity,
        "price": order.price,
        "stopPrice": order.stop_price,
        "trailingDelta": order.callback_bps if trails else None,
        "selfTradePreventionMode": order.prevention.value if order.prevention else None,
    }


def list_request(orders: VenueOrderList) -> tuple[str, dict[str, Any]]:
    """Path and parameters of a list.

    Raises
    ------
    ValueError : the number of legs, their sides, quantities or symbols do not make such a list.
    """
    prefixes = _PREFIXES[orders.kind]
    if len(orders.legs) != len(prefixes):
        raise ValueError(f"an {orders.kind} has {len(prefixes)} orders, not {len(orders.legs)}")
    if any(leg.symbol != orders.symbol for leg in orders.legs):
        raise ValueError(f"every order of a list is of one symbol, {orders.symbol}")
    params: dict[str, Any] = {
        "symbol": orders.symbol,
        "listClientOrderId": orders.client_list_id,
        "newOrderRespType": "FULL",
        # One mode for all: the last legs are the exits, which must not be lost to an order in their way.
        "selfTradePreventionMode": order_request(orders.legs[-1])["selfTradePreventionMode"],
    }
    match orders.kind:
        case ListKind.OCO:
            _shared(params, orders.legs, "side", "quantity")
        case ListKind.OTO:
            _shared(params, orders.legs[:1], "workingSide", "workingQuantity")
            _shared(params, orders.legs[1:], "pendingSide", "pendingQuantity")
        case ListKind.OTOCO:
            _shared(params, orders.legs[:1], "workingSide", "workingQuantity")
            _shared(params, orders.legs[1:], "pendingSide", "pendingQuantity")
    for prefix, leg in zip(prefixes, orders.legs, strict=True):
        request = order_request(leg)
        params[f"{prefix}ClientOrderId"] = leg.client_order_id
        for name in ("type", "timeInForce", "price", "stopPrice", "trailingDelta"):
            params[prefix + name[0].upper() + name[1:]] = request[name]
    return _PATHS[orders.kind], params


def _shared(params: dict[str, Any], legs: tuple[VenueOrder, ...], side: str, quantity: str) -> None:
    first = legs[0]
    if any(leg.side is not first.side or leg.quantity != first.quantity for leg in legs):
        raise ValueError("orders that cancel each other have one side and one quantity")
    params[side], params[quantity] = first.side.value, first.quantity
