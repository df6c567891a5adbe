"""What the kernel asks of the outside world, and the records that cross that edge.

Numbers are Decimals here (the wire side); the services convert them with the instrument's scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol, runtime_checkable

from trading.domain.prevention import SelfTradePrevention
from trading.domain.values import (
    ListKind,
    OrderService,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
    WorkingType,
)


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order exactly as it will be sent.

    Attributes
    ----------
    price : limit price; None for the market types.
    stop_price : the trigger of a conditional order; on a trailing order the price that activates it, or None.
    callback_bps : distance of a trailing stop from the best price, basis points.
    close_position : USD-M: whatever is left of the position at the trigger; sent without a quantity.
    prevention : of self-trades; None leaves it to the venue.
    replaces : client id of an order that the same request cancels first; unless that succeeds nothing is placed.
    """

    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce | None
    quantity: Decimal
    price: Decimal | None
    client_order_id: str
    reduce_only: bool = False
    position_side: PositionSide = PositionSide.BOTH
    stop_price: Decimal | None = None
    callback_bps: int | None = None
    working_type: WorkingType | None = None
    close_position: bool = False
    prevention: SelfTradePrevention | None = None
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class VenueOrderList:
    """Orders sent as one request that the venue ties together.

    Attributes
    ----------
    legs : OCO: the one above the market, then the one below; OTO and OTOCO: the working order first.
    """

    kind: ListKind
    symbol: str
    client_list_id: str
    legs: tuple[VenueOrder, ...]


@dataclass(frozen=True, slots=True)
class TradeReport:
    """One execution as the venue tells it; `client_order_id` is None where the venue leaves it out.

    `realized` is the result in the margin asset as USD-M states it, before commission; None on spot.
    """

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
    position_side: PositionSide = PositionSide.BOTH
    realized: Decimal | None = None


@dataclass(frozen=True, slots=True)
class OrderReport:
    """An order as the venue tells it; `status` in the venue's words, fills where the answer has them.

    Attributes
    ----------
    type : an `OrderType` word where we have one for it, else the venue's.
    venue_order_id : 0 for a conditional order of USD-M that has not triggered: it has only an `algo_id` then.
    triggered : whether a conditional order has become an ordinary one.
    venue_list_id : of the list it belongs to, or None.
    """

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
    service: OrderService = OrderService.ORDER
    position_side: PositionSide = PositionSide.BOTH
    reduce_only: bool = False
    stop_price: Decimal | None = None
    algo_id: int | None = None
    triggered: bool = False
    venue_list_id: int | None = None


@dataclass(frozen=True, slots=True)
class OrderListReport:
    """A list as the venue tells it, with its orders in the order of the request."""

    client_list_id: str
    venue_list_id: int
    legs: tuple[OrderReport, ...]


@dataclass(frozen=True, slots=True)
class BalanceReport:
    """One asset of the account; `locked` is what open orders hold.

    On USD-M `free + locked` is the wallet balance, unrealised results left out, and `available` is what the venue
    would let new orders use as margin.
    """

    asset: str
    free: Decimal
    locked: Decimal
    available: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PositionReport:
    """One open position of USD-M; `quantity` is signed, prices in quote currency.

    `liquidation_price` is None where the venue gives none; `maintenance_margin` in the margin asset.
    """

    symbol: str
    position_side: PositionSide
    quantity: Decimal
    entry_price: Decimal
    mark_price: Decimal
    unrealized: Decimal
    liquidation_price: Decimal | None
    maintenance_margin: Decimal
    isolated: bool


@dataclass(frozen=True, slots=True)
class IncomeReport:
    """One change of the futures wallet: `kind` in the venue's words (FUNDING_FEE, COMMISSION, TRANSFER, ...).

    `transaction_id` is unique in the account: the venue's number is so within a kind only, so the kind is part of it.
    """

    transaction_id: str
    kind: str
    asset: str
    amount: Decimal
    symbol: str | None
    trade_id: int | None
    time_ms: int


