"""USD-M placements as the venue wants them written, for its orders and for its conditional orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from trading.adapters.binance.words import LIMIT_TYPES, POST_ONLY, USDM
from trading.domain.ports import VenueOrder
from trading.domain.values import OrderType, PositionSide


def order_request(order: VenueOrder) -> dict[str, Any]:
    """The parameters of `POST /fapi/v1/order`."""
    if order.close_position:
        raise ValueError("only a conditional order closes a position without a quantity")
    return _common(order) | {
        "newClientOrderId": order.client_order_id,
        "quantity": order.quantity,
        "price": order.price,
        "newOrderRespType": "RESULT",
    }


def algo_request(order: VenueOrder) -> dict[str, Any]:
    """The parameters of `POST /fapi/v1/algoOrder`."""
    trails = order.type is OrderType.TRAILING_STOP_MARKET
    return _common(order) | {
        "algoType": "CONDITIONAL",
        "clientAlgoId": order.client_order_id,
        "quantity": None if order.close_position else order.quantity,
        "closePosition": True if order.close_position else None,
        "price": order.price,
        "triggerPrice": None if trails else order.stop_price,
        "activatePrice": order.stop_price if trails else None,
        "callbackRate": _percent(order.callback_bps) if trails else None,
        "workingType": order.working_type.value if order.working_type else None,
    }


def _common(order: VenueOrder) -> dict[str, Any]:
    if order.type is OrderType.LIMIT_MAKER:
        time_in_force: str | None = POST_ONLY
    elif order.type in LIMIT_TYPES and order.time_in_force is not None:
        time_in_force = order.time_in_force.value
    else:
        time_in_force = None
    # Hedge mode takes no reduceOnly: an order against its position side is reducing by itself.
    one_way = order.position_side is PositionSide.BOTH
    return {
        "symbol": order.symbol,
        "side": order.side.value,
        # Always named, so that an account in the other mode refuses the order (-4061).
        "positionSide": order.position_side.value,
        "type": USDM[order.type],
        "timeInForce": time_in_force,
        "reduceOnly": True if order.reduce_only and one_way and not order.close_position else None,
        "selfTradePreventionMode": order.prevention.value if order.prevention else None,
    }


def _percent(bps: int | None) -> Decimal | None:
    return None if bps is None else Decimal(bps).scaleb(-2)
