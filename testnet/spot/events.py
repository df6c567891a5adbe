"""The private events of the spot market."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testnet.accounts import Account
from testnet.api.call import Venue
from testnet.orders import Fill, Order
from testnet.values import units_text

# (account id, event, symbol)
Deliver = Callable[[str, dict[str, Any], str | None], None]


class SpotEvents:
    """Turns what happens to an account into events; nothing is built for accounts nobody follows."""

    def __init__(self, venue: Venue, follows: Callable[[str], bool], deliver: Deliver) -> None:
        self._venue = venue
        self._follows = follows
        self._deliver = deliver
        self._execution_id = 0

    def order_event(self, order: Order, fill: Fill | None, cancel_id: str | None) -> None:
        """Send an executionReport."""
        self._execution_id += 1
        if not self._follows(order.account_id):
            return
        event = execution_report(order, fill, cancel_id, self._venue.server_ms(), self._execution_id)
        self._deliver(order.account_id, event, order.instrument.symbol)

    def balances(self, account: Account, assets: tuple[str, ...]) -> None:
        """Send an outboundAccountPosition for the touched assets."""
        if not self._follows(account.account_id):
            return
        rows = [(asset, account.balance(asset)) for asset in dict.fromkeys(assets)]
        event = {
            "e": "outboundAccountPosition",
            "E": self._venue.server_ms(),
            "u": account.updated_ms,
            "B": [{"a": a, "f": units_text(b.free), "l": units_text(b.locked)} for a, b in rows],
        }
        self._deliver(account.account_id, event, None)

    def balance_update(self, account: Account, asset: str, delta: int) -> None:
        """Send a balanceUpdate for a deposit or withdrawal."""
        event = {
            "e": "balanceUpdate",
            "E": self._venue.server_ms(),
            "a": asset,
            "d": units_text(delta),
            "T": self._venue.exchange.now_ms(),
        }
        self._deliver(account.account_id, event, None)


def execution_report(
    order: Order, fill: Fill | None, cancel_id: str | None, server_ms: int, execution_id: int
) -> dict[str, Any]:
    """The executionReport of an order's latest change."""
    instrument = order.instrument
    is_open = order.is_open
    event: dict[str, Any] = {
        "e": "executionReport",
        "E": server_ms,
        "s": instrument.symbol,
        # A cancel carries its own id in c and the order's in C.
        "c": cancel_id if cancel_id is not None else order.client_order_id,
        "S": order.side,
        "o": order.type,
        "f": order.time_in_force,
        "q": instrument.qty_text(order.steps),
        "p": instrument.price_text(order.price),
        "P": units_text(0),
        "F": units_text(0),
        "g": -1,
        "C": order.client_order_id if cancel_id is not None else "",
        "x": "TRADE" if fill is not None else order.status.value,
        "X": order.status.value,
        "r": "NONE",
        "i": order.order_id,
        "l": units_text(fill.quantity if fill is not None else 0),
        "z": instrument.qty_text(order.executed),
        "L": units_text(fill.price if fill is not None else 0),
        "n": units_text(fill.commission if fill is not None else 0),
        "N": fill.commission_asset if fill is not None else None,
        "T": order.updated_ms,
        "t": fill.trade_id if fill is not None else -1,
        "I": execution_id,
        "w": is_open and order.type != "MARKET",
        "m": fill.maker if fill is not None else False,
        "M": fill is not None,
        "O": order.created_ms,
        "Z": units_text(order.executed_quote),
        "Y": units_text(fill.quote if fill is not None else 0),
        "Q": units_text(order.quote_quantity),
        "W": order.created_ms,
        "V": order.stp_mode,
    }
    if order.strategy_id is not None:
        event["j"] = order.strategy_id
    if order.strategy_type is not None:
        event["J"] = order.strategy_type
    return event
