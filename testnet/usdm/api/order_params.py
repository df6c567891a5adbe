"""Reading the parameters of USD-M orders, plain and conditional, with the venue's complaints."""

from __future__ import annotations

import re
from typing import Any

from testnet.api.call import Call
from testnet.api.params import Params
from testnet.errors import ApiError, mandatory, not_required
from testnet.listing import Listing
from testnet.orders import NewOrder, Order, PositionTerms
from testnet.usdm.algo import TYPES as ALGO_TYPES
from testnet.usdm.positions import BOTH, LONG, SHORT
from testnet.usdm.price_match import MODES
from testnet.wire_json import read_json

SIDES = ("BUY", "SELL")
POSITION_SIDES = (BOTH, LONG, SHORT)
TIMES_IN_FORCE = ("GTC", "IOC", "FOK", "GTX", "GTD")
STP_MODES = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")
GTD_AHEAD_MS = 600_000
_CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}", re.ASCII)


def listing_of(call: Call) -> Listing:
    """The perpetual named by `symbol`."""
    return call.exchange.listing(call.params.symbol().upper(), "usdm")


def optional_listing(call: Call) -> Listing | None:
    """The perpetual named by `symbol`, None when none is named."""
    return listing_of(call) if call.params.has("symbol") else None


def symbol_of(call: Call) -> str:
    """The name of a listed perpetual."""
    return listing_of(call).instrument.symbol


def client_id(params: Params, name: str) -> str | None:
    """An optional client order id; ApiError -4015 for one the venue would not take."""
    value = params.values.get(name)
    if not value:
        return None
    if not _CLIENT_ID.fullmatch(value):
        raise ApiError(-4015, "Client order id is not valid.")
    return value


def side_of(params: Params) -> str:
    """BUY or SELL."""
    return params.choice("side", SIDES, -1117, "Invalid side.")


def position_side_of(params: Params) -> str:
    """The position side; BOTH when not sent."""
    if not params.has("positionSide"):
        return BOTH
    return params.choice("positionSide", POSITION_SIDES, -4060, "Invalid position side.")


def time_in_force_of(params: Params) -> str:
    """The time in force of a limit order."""
    return params.choice("timeInForce", TIMES_IN_FORCE, -1115, "Invalid timeInForce.")


def reduce_only_of(params: Params, position_side: str) -> bool:
    """`reduceOnly`, which only one-way mode knows."""
    if params.has("reduceOnly") and position_side != BOTH:
        raise not_required("reduceonly")
    return params.boolean("reduceOnly", default=False)


def price_match_of(params: Params) -> str:
    """`priceMatch`, sent in place of a price."""
    if not params.has("priceMatch"):
        return "NONE"
    mode = params.choice("priceMatch", MODES, -5037, "Invalid price match")
    if mode != "NONE" and params.has("price"):
        raise not_required("price")
    return mode


def stp_mode_of(params: Params) -> str:
    """`selfTradePreventionMode`; NONE when not sent."""
    name = "selfTradePreventionMode"
    if not params.has(name):
        return "NONE"
    return params.choice(name, STP_MODES, -5039, "Invalid self trade prevention mode")


def good_till_of(call: Call, params: Params, time_in_force: str) -> int:
    """`goodTillDate` of a GTD order, in whole seconds of server time."""
    if time_in_force != "GTD":
        if params.has("goodTillDate"):
            raise not_required("goodTillDate")
        return 0
    moment = params.integer("goodTillDate")
    if moment is None:
        raise mandatory("goodTillDate")
    if moment <= call.venue.server_ms() + GTD_AHEAD_MS:
        raise ApiError(
            -5040, "The goodTillDate timestamp must be greater than the current time plus 600 seconds."
        )
    return moment // 1000 * 1000


