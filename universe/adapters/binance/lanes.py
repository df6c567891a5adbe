"""Lanes: who may use how much of a limit. What ends risk has the last of it, what reads data stops first."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final


class Priority(StrEnum):
    """From first to last: cancels, look-ups of orders, protection, reducing, entries, data, bulk work."""

    EXIT = "cancel"
    QUERY = "query"
    PROTECT = "protect"
    REDUCE = "reduce"
    ENTRY = "entry"
    READ = "data"
    BULK = "bulk"


CEILINGS: Final[Mapping[Priority, float]] = {
    Priority.EXIT: 1.0,
    Priority.QUERY: 0.90,
    Priority.PROTECT: 0.88,
    Priority.REDUCE: 0.85,
    Priority.ENTRY: 0.80,
    Priority.READ: 0.70,
    Priority.BULK: 0.50,
}
"""Share of the weight above which a lane waits. A fifth is never spent on anything but ending risk and knowing it,
a tenth on nothing but cancels: 600 of them a minute on spot, 240 on USD-M, each of one order or of a whole symbol."""

ORDER_CEILINGS: Final[Mapping[Priority, float]] = {
    **CEILINGS,
    Priority.PROTECT: 0.95,
    Priority.REDUCE: 0.90,
}
"""The same of an account's order counts, which a cancel does not use up."""

FIRST_AFTER_A_BLOCK: Final = frozenset({Priority.EXIT, Priority.QUERY, Priority.PROTECT, Priority.REDUCE})
"""Lanes that may go on at once when the venue's wait is over; the others follow a little later."""

_LOOK_UPS: Final = (
    "/order",
    "/openOrders",
    "/openOrder",
    "/algoOrder",
    "/openAlgoOrders",
    "/orderList",
    "/openOrderList",
)
_TRIGGERED: Final = ("STOP", "TAKE_PROFIT", "TRAILING")


def lane_of(method: str, path: str, params: Mapping[str, Any]) -> Priority:
    """Return the lane of a call nobody has named one for, by what it does."""
    if method == "DELETE" or path.endswith("/countdownCancelAll"):
        return Priority.EXIT
    if method == "GET":
        return Priority.QUERY if path.endswith(_LOOK_UPS) else Priority.READ
    kind = str(params.get("type", ""))
    if (
        kind.startswith(_TRIGGERED)
        or _is_true(params.get("closePosition"))
        or "/orderList" in path
        or "/algoOrder" in path
    ):
        return Priority.PROTECT
    if _is_true(params.get("reduceOnly")) or "/amend/" in path or _closes(path, params):
        return Priority.REDUCE
    return Priority.ENTRY


def _closes(path: str, params: Mapping[str, Any]) -> bool:
    """Tell whether an order without the flag only shrinks what is held: a sale on spot, the way out in hedge mode."""
    side = str(params.get("side", ""))
    if path.startswith("/api/"):
        return side == "SELL"  # nothing can be sold there that is not held
    return (params.get("positionSide"), side) in (("LONG", "SELL"), ("SHORT", "BUY"))


def _is_true(value: object) -> bool:
    return value is True or str(value).lower() == "true"
