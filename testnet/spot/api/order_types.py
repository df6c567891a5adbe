"""What each order type requires and refuses; one entry per type, so that new types are new entries."""

from __future__ import annotations

from dataclasses import dataclass

from testnet.api.params import Params
from testnet.errors import ApiError, mandatory, not_required

SIDES = ("BUY", "SELL")
TIMES_IN_FORCE = ("GTC", "IOC", "FOK")
RESPONSE_TYPES = ("ACK", "RESULT", "FULL")


@dataclass(frozen=True, slots=True)
class OrderType:
    """The parameters of one order type.

    `one_of` names alternatives of which exactly one is sent, `any_of` some of which at least one is.
    """

    name: str
    required: tuple[str, ...]
    refused: tuple[str, ...]
    one_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    default_response: str = "ACK"

    def check(self, params: Params) -> None:
        """Raise -1102 for a missing, -1106 for an unneeded parameter."""
        for name in self.required:
            if not params.has(name):
                raise mandatory(name)
        sent = [name for name in self.one_of if params.has(name)]
        if self.one_of and not sent:
            raise mandatory(self.one_of[0])
        if len(sent) > 1:
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        if self.any_of and not any(params.has(name) for name in self.any_of):
            first, second = self.any_of
            raise ApiError(-1102, f"Param '{first}' or '{second}' must be sent, but both were empty/null!")
        for name in self.refused:
            if params.has(name):
                raise not_required(name)


_STOP = ("stopPrice", "trailingDelta")
_TYPES = (
    OrderType(
        "LIMIT", ("timeInForce", "quantity", "price"), ("quoteOrderQty", *_STOP), default_response="FULL"
    ),
    OrderType("LIMIT_MAKER", ("quantity", "price"), ("timeInForce", "quoteOrderQty", *_STOP)),
    OrderType(
        "MARKET",
        (),
        ("timeInForce", "price", "icebergQty", *_STOP),
        one_of=("quantity", "quoteOrderQty"),
        default_response="FULL",
    ),
    *(
        OrderType(name, ("quantity",), ("timeInForce", "price", "quoteOrderQty", "icebergQty"), any_of=_STOP)
        for name in ("STOP_LOSS", "TAKE_PROFIT")
    ),
    *(
        OrderType(name, ("timeInForce", "quantity", "price"), ("quoteOrderQty",), any_of=_STOP)
        for name in ("STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
    ),
)
ORDER_TYPES: dict[str, OrderType] = {kind.name: kind for kind in _TYPES}


def order_type(params: Params) -> OrderType:
    """The requested type; ApiError -1116 for an unknown one."""
    found = ORDER_TYPES.get(params.text("type"))
    if found is None:
        raise ApiError(-1116, "Invalid orderType.")
    return found