def read_order(call: Call, params: Params) -> NewOrder:
    """Read a plain placement; every complaint about parameters comes from here.

    Raises
    ------
    ApiError : -1102 missing, -1106 not needed, -1111 or -1116 and so on malformed, -1121 unknown symbol,
        -4120 for the conditional types, which have an endpoint of their own.
    """
    symbol = params.symbol()
    side = side_of(params)
    kind = params.text("type")
    if kind in ALGO_TYPES:
        raise ApiError(
            -4120,
            "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
        )
    if kind not in ("LIMIT", "MARKET"):
        raise ApiError(-1116, "Invalid orderType.")
    position_side = position_side_of(params)
    is_limit = kind == "LIMIT"
    time_in_force = time_in_force_of(params) if is_limit else "GTC"
    price_match = price_match_of(params) if is_limit else "NONE"
    if not is_limit:
        for name in ("timeInForce", "price"):
            if params.has(name):
                raise not_required(name.lower())
        if params.has("priceMatch") and params.values["priceMatch"] != "NONE":
            raise ApiError(-5038, "Price match only supports order type: LIMIT, STOP AND TAKE_PROFIT")
    if params.boolean("closePosition", default=False):
        raise ApiError(-4136, "Target strategy invalid for orderType 'MARKET',closePosition 'true'.")
    if not params.has("quantity"):
        raise mandatory("quantity")
    if is_limit and price_match == "NONE" and not params.has("price"):
        raise mandatory("price")
    reduce_only = reduce_only_of(params, position_side)
    response = "ACK"
    if params.has("newOrderRespType"):
        response = params.choice("newOrderRespType", ("ACK", "RESULT"), -1136, "Invalid newOrderRespType.")
    call.exchange.listing(symbol, "usdm")
    return NewOrder(
        symbol=symbol,
        side=side,
        type=kind,
        time_in_force=time_in_force,
        price=params.units("price"),
        quantity=params.units("quantity"),
        quote_quantity=0,
        client_order_id=client_id(params, "newClientOrderId") or "",
        response_type=response,
        stp_mode=stp_mode_of(params),
        position=PositionTerms(
            position_side=position_side,
            reduce_only=reduce_only,
            price_match=price_match,
            good_till_ms=good_till_of(call, params, time_in_force),
        ),
    )


def read_list(params: Params, name: str) -> list[Any]:
    """A JSON array sent as text."""
    try:
        rows = read_json(params.text(name))
    except ValueError:
        raise ApiError(-1130, f"Data sent for parameter '{name}' is not valid.") from None
    if not isinstance(rows, list) or not rows:
        raise ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")
    return rows


def row_params(row: object) -> Params:
    """The parameters of one order of a batch."""
    if not isinstance(row, dict):
        raise ApiError(-1130, "Data sent for parameter 'batchOrders' is not valid.")
    values = {}
    for name, value in row.items():
        if isinstance(value, bool):
            values[str(name)] = "true" if value else "false"
        elif isinstance(value, str | int | float):
            values[str(name)] = str(value)
        elif value is not None:
            raise ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")
    return Params(values, "usdm")


Reference = tuple[str, int | None, str | None]


def read_reference(call: Call, params: Params) -> Reference:
    """Symbol, and order id or original client id; the id wins when both are sent."""
    symbol = params.symbol()
    order_id, original = params.integer("orderId"), client_id(params, "origClientOrderId")
    if order_id is None and original is None:
        raise ApiError(
            -1102, "Param 'origclientorderid' or 'orderid' must be sent, but both were empty/null!"
        )
    call.exchange.listing(symbol, "usdm")
    return symbol, order_id, original


def find_order(call: Call, reference: Reference) -> Order | None:
    """The account's own order, open or closed; None when there is none."""
    symbol, order_id, original = reference
    shelf = call.exchange.usdm.shelf(call.owner.account_id)
    order = (
        shelf.orders.get(order_id) if order_id is not None else shelf.latest_by_client_id.get(original or "")
    )
    return order if order is not None and order.instrument.symbol == symbol else None
