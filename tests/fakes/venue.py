"""A small exchange in memory: a fake of the port ExecutionVenue, and of MarketData by what it stands on.

It behaves as the venue's documentation says where that matters to the platform: a client order id is
unique only among open orders, an answer can be lost before or after execution, commission is taken from
what is received, a conditional order waits for the price, and of orders that cancel each other one trades.
Conditional orders watch the touch they would trade at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, Decimal
from typing import Literal

from tests.fakes.market import FakeMarket
from tests.fakes.triggers import TAKES_AT_ONCE, is_reached, trails
from trading.domain.errors import OutcomeUnknown, VenueRejected, VenueUnavailable
from trading.domain.ports import (
    BalanceReport,
    OrderListReport,
    OrderReport,
    TradeReport,
    VenueOrder,
    VenueOrderList,
)
from trading.domain.values import ListKind, OrderType, Side, TimeInForce

_ONE_UNIT = Decimal("0.00000001")

Fault = Literal["lost_before", "lost_after", "busy"]


@dataclass(slots=True, kw_only=True)
class FakeVenue(FakeMarket):
    """One account on one market. `faults` are used up by the next calls of `place`, first first."""

    free: dict[str, Decimal]
    fee_rate: Decimal = Decimal("0.001")
    now_ms: int = 1_700_000_000_000
    faults: list[Fault] = field(default_factory=list)
    locked: dict[str, Decimal] = field(default_factory=dict)
    orders: list[OrderReport] = field(default_factory=list)
    own_trades: list[TradeReport] = field(default_factory=list)
    lists: dict[int, tuple[ListKind, str, tuple[int, ...]]] = field(default_factory=dict)
    waiting: dict[int, VenueOrder] = field(default_factory=dict)
    extremes: dict[int, Decimal] = field(default_factory=dict)
    holding: set[int] = field(default_factory=set)

    def server_time_ms(self) -> int:
        """Return the fake clock, which only tests move."""
        return self.now_ms

    def place(self, order: VenueOrder, *, timestamp_ms: int, recv_window_ms: int) -> OrderReport:
        """Accept, match at the touch, rest or expire the remainder; one that replaces another, only in its place."""
        fault = self._checked(order.client_order_id, timestamp_ms, recv_window_ms)
        self._check_id(order)
        if order.replaces is not None:
            old = self.query(order.symbol, client_order_id=order.replaces)
            if old is None or old.status != "NEW":
                raise VenueRejected(-2022, "Order cancel-replace failed.")
            self._end(old, "CANCELED")
        report = self._accept(order)
        if fault == "lost_after":
            raise OutcomeUnknown(order.client_order_id, "read timed out")
        return report

    def place_list(
        self, orders: VenueOrderList, *, timestamp_ms: int, recv_window_ms: int
    ) -> OrderListReport:
        """Accept every order of a list or none; what waits for another is PENDING_NEW."""
        fault = self._checked(orders.client_list_id, timestamp_ms, recv_window_ms)
        for leg in orders.legs:
            self._check_id(leg)
        list_id = len(self.lists) + 1
        first = len(self.orders) + 1
        ids = tuple(range(first, first + len(orders.legs)))
        starts = orders.legs if orders.kind is ListKind.OCO else orders.legs[:1]
        before = (dict(self.free), dict(self.locked))
        self.lists[list_id] = (orders.kind, orders.client_list_id, ids)
        try:
            for place, leg in enumerate(orders.legs):
                # Orders that cancel each other share one hold: the first one's.
                if place and leg in starts:
                    self._check_trigger(leg)
                    self._rest(leg, list_id=list_id, hold=False)
                elif leg in starts:
                    self._accept(leg, list_id=list_id)
                else:
                    self._rest(leg, list_id=list_id, hold=False, status="PENDING_NEW")
        except VenueRejected:
            self.free, self.locked = before
            del self.orders[first - 1 :], self.lists[list_id]
            raise
        if starts is not orders.legs and self.orders[first - 1].status == "FILLED":
            self._begin(list_id)
        if fault == "lost_after":
            raise OutcomeUnknown(orders.client_list_id, "read timed out")
        return self._list_report(list_id)

    def cancel(self, symbol: str, *, client_order_id: str) -> OrderReport | None:
        """Cancel an open order, and the list it belongs to, and unlock what it held."""
        for order in self.orders:
            if order.client_order_id == client_order_id and order.symbol == symbol and _is_open(order):
                self._end_siblings(order, "CANCELED")
                return self._end(order, "CANCELED")
        return None

    def cancel_list(self, symbol: str, *, client_list_id: str) -> OrderListReport | None:
        """Cancel what is open of a list."""
        for list_id, (_, name, ids) in self.lists.items():
            open_legs = [self.orders[i - 1] for i in ids if _is_open(self.orders[i - 1])]
            if name == client_list_id and open_legs:
                gone = tuple(self._end(leg, "CANCELED") for leg in open_legs)
                return OrderListReport(name, list_id, gone)
        return None

    def query_list(self, *, client_list_id: str) -> OrderListReport | None:
        """Return a list with its orders as they are."""
        for list_id, (_, name, _ids) in self.lists.items():
            if name == client_list_id:
                return self._list_report(list_id)
        return None

    def amend(self, order: VenueOrder, *, timestamp_ms: int, recv_window_ms: int) -> OrderReport:
        """Make an open order smaller; it keeps its id and its place."""
        for i, row in enumerate(self.orders):
            if row.client_order_id == order.client_order_id and _is_open(row):
                if order.quantity >= row.quantity:
                    raise VenueRejected(-2038, "Order amend (quantity increase) is not supported.")
                self._unlock(row)
                self.orders[i] = replace(row, quantity=order.quantity, time_ms=self.now_ms)
                self._lock(self.orders[i])
                return self.orders[i]
        raise VenueRejected(-2011, "Unknown order sent.")

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

    def query_by_id(self, symbol: str, venue_order_id: int) -> OrderReport | None:
        """Return an order by the exchange's id."""
        return next(
            (o for o in self.orders if o.symbol == symbol and o.venue_order_id == venue_order_id), None
        )

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

    def identity(self) -> str:
        """Return the one account there is."""
        return "uid 1"

    def commission_rates(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Return the one rate there is."""
        return self.fee_rate, self.fee_rate

    def move(self, symbol: str, bid: Decimal, ask: Decimal) -> None:
        """Move the market: trigger what waits for the price, and fill resting orders it reaches at their limit."""
        self.book[symbol] = (bid, ask)
        for number in range(len(self.orders)):
            order = self.orders[number]
            if order.symbol != symbol or order.status not in ("NEW", "PARTIALLY_FILLED"):
                continue
            touch = ask if order.side is Side.BUY else bid
            waiting = self.waiting.get(order.venue_order_id)
            if waiting is not None:
                if not self._is_due(waiting, order.venue_order_id, touch):
                    continue
                del self.waiting[order.venue_order_id]
                order = self.orders[number] = replace(order, triggered=True)
                if waiting.type in TAKES_AT_ONCE:
                    self._trade(order, touch)
                    continue
            reached = touch <= order.price if order.side is Side.BUY else touch >= order.price
            if reached:
                self._trade(order, order.price)

    def _trade(self, order: OrderReport, price: Decimal) -> None:
        """Fill what is left of a resting order, as a maker unless it was triggered into the market."""
        number = order.venue_order_id - 1
        self._end_siblings(order, "EXPIRED")
        self._unlock(order)
        maker = price == order.price
        self.orders[number] = self._fill(order, order.quantity - order.executed_quantity, price, maker)
        if order.venue_list_id is not None:
            self._begin(order.venue_list_id)

    def _is_due(self, order: VenueOrder, number: int, touch: Decimal) -> bool:
        if order.type is not OrderType.TRAILING_STOP_MARKET:
            return is_reached(order, touch)
        due, extreme = trails(order, self.extremes.get(number), touch)
        if extreme is not None:
            self.extremes[number] = extreme
        return due

    def _checked(self, client_id: str, timestamp_ms: int, recv_window_ms: int) -> Fault | None:
        fault = self.faults.pop(0) if self.faults else None
        if fault == "busy":
            raise VenueUnavailable(1.0, "overloaded", -1008)
        if fault == "lost_before":
            raise OutcomeUnknown(client_id, "connection reset")
        if self.now_ms - timestamp_ms > recv_window_ms:
            raise VenueRejected(-1021, "Timestamp for this request is outside of the recvWindow.")
        return fault

    def _check_id(self, order: VenueOrder) -> None:
        if any(o.client_order_id == order.client_order_id for o in self.open_orders(order.symbol)):
            raise VenueRejected(-2010, "Duplicate order sent.")

    def _check_trigger(self, order: VenueOrder) -> None:
        """Refuse a conditional order whose price is reached already."""
        if not order.type.is_conditional or order.type is OrderType.TRAILING_STOP_MARKET:
            return
        bid, ask = self.book[order.symbol]
        if self._is_due(order, 0, ask if order.side is Side.BUY else bid):
            raise VenueRejected(-2010, "Order would trigger immediately.")

    def _accept(self, order: VenueOrder, list_id: int | None = None) -> OrderReport:
        instrument = self.instruments[order.symbol]
        instrument.steps(order.quantity)  # raises on a quantity the real venue would refuse
        if order.price is not None:
            instrument.ticks(order.price)
        if order.type.is_conditional:
            self._check_trigger(order)
            return self._rest(order, list_id=list_id)
        assert order.price is not None
        bid, ask = self.book[order.symbol]
        touch = ask if order.side is Side.BUY else bid
        takes = order.price >= touch if order.side is Side.BUY else order.price <= touch
        if takes and order.type is OrderType.LIMIT_MAKER:
            raise VenueRejected(-2010, "Order would immediately match and take.")
        report = self._rest(order, list_id=list_id)
        number = report.venue_order_id - 1
        if takes:
            self._unlock(report)
            self.orders[number] = self._fill(report, order.quantity, touch, False)
        elif order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
            self._end(report, "EXPIRED")
        return self.orders[number]

    def _rest(
        self, order: VenueOrder, *, list_id: int | None = None, hold: bool = True, status: str = "NEW"
    ) -> OrderReport:
        """Write an order down, holding what it needs."""
        report = OrderReport(
            symbol=order.symbol,
            client_order_id=order.client_order_id,
            venue_order_id=len(self.orders) + 1,
            side=order.side,
            type=order.type.value,
            time_in_force=order.time_in_force.value if order.time_in_force else None,
            price=order.price or Decimal(0),
            quantity=order.quantity,
            executed_quantity=Decimal(0),
            cumulative_quote=Decimal(0),
            status=status,
            time_ms=self.now_ms,
            stop_price=order.stop_price,
            venue_list_id=list_id,
        )
        if hold:
            self._lock(report)
        self.orders.append(report)
        if order.type.is_conditional:
            self.waiting[report.venue_order_id] = order
            if order.type is OrderType.TRAILING_STOP_MARKET and order.stop_price is None:
                bid, ask = self.book[order.symbol]
                self.extremes[report.venue_order_id] = ask if order.side is Side.BUY else bid
        return report

    def _begin(self, list_id: int) -> None:
        """Start the orders of a list that waited for the first one to be filled."""
        kind, _, ids = self.lists[list_id]
        if kind is ListKind.OCO or self.orders[ids[0] - 1].status != "FILLED":
            return
        for place, number in enumerate(ids[1:]):
            order = self.orders[number - 1]
            if order.status == "PENDING_NEW":
                self.orders[number - 1] = replace(order, status="NEW")
                if place == 0:
                    self._lock(self.orders[number - 1])

    def _end(self, order: OrderReport, status: str) -> OrderReport:
        self._unlock(order)
        self.waiting.pop(order.venue_order_id, None)
        ended = self.orders[order.venue_order_id - 1] = replace(order, status=status, time_ms=self.now_ms)
        return ended

    def _end_siblings(self, order: OrderReport, status: str) -> None:
        """End what may no longer trade once this order does, or is canceled."""
        if order.venue_list_id is None:
            return
        kind, _, ids = self.lists[order.venue_list_id]
        canceling = status == "CANCELED"
        if kind is not ListKind.OCO and order.venue_order_id == ids[0] and not canceling:
            return  # the first one's fill begins the others
        for number in ids:
            other = self.orders[number - 1]
            if number != order.venue_order_id and _is_open(other):
                self._end(other, status)

    def _list_report(self, list_id: int) -> OrderListReport:
        _, name, ids = self.lists[list_id]
        return OrderListReport(name, list_id, tuple(self.orders[number - 1] for number in ids))

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

    def _lock(self, order: OrderReport) -> None:
        asset, need = self._need(order)
        if self.free.get(asset, Decimal(0)) < need:
            raise VenueRejected(-2010, "Account has insufficient balance for requested action.")
        self.free[asset] = self.free.get(asset, Decimal(0)) - need
        self.locked[asset] = self.locked.get(asset, Decimal(0)) + need
        self.holding.add(order.venue_order_id)

    def _unlock(self, order: OrderReport) -> None:
        if order.venue_order_id not in self.holding:
            return
        self.holding.discard(order.venue_order_id)
        asset, need = self._need(order)
        self.locked[asset] -= need
        self.free[asset] = self.free.get(asset, Decimal(0)) + need

    def _need(self, order: OrderReport) -> tuple[str, Decimal]:
        instrument, left = self.instruments[order.symbol], order.quantity - order.executed_quantity
        if order.side is Side.BUY:
            price = order.price or order.stop_price
            assert price, "a trailing buy needs a price to hold for"
            return instrument.quote_asset, left * price
        return instrument.base_asset, left


def _is_open(order: OrderReport) -> bool:
    return order.status in ("NEW", "PARTIALLY_FILLED", "PENDING_NEW")
