"""What a call costs, by the venue's documentation: request weight of the address, orders of the account.

The venue's own headers correct the sum after each answer; the table is what can be known before a call is sent.
Source: Binance spot and USD-M documentation, "Limits" of each endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Weight = int | Callable[[Mapping[str, Any]], int]
UNKNOWN: Final = 20
"""Of a path that is not listed: no read we make costs more, but for those that are."""


def _by_symbol(one: int, every: int) -> Callable[[Mapping[str, Any]], int]:
    return lambda params: one if params.get("symbol") else every


def _by_limit(default: int, *steps: tuple[int, int], beyond: int) -> Callable[[Mapping[str, Any]], int]:
    def weight(params: Mapping[str, Any]) -> int:
        limit = int(params.get("limit") or default)
        return next((cost for upto, cost in steps if limit <= upto), beyond)

    return weight


_SPOT: Final[Mapping[str, Weight]] = {
    "ping": 1,
    "time": 1,
    "exchangeInfo": 20,
    "depth": _by_limit(100, (100, 5), (500, 25), (1000, 50), beyond=250),
    "trades": 25,
    "historicalTrades": 25,
    "aggTrades": 4,
    "klines": 2,
    "uiKlines": 2,
    "avgPrice": 2,
    "ticker/24hr": _by_symbol(2, 80),
    "ticker/price": _by_symbol(2, 4),
    "ticker/bookTicker": _by_symbol(2, 4),
    "openOrders": _by_symbol(6, 80),
    "openOrderList": 6,
    "allOrders": 20,
    "allOrderList": 20,
    "myTrades": lambda params: 5 if params.get("orderId") else 20,
    "account": 20,
    "account/commission": 20,
    "rateLimit/order": 40,
    "order/amend/keepPriority": 4,
}
_USDM: Final[Mapping[str, Weight]] = {
    "ping": 1,
    "time": 1,
    "exchangeInfo": 1,
    "depth": _by_limit(500, (50, 2), (100, 5), (500, 10), beyond=20),
    "trades": 5,
    "aggTrades": 20,
    "klines": _by_limit(500, (99, 1), (499, 2), (1000, 5), beyond=10),
    "premiumIndex": _by_symbol(1, 10),
    "fundingRate": 1,
    "fundingInfo": 1,
    "ticker/24hr": _by_symbol(1, 40),
    "ticker/price": _by_symbol(1, 2),
    "ticker/bookTicker": _by_symbol(2, 5),
    "openOrders": _by_symbol(1, 40),
    "openAlgoOrders": _by_symbol(1, 40),
    "openOrder": 1,
    "allOrders": 5,
    "userTrades": 5,
    "account": 5,
    "balance": 5,
    "positionRisk": 5,
    "income": 30,
    "positionSide/dual": 30,
    "multiAssetsMargin": 30,
    "symbolConfig": 5,
    "leverageBracket": 1,
    "commissionRate": 20,
    "countdownCancelAll": 10,
    "listenKey": 1,
    "algoOrder": 1,
    "batchOrders": 5,
}


def request_weight(method: str, path: str, params: Mapping[str, Any]) -> int:
    """Return the request weight of a call, from its path from the root."""
    root, _, rest = path.lstrip("/").partition("/")
    name = rest.partition("/")[2] if rest[:1] == "v" else rest
    if root == "api":
        if method in ("DELETE", "POST") and name in ("openOrders", "order", "order/cancelReplace"):
            return 1
        if name == "order":
            return 4
        if name.startswith("orderList"):
            return 4 if method == "GET" else 1
        found: Weight | None = _SPOT.get(name)
    elif root == "fapi":
        if name == "order":
            return 0 if method in ("POST", "PUT") else 1
        if name == "algoOrder" and method == "POST":
            return 0
        if name in ("allOpenOrders", "algoOpenOrders"):
            return 1
        # A setting is written at the price of one.
        found = (
            1 if method == "POST" and name in ("positionSide/dual", "multiAssetsMargin") else _USDM.get(name)
        )
    else:
        found = 1  # /sapi has limits of its own, which do not count here
    if found is None:
        return UNKNOWN
    return found(params) if callable(found) else found


def orders_counted(method: str, path: str) -> int:
    """Return how many orders of the account's count a call may add."""
    if path.endswith(("/order/test", "/amend/keepPriority")):
        return 0
    if method == "PUT" and path.startswith("/fapi/") and path.endswith("/order"):
        return 1
    if method != "POST":
        return 0
    if path.endswith("/orderList/otoco"):
        return 3
    if "/orderList/" in path:
        return 2
    if path.endswith("/batchOrders"):
        return 5
    return 1 if path.endswith(("/order", "/algoOrder", "/order/cancelReplace")) else 0
