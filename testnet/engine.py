"""The matching engine of one market: price-time priority and the life of orders.

What a trade means for the accounts (coins that change hands, or positions and margin) is the business of
the market's clearing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from testnet.accounts import Account
from testnet.book import BookSide
from testnet.errors import ApiError, InvariantViolation, unknown_order
from testnet.listing import Listing
from testnet.orders import TRANSITIONS, Fill, NewOrder, Order, Status
from testnet.shelf import OrderShelf
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


MAX_CLOSED_ORDERS = 200_000
MARKET_COUNTERPARTY = "market"


class Engine:
    """Matches every symbol of one market; the only code that changes orders and books."""

    def __init__(self, market: str, sink: EngineSink) -> None:
        self.market = market
        self.sink = sink
        self.listings: dict[str, Listing] = {}
        self.shelves: dict[str, OrderShelf] = {}
        self.by_id: dict[int, Order] = {}
        self.order_id = 0
        self._clearing: Clearing | None = None
        self._deferred: deque[Callable[[], None]] = deque()
        self._busy = False

    @property
    def clearing(self) -> Clearing:
        """The market's clearing; set once, right after construction."""
        if self._clearing is None:
            raise RuntimeError(f"the {self.market} engine has no clearing")
        return self._clearing

    @clearing.setter
    def clearing(self, clearing: Clearing) -> None:
        self._clearing = clearing

    # -- what clients ask ------------------------------------------------------------------

    def check(self, account: Account, request: NewOrder) -> None:
        """Apply every check a placement passes before it reaches the book; raises ApiError."""
        self.clearing.check(self.listings[request.symbol], account, request)

    def place(self, account: Account, request: NewOrder) -> tuple[Order, list[Fill]]:
        """Check and accept an order, match it, and rest or expire what remains."""
        self.check(account, request)
        return self.submit(account, request)

    def submit(self, account: Account, request: NewOrder) -> tuple[Order, list[Fill]]:
        """Accept an order that needs no further check (the venue's own, or one checked already)."""
        listing = self.listings[request.symbol]
        now = self.sink.now_ms()
        self.order_id += 1
        order = Order.of(request, self.order_id, account.account_id, listing.instrument, now)
        self.register(order)
        order.events.append((self.sink.next_seq(), Status.NEW, now))
        self.sink.order_accepted(order)
        fills = self.shelf(account.account_id).fills
        before = len(fills)
        self.execute(listing, order)
        made = [fill for fill in fills[before:] if fill.order_id == order.order_id and not fill.maker]
        self.clearing.announce(order)
        self.run_deferred()
        return order, made

    def cancel(self, order: Order, cancel_id: str, restriction: str | None = None) -> None:
        """Cancel an open order.

        Raises
        ------
        ApiError : -2011 when it is closed already or the restriction forbids it.
        """
        if not order.is_open:
            raise unknown_order()
        if (restriction == "ONLY_NEW" and order.status is not Status.NEW) or (
            restriction == "ONLY_PARTIALLY_FILLED" and order.status is not Status.PARTIALLY_FILLED
        ):
            raise ApiError(-2011, "Order was not canceled due to cancel restrictions.")
        self.withdraw(order)
        self._finish(order, Status.CANCELED, cancel_id)
        self.clearing.announce(order)
        self.run_deferred()

    def expire(self, order: Order) -> None:
        """Close an open order by the venue's own decision (a delisting, say)."""
        self.withdraw(order)
        self._finish(order, Status.EXPIRED, None)
        self.clearing.announce(order)
        self.run_deferred()

    def withdraw(self, order: Order) -> None:
        """Take an order off the book, where it is on it."""
        listing = self.listings[order.instrument.symbol]
        listing.book.side(order.side).remove_order(order.price, order)
        listing.book.update_id += 1

    def shelf(self, account_id: str) -> OrderShelf:
        """One account's orders, created empty."""
        found = self.shelves.get(account_id)
        if found is None:
            found = self.shelves[account_id] = OrderShelf()
        return found

    def register(self, order: Order) -> None:
        """Put an order on its account's shelf and set aside what it needs; also used by recovery."""
        self.put(order)
        self.clearing.accept(order)
        shelf = self.shelf(order.account_id)
        if len(shelf.orders) > MAX_CLOSED_ORDERS:
            for order_id in shelf.forget_oldest(MAX_CLOSED_ORDERS):
                del self.by_id[order_id]

    def put(self, order: Order) -> None:
        """Know an order without asking anything of its owner; for snapshots."""
        self.by_id[order.order_id] = order
        self.shelf(order.account_id).put(order)

    def defer(self, action: Callable[[], None]) -> None:
        """Run an action when the present operation is over (what a trade triggers must not nest in it)."""
        self._deferred.append(action)

    def run_deferred(self) -> None:
        """Run everything deferred, and what that defers, in order."""
        if self._busy:
            return
        self._busy = True
        try:
            while self._deferred:
                self._deferred.popleft()()
        finally:
            self._busy = False

    # -- what the background market does ---------------------------------------------------

    def background_take(self, listing: Listing, side: str, limit: int, steps: int) -> int:
        """Let the background market take up to `limit`; return the steps it got."""
        trades: list[Trade] = []
        left = self._sweep(listing, side, limit, steps, None, trades)
        self._publish(listing, trades)
        self.run_deferred()
        return steps - left

    # -- matching --------------------------------------------------------------------------

    def execute(self, listing: Listing, order: Order) -> None:
        """Match an accepted order now; rest or expire what remains."""
        if order.time_in_force == "FOK" and not self._fillable(listing, order):
            self._finish(order, Status.EXPIRED, None)
            return
        trades: list[Trade] = []
        limit = None if order.takes_any_price else order.price
        if order.quote_quantity:
            # The book cannot change in between, so the preview is what the sweep will trade.
            order.steps, _ = walk(listing, order.side, None, order.quote_quantity)
        self._sweep(listing, order.side, limit, order.remaining, order, trades)
        self._publish(listing, trades)
        if not order.is_open:
            return
        if order.rests:
            listing.book.side(order.side).add(order.price, order.remaining, order)
            listing.book.update_id += 1
        else:
            self._finish(order, Status.EXPIRED, None)

    def _sweep(
        self,
        listing: Listing,
        side: str,
        limit: int | None,
        steps: int,
        taker: Order | None,
        trades: list[Trade],
    ) -> int:
        contra = listing.book.contra(side)
        while steps:
            best = contra.best()
            if best is None or (limit is not None and not crosses(side, limit, best)):
                break
            steps -= self._trade_head(listing, contra, best, side, steps, taker, trades)
        return steps

    def _trade_head(
        self,
        listing: Listing,
        contra: BookSide,
        price: int,
        side: str,
        steps: int,
        taker: Order | None,
        trades: list[Trade],
    ) -> int:
        head = contra.levels[price].queue[0]
        maker = head.order
        steps = min(steps, head.steps)
        if maker is not None:
            steps = min(steps, self.clearing.tradable(maker))
            if not steps:
                self.withdraw(maker)
                self._finish(maker, Status.EXPIRED, None)
                return 0
        instrument = listing.instrument
        trade = Trade(
            listing.tape.next_trade_id(),
            price,
            steps,
            steps * price * instrument.quote_per,
            self.sink.now_ms(),
            side == "SELL",
        )
        contra.reduce_head(price, steps)
        listing.book.update_id += 1
        listing.tape.record(trade)
        shown = price if listing.path_price is None else listing.path_price
        listing.klines.record(shown, steps, trade.quote, taker_buys=side == "BUY")
        # Written before it is applied, so that a restart sees the trade before its effects.
        self.sink.traded(listing, trade, taker, maker)
        if taker is not None or maker is not None:
            self.settle(listing, trade, side, taker, maker)
        trades.append(trade)
        return steps

    def settle(
        self, listing: Listing, trade: Trade, side: str, taker: Order | None, maker: Order | None
    ) -> None:
        """Clear one trade and record a fill on each user's side; also used by recovery."""
        rows = self.clearing.settle(listing, trade, side, taker, maker)
        # The maker's report goes out first, as its order was there first.
        for row in sorted(rows, key=lambda row: row.order is not maker):
            self._fill(row, trade, taker if row.order is maker else maker, is_maker=row.order is maker)

    def _fill(self, row: Settled, trade: Trade, other: Order | None, *, is_maker: bool) -> None:
        order = row.order
        order.executed += trade.steps
        order.executed_quote += trade.quote
        is_done = order.executed == order.steps
        seq = self._advance(order, Status.FILLED if is_done else Status.PARTIALLY_FILLED, trade.time_ms)
        shelf = self.shelf(order.account_id)
        fill = Fill(
            seq=seq,
            trade_id=trade.trade_id,
            time_ms=trade.time_ms,
            account_id=order.account_id,
            order_id=order.order_id,
            instrument=order.instrument,
            side=order.side,
            price=trade.price * order.instrument.tick,
            quantity=trade.steps * order.instrument.step,
            quote=trade.quote,
            commission=row.commission,
            commission_asset=row.commission_asset,
            maker=is_maker,
            counterparty=other.account_id if other is not None else MARKET_COUNTERPARTY,
            realized=row.realized,
        )
        shelf.fills.append(fill)
        if is_done:
            shelf.close(order)
            self.clearing.release(order)
        self.sink.order_filled(order, fill)
        if is_maker:
            self.clearing.announce(order)

    def finish(self, order: Order, status: Status) -> None:
        """Release what an order that ends without a fill had set aside; also used by recovery."""
        self.clearing.release(order)
        self._advance(order, status)
        self.shelf(order.account_id).close(order)

    def _finish(self, order: Order, status: Status, cancel_id: str | None) -> None:
        self.finish(order, status)
        self.sink.order_closed(order, cancel_id)

    def _advance(self, order: Order, status: Status, at_ms: int | None = None) -> int:
        if status not in TRANSITIONS[order.status]:
            raise InvariantViolation(f"order {order.order_id}: {order.status} cannot become {status}")
        order.status = status
        order.updated_ms = self.sink.now_ms() if at_ms is None else at_ms
        seq = self.sink.next_seq()
        order.events.append((seq, status, order.updated_ms))
        return seq

    def _publish(self, listing: Listing, trades: list[Trade]) -> None:
        if trades:
            self.sink.aggregated(listing, listing.tape.aggregate(trades))

    def _fillable(self, listing: Listing, order: Order) -> bool:
        available = 0
        contra = listing.book.contra(order.side)
        for price in contra.prices():
            if available >= order.steps or not crosses(order.side, order.price, price):
                break
            available += contra.levels[price].steps
        return available >= order.steps


def crosses(side: str, limit: int, price: int) -> bool:
    """True when an order of this side and limit (ticks) trades at a price (ticks)."""
    return price <= limit if side == "BUY" else price >= limit


def walk(listing: Listing, side: str, steps: int | None, quote: int | None) -> tuple[int, int]:
    """Steps and quote units a market order would trade against the book as it stands."""
    got_steps = got_quote = 0
    contra = listing.book.contra(side)
    for price in contra.prices():
        per_step = price * listing.instrument.quote_per
        available = take = contra.levels[price].steps
        if steps is not None:
            take = min(take, steps - got_steps)
        if quote is not None:
            take = min(take, (quote - got_quote) // per_step)
        got_steps += take
        got_quote += take * per_step
        if take < available:
            break
    return got_steps, got_quote
