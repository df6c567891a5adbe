"""Who works with a matching engine: the exchange that hears of it, the clearing, the contingencies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from testnet.accounts import Account
from testnet.listing import Listing
from testnet.orders import Fill, NewOrder, Order
from testnet.tape import Aggregate, Trade


class EngineSink(Protocol):
    """What engines tell the rest of the exchange; every call happens inside the operation."""

    def now_ms(self) -> int:
        """Market time."""

    def next_seq(self) -> int:
        """The next number of the one sequence shared by all events."""

    def order_accepted(self, order: Order) -> None: ...

    def order_filled(self, order: Order, fill: Fill) -> None: ...

    def order_closed(self, order: Order, cancel_id: str | None) -> None: ...

    def noted(self, record: dict[str, Any]) -> None:
        """Journal what is neither order, trade nor end of an order."""

    def traded(self, listing: Listing, trade: Trade, taker: Order | None, maker: Order | None) -> None: ...

    def aggregated(self, listing: Listing, aggregates: list[Aggregate]) -> None: ...


@dataclass(frozen=True, slots=True)
class Settled:
    """What one trade did to one user's side; amounts in 1e-8 units."""

    order: Order
    commission: int
    commission_asset: str
    realized: int = 0


class Clearing(Protocol):
    """Accounts' side of a market: what orders need, and what trades do to their owners."""

    def check(self, listing: Listing, account: Account, request: NewOrder) -> None:
        """Refuse what must not reach the book; raises ApiError."""

    def accept(self, order: Order) -> None:
        """Set aside what an open order needs; also used by recovery."""

    def tradable(self, order: Order) -> int:
        """Steps a resting order may trade now; 0 removes it from the book."""

    def settle(
        self, listing: Listing, trade: Trade, side: str, taker: Order | None, maker: Order | None
    ) -> list[Settled]:
        """Book one trade, `side` being the taker's; one row per user's order in it."""

    def release(self, order: Order) -> None:
        """Give back what an order that ends still had set aside; also used by recovery."""

    def announce(self, order: Order) -> None:
        """Tell the owner of an order what it did to balances and positions."""


class Contingencies(Protocol):
    """What in a market depends on trades and on the fate of other orders; called while it trades live."""

    def before_trade(self, taker: Order | None, maker: Order | None) -> None:
        """These orders are about to trade: settle first what must not happen any more."""

    def traded(self, listing: Listing, trade: Trade) -> None:
        """A trade has set the last price; what it triggers must be deferred."""

    def moved(self, order: Order) -> None:
        """An order with a stop price or in a list was filled or has ended."""

    def changed(self, order: Order, change: str) -> None:
        """Announce what is neither acceptance, trade nor end, by its execution type."""
