"""A small exchange in memory: fakes of the ports ExecutionVenue and MarketData.

It behaves as the venue's documentation says where that matters to the platform: a client order id is
unique only among open orders, an answer can be lost before or after execution, commission is taken from
what is received.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, Decimal
from typing import Any, Literal

from trading.domain.errors import OutcomeUnknown, VenueRejected, VenueUnavailable
from trading.domain.ports import (
    BalanceReport,
    BookTicker,
    KlineRecord,
    OrderReport,
    TradeReport,
    VenueOrder,
)
from trading.domain.values import Instrument, OrderType, Side, TimeInForce

_ONE_UNIT = Decimal("0.00000001")

Fault = Literal["lost_before", "lost_after", "busy"]


@dataclass(slots=True)
class FakeVenue:
    """One account on one market. `faults` are used up by the next calls of `place`, first first."""

    instruments: Mapping[str, Instrument]
    book: dict[str, tuple[Decimal, Decimal]]
    free: dict[str, Decimal]
    fee_rate: Decimal = Decimal("0.001")
    now_ms: int = 1_700_000_000_000
    faults: list[Fault] = field(default_factory=list)
    locked: dict[str, Decimal] = field(default_factory=dict)
    orders: list[OrderReport] = field(default_factory=list)
    own_trades: list[TradeReport] = field(default_factory=list)
    klines_by_symbol: dict[str, list[KlineRecord]] = field(default_factory=dict)

    def server_time_ms(self) -> int:
        """Return the fake clock, which only tests move."""
        return self.now_ms

    def place(self, order: VenueOrder, *, timestamp_ms: int, recv_window_ms: int) -> OrderReport:
        """Accept, match at the touch, rest or expire the remainder."""
        fault = self.faults.pop(0) if self.faults else None
        if fault == "busy":
            raise VenueUnavailable(1.0, "overloaded", -1008)
        if fault == "lost_before":
            raise OutcomeUnknown(order.client_order_id, "connection reset")
        if self.now_ms - timestamp_ms > recv_window_ms:
            raise VenueRejected(-1021, "Timestamp for this request is outside of the recvWindow.")
        if any(o.client_order_id == order.client_order_id for o in self.open_orders(order.symbol)):
            raise VenueRejected(-2010, "Duplicate order sent.")
        report = self._accept(order)
        if fault == "lost_after":
            raise OutcomeUnknown(order.client_order_id, "read timed out")
        return report

    def cancel(self, symbol: str, *, client_order_id: str) -> OrderReport | None:
        """Cancel an open order and unlock what it held."""
        for i, order in enumerate(self.orders):
            if order.client_order_id == client_order_id and order.symbol == symbol and _is_open(order):
                self._unlock(order)
                self.orders[i] = replace(order, status="CANCELED", time_ms=self.now_ms)
                return self.orders[i]
        return None

    def cancel_all(self, symbol: str) -> list[OrderReport]:
        """Cancel every open order of a symbol."""
        resting = [o for o in self.orders if _is_open(o) and o.symbol == symbol]
        found = [FakeVenue.cancel(self, symbol, client_order_id=o.client_order_id) for o in resting]
        return [report for report in found if report is not None]

    def query(self, symbol: str, *, client_order_id: str) -> OrderReport | None:
        """Return the newest order under that id."""
        for order in reversed(self.orders):
            if order.symbol == symbol and order.client_order_id == client_order_id:
                return order
        return None

    def open_orders(self, symbol: str | None) -> list[OrderReport]:
        """List orders that still rest."""
        return [o for o in self.orders if _is_open(o) and symbol in (None, o.symbol)]

    def orders_since(self, symbol: str, *, from_id: int | None) -> list[OrderReport]:
        """List orders in any state."""
        return [o for o in self.orders if o.symbol == symbol and o.venue_order_id >= (from_id or 0)]

    def trades(self, symbol: str, *, from_id: int | None, start_ms: int | None) -> list[TradeReport]:
        """List own trades."""
        return [
            t
            for t in self.own_trades
            if t.symbol == symbol and t.trade_id >= (from_id or 0) and t.time_ms >= (start_ms or 0)
        ]

    def balances(self) -> list[BalanceReport]:
        """List every non-zero asset."""
        assets = sorted({*self.free, *self.locked})
        reports = [
            BalanceReport(a, self.free.get(a, Decimal(0)), self.locked.get(a, Decimal(0))) for a in assets
        ]
        return [r for r in reports if r.free or r.locked]

    def key_permissions(self) -> Mapping[str, bool] | None:
        """Return a key that may trade and not withdraw."""
        return {"trade": True, "withdraw": False, "ip_restricted": True}

    def exchange_info(self) -> Mapping[str, Any]:
        """Return only the names and states; tests that need filters build instruments themselves."""
        return {"symbols": [{"symbol": i.symbol, "status": i.status} for i in self.instruments.values()]}

    def klines(
        self,
        symbol: str,
        interval: str,
        *,
        start_ms: int | None,
        end_ms: int | None,
        limit: int | None,
    ) -> list[KlineRecord]:
        """List the bars the test put in."""
        bars = [
            k
            for k in self.klines_by_symbol.get(symbol, [])
            if k.open_time_ms >= (start_ms or 0) and (end_ms is None or k.open_time_ms <= end_ms)
        ]
        return bars if limit is None else bars[:limit]

    def book_ticker(self, symbol: str) -> BookTicker:
        """Return the top of the fake book."""
        bid, ask = self.book[symbol]
        return BookTicker(symbol, bid, Decimal(1), ask, Decimal(1))

    def move(self, symbol: str, bid: Decimal, ask: Decimal) -> None:
        """Move the market and fill resting orders it reaches, at their own limit."""
        self.book[symbol] = (bid, ask)
        for i, order in enumerate(self.orders):
            if order.symbol != symbol or not _is_open(order):
                continue
            reached = ask <= order.price if order.side is Side.BUY else bid >= order.price
            if reached:
                self._unlock(order)
                self.orders[i] = self._fill(
                    order, order.quantity - order.executed_quantity, order.price, True
                )

    def _accept(self, order: VenueOrder) -> OrderReport:
        assert order.price is not None
        instrument = self.instruments[order.symbol]
        instrument.steps(order.quantity)  # raises on a quantity the real venue would refuse
        instrument.ticks(order.price)
        asset, need = _need(instrument, order.side, order.quantity, order.price)
        if self.free.get(asset, Decimal(0)) < need:
            raise VenueRejected(-2010, "Account has insufficient balance for requested action.")
        report = OrderReport(
            symbol=order.symbol,
            client_order_id=order.client_order_id,
            venue_order_id=len(self.orders) + 1,
            side=order.side,
            type=order.type.value,
            time_in_force=order.time_in_force.value if order.time_in_force else None,
            price=order.price,
            quantity=order.quantity,
            executed_quantity=Decimal(0),
            cumulative_quote=Decimal(0),
            status="NEW",
            time_ms=self.now_ms,
        )
        bid, ask = self.book[order.symbol]
        touch = ask if order.side is Side.BUY else bid
        takes = order.price >= touch if order.side is Side.BUY else order.price <= touch
        if takes and order.type is OrderType.LIMIT_MAKER:
            raise VenueRejected(-2010, "Order would immediately match and take.")
        if takes:
            report = self._fill(report, order.quantity, touch, False)
        elif order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
            report = replace(report, status="EXPIRED")
        else:
            self.free[asset] -= need
            self.locked[asset] = self.locked.get(asset, Decimal(0)) + need
        self.orders.append(report)
        return report

    def _fill(self, order: OrderReport, quantity: Decimal, price: Decimal, maker: bool) -> OrderReport:
        instrument = self.instruments[order.symbol]
        quote = quantity * price
        buying = order.side is Side.BUY
        asset, received = (instrument.base_asset, quantity) if buying else (instrument.quote_asset, quote)
        given, paid = (instrument.quote_asset, quote) if buying else (instrument.base_asset, quantity)
        fee = (received * self.fee_rate).quantize(_ONE_UNIT, ROUND_DOWN)
        self.free[asset] = self.free.get(asset, Decimal(0)) + received - fee
        self.free[given] -= paid
        trade = TradeReport(
            symbol=order.symbol,
            trade_id=len(self.own_trades) + 1,
            venue_order_id=order.venue_order_id,
            side=order.side,
            price=price,
            quantity=quantity,
            quote_quantity=quote,
            commission=fee,
            commission_asset=asset,
            maker=maker,
            time_ms=self.now_ms,
            client_order_id=order.client_order_id,
        )
        self.own_trades.append(trade)
        return replace(
            order,
            executed_quantity=order.executed_quantity + quantity,
            cumulative_quote=order.cumulative_quote + quote,
            status="FILLED",
            fills=(*order.fills, trade),
        )

    def _unlock(self, order: OrderReport) -> None:
        left = order.quantity - order.executed_quantity
        asset, need = _need(self.instruments[order.symbol], order.side, left, order.price)
        self.locked[asset] -= need
        self.free[asset] = self.free.get(asset, Decimal(0)) + need


def _is_open(order: OrderReport) -> bool:
    return order.status in ("NEW", "PARTIALLY_FILLED")


def _need(instrument: Instrument, side: Side, quantity: Decimal, price: Decimal) -> tuple[str, Decimal]:
    if side is Side.BUY:
        return instrument.quote_asset, quantity * price
    return instrument.base_asset, quantity
