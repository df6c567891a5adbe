"""Order types in the words of each market, both ways.

The same word means different things (`TAKE_PROFIT` is a market order on spot and a limit order on USD-M), so the
kernel has words of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from trading.domain.values import OrderType

SPOT: Final[Mapping[OrderType, str]] = MappingProxyType(
    {
        OrderType.LIMIT: "LIMIT",
        OrderType.LIMIT_MAKER: "LIMIT_MAKER",
        OrderType.MARKET: "MARKET",
        OrderType.STOP_MARKET: "STOP_LOSS",
        OrderType.STOP_LIMIT: "STOP_LOSS_LIMIT",
        OrderType.TAKE_PROFIT_MARKET: "TAKE_PROFIT",
        OrderType.TAKE_PROFIT_LIMIT: "TAKE_PROFIT_LIMIT",
        OrderType.TRAILING_STOP_MARKET: "STOP_LOSS",  # with a trailingDelta
    }
)
USDM: Final[Mapping[OrderType, str]] = MappingProxyType(
    {
        OrderType.LIMIT: "LIMIT",
        OrderType.LIMIT_MAKER: "LIMIT",  # with timeInForce GTX
        OrderType.MARKET: "MARKET",
        OrderType.STOP_MARKET: "STOP_MARKET",
        OrderType.STOP_LIMIT: "STOP",
        OrderType.TAKE_PROFIT_MARKET: "TAKE_PROFIT_MARKET",
        OrderType.TAKE_PROFIT_LIMIT: "TAKE_PROFIT",
        OrderType.TRAILING_STOP_MARKET: "TRAILING_STOP_MARKET",
    }
)
POST_ONLY: Final = "GTX"
LIMIT_TYPES: Final = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT})
"""Types that carry a time in force."""

_OF_SPOT: Final = {word: kind for kind, word in SPOT.items() if kind is not OrderType.TRAILING_STOP_MARKET}
_OF_USDM: Final = {word: kind for kind, word in USDM.items() if kind is not OrderType.LIMIT_MAKER}


def spot_type(word: str, *, trailing: bool = False) -> str:
    """The kernel's word for a spot order type; one it does not have stays as it is."""
    if trailing and word in ("STOP_LOSS", "TAKE_PROFIT"):
        return OrderType.TRAILING_STOP_MARKET
    return _OF_SPOT.get(word, word)


def usdm_type(word: str, time_in_force: str | None) -> str:
    """The kernel's word for a USD-M order type; one it does not have stays as it is."""
    if word == "LIMIT" and time_in_force == POST_ONLY:
        return OrderType.LIMIT_MAKER
    return _OF_USDM.get(word, word)


def is_conditional(word: str) -> bool:
    """Whether a kernel word names an order that waits for a trigger."""
    return word in OrderType.__members__ and OrderType(word).is_conditional


def usdm_time_in_force(text: object) -> str | None:
    """Time in force in the kernel's words: post-only is a type there."""
    word = str(text or "")
    return "GTC" if word == POST_ONLY else word or None
