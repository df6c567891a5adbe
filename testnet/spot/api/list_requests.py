"""Reading requests for order lists: each order of a list is described by parameters with a prefix."""

from __future__ import annotations

import re
from dataclasses import dataclass

from testnet.api.call import Call
from testnet.api.params import Params
from testnet.errors import ApiError, mandatory
from testnet.orders import NewOrder
from testnet.spot.api.placement import ENVELOPE, parse_order, refuse_unread
from testnet.spot.checks import ListRequest

_QUOTED = re.compile(r"'(\w+)'")
_COMMON = ("symbol", "listClientOrderId", "newOrderRespType", "selfTradePreventionMode")
# How an order's own parameter is called behind a prefix.
_LEG = {
    "type": "Type",
    "newClientOrderId": "ClientOrderId",
    "price": "Price",
    "stopPrice": "StopPrice",
    "trailingDelta": "TrailingDelta",
    "icebergQty": "IcebergQty",
    "timeInForce": "TimeInForce",
    "strategyId": "StrategyId",
    "strategyType": "StrategyType",
    "pegPriceType": "PegPriceType",
    "pegOffsetType": "PegOffsetType",
    "pegOffsetValue": "PegOffsetValue",
}
_OCO_TYPES = ("LIMIT_MAKER", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")


@dataclass(frozen=True, slots=True)
class Leg:
    """One order of a list: which request parameter is which of its own, and what is fixed."""

    names: dict[str, str]
    fixed: dict[str, str]

    def read(self, call: Call) -> NewOrder:
        """The order; complaints name the request's own parameters."""
        sent = call.params.values
        values = {own: sent[name] for own, name in self.names.items() if sent.get(name)}
        values |= self.fixed
        for common in ("symbol", "selfTradePreventionMode", "newOrderRespType"):
            if sent.get(common):
                values[common] = sent[common]
        values.setdefault("newOrderRespType", "RESULT")
        try:
            return parse_order(call, Params(values))
        except ApiError as error:
            message = _QUOTED.sub(lambda match: f"'{self.names.get(match[1], match[1])}'", error.message)
            raise ApiError(error.code, message, error.status) from None


def _leg(prefix: str, side: str, quantity: str, **fixed: str) -> Leg:
    names = {own: prefix + suffix for own, suffix in _LEG.items()}
    return Leg(names | {"side": side, "quantity": quantity}, fixed)


def _known(*legs: Leg) -> set[str]:
    return {*_COMMON, *(name for leg in legs for name in leg.names.values())} | ENVELOPE


def _client_id(call: Call) -> str:
    return call.params.client_id("listClientOrderId") or ""


def parse_new_oco(call: Call) -> ListRequest:
    """`orderList/oco`: an order above and one below the market."""
    above, below = _leg("above", "side", "quantity"), _leg("below", "side", "quantity")
    refuse_unread(call.params, _known(above, below))
    return ListRequest("OCO", _client_id(call), _pair(call, above, below, "above", "below"))


def parse_oto(call: Call) -> ListRequest:
    """`orderList/oto`: an order that waits until another is filled."""
    working = _leg("working", "workingSide", "workingQuantity")
    pending = _leg("pending", "pendingSide", "pendingQuantity")
    refuse_unread(call.params, _known(working, pending))
    return ListRequest("OTO", _client_id(call), (_working(call, working), pending.read(call)))


def parse_otoco(call: Call) -> ListRequest:
    """`orderList/otoco`: an OCO that waits until another order is filled."""
    working = _leg("working", "workingSide", "workingQuantity")
    above = _leg("pendingAbove", "pendingSide", "pendingQuantity")
    below = _leg("pendingBelow", "pendingSide", "pendingQuantity")
    refuse_unread(call.params, _known(working, above, below))
    if not call.params.has("pendingBelowType"):
        raise mandatory("pendingBelowType")
    pair = _pair(call, above, below, "pendingAbove", "pendingBelow")
    return ListRequest("OTOCO", _client_id(call), (_working(call, working), *pair))


def parse_old_oco(call: Call) -> ListRequest:
    """The deprecated `order/oco`: a limit order and a stop loss."""
    limit = Leg(
        {
            "side": "side",
            "quantity": "quantity",
            "price": "price",
            "newClientOrderId": "limitClientOrderId",
            "icebergQty": "limitIcebergQty",
            "strategyId": "limitStrategyId",
            "strategyType": "limitStrategyType",
        },
        {"type": "LIMIT_MAKER"},
    )
    is_limited = call.params.has("stopLimitPrice")
    stop = Leg(
        {
            "side": "side",
            "quantity": "quantity",
            "price": "stopLimitPrice",
            "timeInForce": "stopLimitTimeInForce",
            "stopPrice": "stopPrice",
            "trailingDelta": "trailingDelta",
            "newClientOrderId": "stopClientOrderId",
            "icebergQty": "stopIcebergQty",
            "strategyId": "stopStrategyId",
            "strategyType": "stopStrategyType",
        },
        {"type": "STOP_LOSS_LIMIT" if is_limited else "STOP_LOSS"},
    )
    refuse_unread(call.params, _known(limit, stop))
    return ListRequest("OCO", _client_id(call), (stop.read(call), limit.read(call)))


def _working(call: Call, leg: Leg) -> NewOrder:
    if call.params.text("workingType") not in ("LIMIT", "LIMIT_MAKER"):
        raise ApiError(-1014, "Unsupported order combination.")
    return leg.read(call)


def _pair(call: Call, above: Leg, below: Leg, above_name: str, below_name: str) -> tuple[NewOrder, ...]:
    """Both orders of an OCO, the stop loss first and the limit order last."""
    params = call.params
    for leg, name in ((above, above_name), (below, below_name)):
        if params.text(leg.names["type"]) not in _OCO_TYPES:
            raise ApiError(-1158, "Order type not supported in OCO.")
        tif = params.values.get(leg.names["timeInForce"]) or "GTC"
        if params.has(leg.names["icebergQty"]) and tif != "GTC":
            raise ApiError(
                -1160, f"Parameter '{name}IcebergQty' is not supported if '{name}TimeInForce' is not GTC."
            )
    side = params.text(above.names["side"])
    _check_sides(side, params.text(above.names["type"]), params.text(below.names["type"]))
    orders = (above.read(call), below.read(call))
    return tuple(sorted(orders, key=_rank))


def _rank(order: NewOrder) -> int:
    if order.type == "LIMIT_MAKER":
        return 2
    return 0 if order.type.startswith("STOP_LOSS") else 1


def _check_sides(side: str, above: str, below: str) -> None:
    """Refuse order types on the wrong side of the market, each with its own code."""
    if above == below == "LIMIT_MAKER":
        raise ApiError(-1168, "At least one OCO order must be contingent.")
    if side == "BUY":
        if above == "LIMIT_MAKER":
            raise ApiError(-1165, "A limit order in a buy OCO must be below.")
        if below.startswith("STOP_LOSS"):
            raise ApiError(-1196, "A stop loss order in a buy OCO must be above.")
        if above.startswith("TAKE_PROFIT"):
            raise ApiError(-1198, "A take profit order in a buy OCO must be below.")
    else:
        if below == "LIMIT_MAKER":
            raise ApiError(-1166, "A limit order in a sell OCO must be above.")
        if above.startswith("STOP_LOSS"):
            raise ApiError(-1197, "A stop loss order in a sell OCO must be below.")
        if below.startswith("TAKE_PROFIT"):
            raise ApiError(-1199, "A take profit order in a sell OCO must be above.")
