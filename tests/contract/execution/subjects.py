"""What the suite of the execution port is run on: the exchange in memory, and both adapters on the paper exchange."""

from __future__ import annotations

import uuid
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

from tests.factories.exchange import Exchange, FuturesExchange
from tests.fakes.instruments import exchange_info_entry
from tests.fakes.venue import FakeVenue
from trading.domain.ports import OrderReport, TradeReport, VenueOrder, VenueOrderList
from trading.domain.values import Instrument, ListKind, Market, OrderType, Side, TimeInForce

SYMBOL = "BTCUSDT"
Fault = Literal["lost_before", "lost_after", "busy"]
ONE = Decimal(1)


class Subject:
    """One implementation with a funded account and a market that a test can move."""

    name: str
    venue: Any

    def touch(self) -> tuple[Decimal, Decimal]:
        raise NotImplementedError

    def fault(self, fault: Fault, order: VenueOrder | VenueOrderList) -> None:
        """Break the next placement."""
        raise NotImplementedError

    def move(self, share: str) -> None:
        """Bring the price to this share of what it is, and keep it there."""
        raise NotImplementedError

    def fund_sales(self) -> None:
        """Have something to sell."""

    def part_sides(self) -> None:
        """Leave room for a price between bid and ask."""

    def near(self, share: str) -> Decimal:
        return (self.touch()[0] * Decimal(share)).quantize(ONE)

    def order(
        self,
        kind: OrderType = OrderType.LIMIT,
        side: Side = Side.BUY,
        *,
        price: Decimal | None = None,
        stop: Decimal | None = None,
        quantity: str = "0.01",
        time_in_force: TimeInForce | None = None,
        callback: int | None = None,
        reduce_only: bool = False,
    ) -> VenueOrder:
        """A limit far from the market unless told otherwise."""
        limited = kind in (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT)
        if price is None and kind is OrderType.LIMIT:
            price = self.near("0.9" if side is Side.BUY else "1.1")
        return VenueOrder(
            SYMBOL,
            side,
            kind,
            time_in_force or (TimeInForce.GTC if limited else None),
            Decimal(quantity),
            price,
            f"p{uuid.uuid4().hex[:28]}",
            stop_price=stop,
            callback_bps=callback,
            reduce_only=reduce_only,
        )

    def taking(self, side: Side = Side.BUY, quantity: str = "0.01") -> VenueOrder:
        """An order that finds its counterpart at once."""
        price = self.near("1.005" if side is Side.BUY else "0.995")
        return self.order(side=side, price=price, quantity=quantity, time_in_force=TimeInForce.IOC)

    def place(self, order: VenueOrder, *, age_ms: int = 0) -> OrderReport:
        report: OrderReport = self.venue.place(
            order, timestamp_ms=self.venue.server_time_ms() - age_ms, recv_window_ms=2000
        )
        return report

    def place_list(self, kind: ListKind, *legs: VenueOrder, name: str | None = None) -> Any:
        orders = VenueOrderList(kind, SYMBOL, name or f"l{legs[0].client_order_id}", legs)
        return self.venue.place_list(orders, timestamp_ms=self.venue.server_time_ms(), recv_window_ms=2000)

    def query(self, order: VenueOrder) -> OrderReport | None:
        found: OrderReport | None = self.venue.query(SYMBOL, client_order_id=order.client_order_id)
        return found

    def cancel(self, order: VenueOrder) -> OrderReport | None:
        canceled: OrderReport | None = self.venue.cancel(SYMBOL, client_order_id=order.client_order_id)
        return canceled

    def open_ids(self) -> set[str]:
        return {report.client_order_id for report in self.venue.open_orders(SYMBOL)}

    def trades_of(self, report: OrderReport) -> list[TradeReport]:
        found = self.venue.trades(SYMBOL, from_id=None, start_ms=None)
        return [trade for trade in found if trade.venue_order_id == report.venue_order_id]

    def close(self) -> None:
        """Leave nothing open behind."""


class FakeSubject(Subject):
    """The exchange in memory."""

    name = "fake"

    def __init__(self) -> None:
        instrument = Instrument.from_exchange_info(exchange_info_entry(SYMBOL), Market.spot)
        self.venue = FakeVenue(
            instruments={SYMBOL: instrument},
            book={SYMBOL: (Decimal(59990), Decimal(60010))},
            free={"USDT": Decimal(100_000), "BTC": Decimal(1)},
        )

    def touch(self) -> tuple[Decimal, Decimal]:
        touch: tuple[Decimal, Decimal] = self.venue.book[SYMBOL]
        return touch

    def fault(self, fault: Fault, order: VenueOrder | VenueOrderList) -> None:
        self.venue.faults.append(fault)

    def move(self, share: str) -> None:
        bid, ask = self.touch()
        factor = Decimal(share)
        self.venue.move(SYMBOL, (bid * factor).quantize(ONE), (ask * factor).quantize(ONE))


class ExchangeSubject(Subject):
    """An adapter against the paper exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.venue = exchange.venue
        self.is_futures = isinstance(exchange, FuturesExchange)
        self.name = "usdm" if self.is_futures else "spot"

    def touch(self) -> tuple[Decimal, Decimal]:
        return self.exchange.touch()

    def fault(self, fault: Fault, order: VenueOrder | VenueOrderList) -> None:
        effects: dict[Fault, dict[str, Any]] = {
            "lost_before": {"error_before": {"status": 500, "code": -1001}},
            "lost_after": {"error_after": "drop"},
            "busy": {"error_before": {"status": 503, "code": -1008}},
        }
        if isinstance(order, VenueOrderList):
            path = f"/api/v3/orderList/{order.kind.lower()}"
        elif not self.is_futures:
            path = "/api/v3/order"
        else:
            path = "/fapi/v1/algoOrder" if order.type.is_conditional else "/fapi/v1/order"
        self.exchange.fault(path, "POST", **effects[fault])

    def move(self, share: str) -> None:
        price = self.touch()[0] * Decimal(share)
        market = "usdm" if self.is_futures else "spot"
        self.exchange.drive((1, price), (60, price), market=market, seconds=8)

    def fund_sales(self) -> None:
        if self.is_futures:
            self.place(self.taking(quantity="0.05"))

    def part_sides(self) -> None:
        """Makers quote little at a new price, a taker takes the best of it, and time stands still."""
        self._quote("0.001")
        self.move("1.001")
        self.place(self.taking(quantity="0.01"))

    def _quote(self, liquidity: str) -> None:
        """Let the makers quote this share of what they usually do, from their next second on."""
        market = "usdm" if self.is_futures else "spot"
        body = {"symbol": SYMBOL, "market": market, "liquidity": float(liquidity)}
        self.exchange.control("POST", "/market", body)

    def close(self) -> None:
        self.exchange.control("DELETE", "/faults")
        self._quote("1")
        for report in self.venue.open_orders(SYMBOL):
            self.venue.cancel(SYMBOL, client_order_id=report.client_order_id)


def shrunk(order: VenueOrder, quantity: str) -> VenueOrder:
    """The same order, smaller."""
    return replace(order, quantity=Decimal(quantity))


def protection(subject: Subject) -> tuple[VenueOrder, VenueOrder]:
    """A take-profit above the market and a stop close below it."""
    above = subject.order(OrderType.TAKE_PROFIT_MARKET, Side.SELL, stop=subject.near("1.05"))
    below = subject.order(OrderType.STOP_MARKET, Side.SELL, stop=subject.near("0.999"))
    return above, below