@dataclass(frozen=True, slots=True)
class LeverageBracket:
    """One step of a contract's table: below a notional `cap` maintenance is `notional * rate - deducted`."""

    cap: Decimal
    rate: Decimal
    deducted: Decimal


@dataclass(frozen=True, slots=True)
class FuturesMode:
    """How a futures account is set up; `leverage`, `isolated` and `brackets` (ascending) by symbol."""

    hedge: bool
    multi_assets: bool
    leverage: Mapping[str, int]
    isolated: Mapping[str, bool]
    brackets: Mapping[str, tuple[LeverageBracket, ...]] = field(default_factory=dict)


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
class FundingRecord:
    """One settlement of a perpetual: the rate, a fraction, and the mark price where the source tells it."""

    time_ms: int
    rate: Decimal
    mark_price: Decimal | None = None


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

    def orders_since(self, symbol: str, *, from_id: int | None) -> list[OrderReport]:
        """List orders in any state in ascending id: every page from an id, or the newest page."""
        ...

    def trades(self, symbol: str, *, from_id: int | None, start_ms: int | None) -> list[TradeReport]:
        """List own trades in ascending id, from an id or a time."""
        ...

    def balances(self) -> list[BalanceReport]:
        """List every non-zero asset."""
        ...

    def amend(self, order: VenueOrder, *, timestamp_ms: int, recv_window_ms: int) -> OrderReport:
        """Change an open order to the quantity (USD-M: and price) of `order`, once; its client id stays.

        Spot takes only a smaller quantity and keeps the place in the queue; USD-M loses it. Raises as `place` does.
        """
        ...

    def key_permissions(self) -> Mapping[str, bool] | None:
        """Return what the key may do, or None where the venue cannot say."""
        ...

    def identity(self) -> str:
        """Return the venue's own name of the account the key is of; empty where it tells none."""
        ...

    def commission_rates(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Return maker and taker commission of a symbol, as fractions."""
        ...


@runtime_checkable
class BulkCancelVenue(Protocol):
    """A venue that takes every open order of a symbol back with one call, of all its order services."""

    def cancel_all(self, symbol: str) -> list[OrderReport]:
        """Cancel every open order of a symbol; those the venue's answer tells of. Safe to repeat."""
        ...


class OrderListVenue(ExecutionVenue, Protocol):
    """A venue that ties orders together (spot)."""

    def place_list(
        self, orders: VenueOrderList, *, timestamp_ms: int, recv_window_ms: int
    ) -> OrderListReport:
        """Send a list once. Raises as `place` does; one list is accepted or refused as a whole."""
        ...

    def cancel_list(self, symbol: str, *, client_list_id: str) -> OrderListReport | None:
        """Cancel what is open of a list; None when the venue does not know it as open. Safe to repeat."""
        ...

    def query_list(self, *, client_list_id: str) -> OrderListReport | None:
        """Look a list up with each of its orders; None only for a definitive "does not exist"."""
        ...


class FuturesVenue(ExecutionVenue, Protocol):
    """A venue with positions and margin (USD-M). Look-ups and cancels reach both of its order services."""

    def query_algo(self, symbol: str, algo_id: int) -> OrderReport | None:
        """Look a conditional order, or the order it became, up by its `algo_id`."""
        ...

    def positions(self, symbol: str | None) -> list[PositionReport]:
        """List positions that are not flat, of a symbol or of all."""
        ...

    def income(self, *, start_ms: int, end_ms: int | None = None) -> list[IncomeReport]:
        """List every change of the wallet in ascending time, all pages."""
        ...

    def mode(self) -> FuturesMode:
        """Return position mode, and leverage, margin type and brackets of every symbol."""
        ...

    def countdown_cancel(self, symbol: str, *, countdown_ms: int) -> None:
        """Arm the venue's dead-man: it cancels the symbol's orders when not called again in time; 0 disarms."""
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
