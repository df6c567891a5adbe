"""The private events of the spot market."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testnet.accounts import Account
from testnet.api.call import Venue
from testnet.orders import Fill, Order, Status
from testnet.spot.lists import OrderList
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
        venue.exchange.spot_market.contingencies.watchers.append(self)

    def order_event(self, order: Order, fill: Fill | None, cancel_id: str | None) -> None:
        """Send an executionReport; the first fill gives the order's count back."""
        if fill is not None and order.executed * order.instrument.step == fill.quantity:
            self._venue.limits.credit_order(order.account_id, self._venue.server_ms())
        change = None
        if order.status is Status.EXPIRED_IN_MATCH:
            change = "TRADE_PREVENTION"
        self._report(order, fill, cancel_id, change)

    def order_changed(self, order: Order, change: str) -> None:
        """Send an executionReport of another execution type."""
        self._report(order, None, None, change)

    def _report(self, order: Order, fill: Fill | None, cancel_id: str | None, change: str | None) -> None:
        self._execution_id += 1
        if not self._follows(order.account_id):
            return
        event = execution_report(order, fill, cancel_id, self._venue.server_ms(), self._execution_id, change)
        if change == "TRADE_PREVENTION":
            event |= self._prevention(order)
        self._deliver(order.account_id, event, order.instrument.symbol)

    def _prevention(self, order: Order) -> dict[str, Any]:
        """What self-trade prevention did to an order just now."""
        match = self._venue.exchange.spot.prevented[-1]
        is_maker = match.maker_id == order.order_id
        instrument = order.instrument
        lost = match.maker_steps if is_maker else match.taker_steps
        return {
            "B": instrument.qty_text(lost),
            "U": match.taker_id if is_maker else match.maker_id,
            "Cs": match.symbol,
            "pl": instrument.qty_text(lost),
            "pL": instrument.price_text(match.price),
            "pY": units_text(lost * match.price * instrument.quote_per),
        }

    def list_changed(self, changed: OrderList, status: str) -> None:
        """Send a listStatus."""
        if not self._follows(changed.account_id):
            return
        exchange = self._venue.exchange
        rows = []
        for order_id in changed.order_ids:
            order = exchange.spot.by_id.get(order_id)
            if order is not None:
                rows.append({"s": changed.symbol, "i": order_id, "c": order.client_order_id})
        event = {
            "e": "listStatus",
            "E": self._venue.server_ms(),
            "s": changed.symbol,
            "g": changed.list_id,
            "c": changed.contingency,
            "l": status,
            "L": "ALL_DONE" if status == "ALL_DONE" else "EXECUTING",
            "r": "NONE",
            "C": changed.client_id,
            "T": exchange.now_ms(),
            "O": rows,
        }
        self._deliver(changed.account_id, event, changed.symbol)

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
    order: Order,
    fill: Fill | None,
    cancel_id: str | None,
    server_ms: int,
    execution_id: int,
    change: str | None = None,
) -> dict[str, Any]:
    """The executionReport of an order's latest change; `change` names an execution type of its own."""
    instrument = order.instrument
    if change is None:
        # A pending order is new too; its status tells what it waits for.
        change = "TRADE" if fill is not None else "NEW" if order.is_open else order.status.value
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
        "P": units_text(order.stop.price if order.stop is not None else 0),
        "F": instrument.qty_text(order.iceberg),
        "g": order.list_id,
        "C": order.client_order_id if cancel_id is not None else "",
        "x": change,
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
        "w": order.is_open and order.working_ms > 0,
        "m": fill.maker if fill is not None else False,
        "M": fill is not None,
        "O": order.created_ms,
        "Z": units_text(order.executed_quote),
        "Y": units_text(fill.quote if fill is not None else 0),
        "Q": units_text(order.quote_quantity),
        "V": order.stp_mode,
    }
    if order.working_ms:
        event["W"] = order.working_ms
    if order.stop is not None and order.stop.trailing_bips:
        event["d"] = order.stop.trailing_bips
        if order.trailing_ms:
            event["D"] = order.trailing_ms
    if order.prevented:
        event["v"] = order.prevented_match_id
        event["A"] = instrument.qty_text(order.prevented)
    if order.expiry_reason:
        event["eR"] = order.expiry_reason
    if order.strategy_id is not None:
        event["j"] = order.strategy_id
    if order.strategy_type is not None:
        event["J"] = order.strategy_type
    return event
