"""The exchange in memory with what crash and fault tests need: a log of requests and answers made to order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from tests.fakes.venue import FakeVenue
from trading.domain.errors import VenueRejected
from trading.domain.ports import OrderReport, TradeReport, VenueOrder


@dataclass(slots=True)
class Placed:
    """One placement as it reached the exchange."""

    order: VenueOrder
    timestamp_ms: int
    recv_window_ms: int


@dataclass(slots=True)
class ScriptedVenue(FakeVenue):
    """A FakeVenue that records placements and raises, once each, what a test put into `fails`."""

    placed: list[Placed] = field(default_factory=list)
    fails: dict[str, list[Exception]] = field(default_factory=dict)
    hooks: dict[str, Callable[[], None]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    fee_asset: str | None = None
    amended: list[Placed] = field(default_factory=list)
    amends_before_failing: bool = False
    lock: Any = field(default_factory=threading.RLock)

    def place(self, order: VenueOrder, *, timestamp_ms: int, recv_window_ms: int) -> OrderReport:
        with self.lock:
            self.placed.append(Placed(order, timestamp_ms, recv_window_ms))
            self._script("place")
            return FakeVenue.place(self, order, timestamp_ms=timestamp_ms, recv_window_ms=recv_window_ms)

    def cancel(self, symbol: str, *, client_order_id: str) -> OrderReport | None:
        with self.lock:
            self._script("cancel")
            return FakeVenue.cancel(self, symbol, client_order_id=client_order_id)

    def amend(self, order: VenueOrder, *, timestamp_ms: int, recv_window_ms: int) -> OrderReport:
        """Make an open order smaller, as spot's keepPriority does; a lost answer is scripted by `fails`."""
        with self.lock:
            self.amended.append(Placed(order, timestamp_ms, recv_window_ms))
            waiting = self.fails.get("amend")
            if waiting and not self.amends_before_failing:
                raise waiting.pop(0)
            for number, row in enumerate(self.orders):
                if row.client_order_id == order.client_order_id and row.status in ("NEW", "PARTIALLY_FILLED"):
                    self.orders[number] = replace(
                        row, quantity=order.quantity, price=order.price or row.price
                    )
                    if waiting:
                        raise waiting.pop(0)
                    return replace(self.orders[number], fills=())
            raise VenueRejected(-2011, "Unknown order sent.")

    def cancel_all(self, symbol: str) -> list[OrderReport]:
        with self.lock:
            self._script("cancel_all")
            return FakeVenue.cancel_all(self, symbol)

    def query(self, symbol: str, *, client_order_id: str) -> OrderReport | None:
        with self.lock:
            self._script("query")
            report = FakeVenue.query(self, symbol, client_order_id=client_order_id)
            return None if report is None else replace(report, fills=())

    def query_by_id(self, symbol: str, venue_order_id: int) -> OrderReport | None:
        """Look up by the exchange's id; the answer carries no fills, like the real one."""
        with self.lock:
            for order in self.orders:
                if order.symbol == symbol and order.venue_order_id == venue_order_id:
                    return replace(order, fills=())
            return None

    def open_orders(self, symbol: str | None) -> list[OrderReport]:
        with self.lock:
            self._script("open_orders")
            return [replace(o, fills=()) for o in FakeVenue.open_orders(self, symbol)]

    def trades(self, symbol: str, *, from_id: int | None, start_ms: int | None) -> list[TradeReport]:
        with self.lock:
            self._script("trades")
            found = FakeVenue.trades(self, symbol, from_id=from_id, start_ms=start_ms)
            return [replace(trade, client_order_id=None) for trade in found]

    def orders_since(self, symbol: str, *, from_id: int | None) -> list[OrderReport]:
        with self.lock:
            self._script("orders_since")
            found = FakeVenue.orders_since(self, symbol, from_id=from_id)
            return [replace(order, fills=()) for order in found]

    def balances(self) -> list[Any]:
        with self.lock:
            self._script("balances")
            return FakeVenue.balances(self)

    def external(self, order: VenueOrder) -> OrderReport:
        """An order of somebody else on the same account."""
        with self.lock:
            return FakeVenue.place(self, order, timestamp_ms=self.now_ms, recv_window_ms=5000)

    def deposit(self, asset: str, amount: str) -> None:
        """Money that comes (or goes, negative) from outside."""
        self.free[asset] = self.free.get(asset, Decimal(0)) + Decimal(amount)

    def _script(self, name: str) -> None:
        self.calls.append(name)
        hook = self.hooks.get(name)
        if hook is not None:
            hook()
        waiting = self.fails.get(name)
        if waiting:
            raise waiting.pop(0)
