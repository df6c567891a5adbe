"""What each order type requires and refuses; one entry per type, so that new types are new entries."""

from __future__ import annotations

from dataclasses import dataclass

from testnet.api.params import Params
from testnet.errors import ApiError, mandatory, not_required

SIDES = ("BUY", "SELL")
TIMES_IN_FORCE = ("GTC", "IOC", "FOK")
RESPONSE_TYPES = ("ACK", "RESULT", "FULL")
KNOWN_TYPES = (
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
)


@dataclass(frozen=True, slots=True)
class OrderType:
    """The parameters of one order type; `one_of` names alternatives of which exactly one is sent."""

    name: str
    required: tuple[str, ...]
    refused: tuple[str, ...]
    one_of: tuple[str, ...] = ()
    default_response: str = "FULL"

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
        for name in self.refused:
            if params.has(name):
                raise not_required(name)


_STOP = ("stopPrice", "trailingDelta", "icebergQty")
SUPPORTED: dict[str, OrderType] = {
    "LIMIT": OrderType("LIMIT", ("timeInForce", "quantity", "price"), ("quoteOrderQty", *_STOP)),
    "LIMIT_MAKER": OrderType(
        "LIMIT_MAKER",
        ("quantity", "price"),
        ("timeInForce", "quoteOrderQty", *_STOP),
        default_response="ACK",
    ),
    "MARKET": OrderType("MARKET", (), ("timeInForce", "price", *_STOP), one_of=("quantity", "quoteOrderQty")),
}


def order_type(params: Params) -> OrderType:
    """The requested type.

    Raises
    ------
    ApiError : -1116 for an unknown type, -1014 for one of the venue's types not offered here.
    """
    name = params.text("type")
    if name not in KNOWN_TYPES:
        raise ApiError(-1116, "Invalid orderType.")
    if name not in SUPPORTED:
        raise ApiError(-1014, "Unsupported order combination.")
    return SUPPORTED[name]
