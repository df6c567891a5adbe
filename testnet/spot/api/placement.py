"""Reading what clients want to place; every complaint about a placement's parameters comes from here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from testnet.api.call import Call
from testnet.api.params import Params
from testnet.assigned_ids import assigned_id
from testnet.errors import ApiError, illegal_characters, rejected
from testnet.orders import NewOrder, StopTerms
from testnet.prevention import MODES
from testnet.spot.api.order_types import RESPONSE_TYPES, SIDES, TIMES_IN_FORCE, order_type
from testnet.values import DECIMAL_PATTERN

_PEGS = frozenset({"pegPriceType", "pegOffsetValue", "pegOffsetType"})
_MIN_STRATEGY_TYPE = 1_000_000
_MAX_BIPS = 9_999
# What identifies and times a request rather than describing it.
ENVELOPE = frozenset({"recvWindow", "timestamp", "signature", "apiKey", "returnRateLimits"})
# Everything the venue documents for one order; anything else is -1104.
ORDER_PARAMETERS = _PEGS | {
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
}


def refuse_unread(params: Params, known: Iterable[str]) -> None:
    """Raise -1104 when something was sent that this request does not know."""
    names = ENVELOPE.union(known)
    read = sum(1 for name in params.values if name in names)
    if read < len(params.values):
        raise ApiError(
            -1104,
            f"Not all sent parameters were read; read '{read}' parameter(s) but was sent "
            f"'{len(params.values)}'.",
        )


def parse_placement(call: Call) -> NewOrder:
    """Read one order as `POST order` describes it."""
    refuse_unread(call.params, ORDER_PARAMETERS)
    return parse_order(call)


def parse_test(call: Call) -> NewOrder:
    """Read one order as `POST order/test` describes it."""
    refuse_unread(call.params, ORDER_PARAMETERS | {"computeCommissionRates"})
    return parse_order(call)


def parse_order(call: Call, params: Params | None = None) -> NewOrder:
    """Read one order from a request, or from parameters made of one.

    Raises
    ------
    ApiError : -11xx for whatever is missing, unneeded, malformed or unknown; -1014 for an iceberg that
        does not rest; -2010 for pegs, which no symbol has.
    """
    if params is None:
        params = call.params
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
    mode = params.values.get("selfTradePreventionMode") or "NONE"
    if mode not in MODES:
        raise ApiError(-1013, "This symbol does not allow the specified self-trade prevention mode.")
    if any(params.has(name) for name in _PEGS):
        raise rejected("Pegged orders are not supported for this symbol.")
    strategy_type = params.integer("strategyType")
    if strategy_type is not None and strategy_type < _MIN_STRATEGY_TYPE:
        raise ApiError(-1134, "'strategyType' was less than 1000000.")
    quantity, iceberg = positive(params, "quantity"), positive(params, "icebergQty")
    if iceberg and time_in_force != "GTC":
        raise ApiError(-1014, "Unsupported order combination.")
    if iceberg > quantity:
        raise rejected("IcebergQty exceeds QTY.")
    return NewOrder(
        symbol=symbol,
        side=side,
        type=kind.name,
        time_in_force=time_in_force,
        price=positive(params, "price"),
        quantity=quantity,
        quote_quantity=positive(params, "quoteOrderQty"),
        client_order_id=params.client_id("newClientOrderId") or "",
        response_type=response,
        stp_mode=mode,
        strategy_id=params.integer("strategyId"),
        strategy_type=strategy_type,
        iceberg=iceberg,
        stop=_stop(params) if kind.any_of else None,
    )


def _stop(params: Params) -> StopTerms:
    bips = params.integer("trailingDelta", 0) or 0
    if params.has("trailingDelta") and not 0 < bips <= _MAX_BIPS:
        raise ApiError(-1130, "Data sent for parameter 'trailingDelta' is not valid.")
    return StopTerms(positive(params, "stopPrice"), bips)


def positive(params: Params, name: str) -> int:
    """An optional amount in 1e-8 units, 0 when absent; -1100 when it is sent as zero."""
    units = params.units(name)
    if not units and params.has(name):
        raise illegal_characters(name, DECIMAL_PATTERN)
    return units


def cancel_id(call: Call, name: str = "newClientOrderId") -> str:
    """The id of a cancel: the client's, or one that differs for every change of the exchange's state."""
    return call.params.client_id(name) or assigned_id("cancel", call.exchange.seq)


Reference = tuple[str, int | None, str | None]


def parse_reference(call: Call, by_id: str = "orderId", by_client_id: str = "origClientOrderId") -> Reference:
    """Symbol and order id or original client id of an order; the id wins when both are sent."""
    params = call.params
    symbol = params.symbol()
    order_id, client_id = params.integer(by_id), params.client_id(by_client_id)
    if order_id is None and client_id is None:
        raise ApiError(-1102, f"Param '{by_client_id}' or '{by_id}' must be sent, but both were empty/null!")
    call.exchange.listing(symbol)
    return symbol, order_id, client_id


def parse_restriction(params: Params) -> str | None:
    """`cancelRestrictions`; -1145 for an unknown word."""
    restriction: Any = params.values.get("cancelRestrictions") or None
    if restriction not in (None, "ONLY_NEW", "ONLY_PARTIALLY_FILLED"):
        raise ApiError(-1145, "Invalid cancelRestrictions")
    return str(restriction) if restriction else None
