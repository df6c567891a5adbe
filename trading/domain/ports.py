"""What the kernel asks of the outside world, and the records that cross that edge.

Numbers are Decimals here (the wire side); the services convert them with the instrument's scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from trading.domain.values import OrderType, Side, TimeInForce


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order exactly as it will be sent."""

    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce | None
    quantity: Decimal
    price: Decimal | None
    client_order_id: str
    reduce_only: bool = False


@dataclass(frozen=True, slots=True)
class TradeReport:
    """One execution as the venue tells it; `client_order_id` is None where the venue leaves it out."""

    symbol: str
    trade_id: int
    venue_order_id: int
    side: Side
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    commission: Decimal
    commission_asset: str
    maker: bool
    time_ms: int
    client_order_id: str | None


@dataclass(frozen=True, slots=True)
class OrderReport:
    """An order as the venue tells it; `status` in the venue's words, fills where the answer has them."""

    symbol: str
    client_order_id: str
    venue_order_id: int
    side: Side
    type: str
    time_in_force: str | None
    price: Decimal
    quantity: Decimal
    executed_quantity: Decimal
    cumulative_quote: Decimal
    status: str
    time_ms: int
    fills: tuple[TradeReport, ...] = ()


@dataclass(frozen=True, slots=True)
class BalanceReport:
    """One asset of the account; `locked` is what open orders hold."""

    asset: str
    free: Decimal
    locked: Decimal


@dataclass(frozen=True, slots=True)
class KlineRecord:
    """One bar as the venue tells it; the last of a list may still be forming."""

    open_time_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    close_time_ms: int
    quote_volume: Decimal
    trades: int
    taker_base: Decimal
    taker_quote: Decimal


@dataclass(frozen=True, slots=True)
class BookTicker:
    """Best bid and ask with their sizes; None where that side of the book is empty."""

    symbol: str
    bid: Decimal | None
    bid_size: Decimal
    ask: Decimal | None
    ask_size: Decimal


class ExecutionVenue(Protocol):
    """Trading on one account of one venue.

    Every method may raise VenueUnavailable; `place` may also raise VenueRejected and OutcomeUnknown.
    Reads may be retried by the adapter, writes never are.
    """

    def server_time_ms(self) -> int:
        """Return the venue's clock."""
        ...

    def place(self, order: VenueOrder, *, timestamp_ms: int, recv_window_ms: int) -> OrderReport:
        """Send once, signed with exactly this timestamp; dead at the venue after the window."""
        ...

    def cancel(self, symbol: str, *, client_order_id: str) -> OrderReport | None:
        """Cancel; None when the venue does not know it as open. Safe to repeat."""
        ...

    def query(self, symbol: str, *, client_order_id: str) -> OrderReport | None:
        """Look an order up; None only for a definitive "does not exist" (-2013)."""
        ...

    def query_by_id(self, symbol: str, venue_order_id: int) -> OrderReport | None:
        """Look an order up by the venue's own id; None only for a definitive "does not exist"."""
        ...

    def open_orders(self, symbol: str | None) -> list[OrderReport]:
        """List open orders of a symbol, or of all."""
        ...

    def trades(self, symbol: str, *, from_id: int | None, start_ms: int | None) -> list[TradeReport]:
        """List own trades in ascending id, from an id or a time."""
        ...

    def balances(self) -> list[BalanceReport]:
        """List every non-zero asset."""
        ...

    def key_permissions(self) -> Mapping[str, bool] | None:
        """Return what the key may do, or None where the venue cannot say."""
        ...


class MarketData(Protocol):
    """Public market data of one market. Every method may raise VenueUnavailable."""

    def exchange_info(self) -> Mapping[str, Any]:
        """Return the venue's `exchangeInfo` as sent."""
        ...

    def klines(
        self,
        symbol: str,
        interval: str,
        *,
        start_ms: int | None,
        end_ms: int | None,
        limit: int | None,
    ) -> list[KlineRecord]:
        """List bars in ascending time; only those whose close time has passed are closed."""
        ...

    def book_ticker(self, symbol: str) -> BookTicker:
        """Return the top of the book."""
        ...
