"""The matching engine of one market: price-time priority and the life of orders.

What a trade means for the accounts (coins that change hands, or positions and margin) is the business of
the market's clearing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from testnet.accounts import Account
from testnet.assigned_ids import assigned_id
from testnet.book import BookSide
from testnet.errors import ApiError, InvariantViolation, unknown_order
from testnet.liquidity import crosses, fillable, spares, walk
from testnet.listing import Listing
from testnet.orders import TRANSITIONS, Fill, NewOrder, Order, PreventedMatch, Status
from testnet.roles import Clearing, Contingencies, EngineSink, Settled
from testnet.self_trades import prevent_match
from testnet.shelf import OrderShelf
from testnet.tape import Trade

__all__ = ["Clearing", "Contingencies", "Engine", "EngineSink", "Settled", "crosses", "walk"]


MAX_CLOSED_ORDERS = 200_000
MARKET_COUNTERPARTY = "market"
# Why an order that takes what it can get ends with a remainder, in the venue's words.
ILLIQUID = "INSUFFICIENT_LIQUIDITY"


class Engine:
    """Matches every symbol of one market; the only code that changes orders and books."""

    def __init__(self, market: str, sink: EngineSink) -> None:
        self.market = market
        self.sink = sink
        self.listings: dict[str, Listing] = {}
        self.shelves: dict[str, OrderShelf] = {}
        self.by_id: dict[int, Order] = {}
        self.order_id = 0
        self.contingencies: Contingencies | None = None
        self.prevented: deque[PreventedMatch] = deque(maxlen=MAX_CLOSED_ORDERS)
        self.prevented_id = 0
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
        order = self.admit(account, request)
        made = self.work(order)
        self.clearing.announce(order)
        self.run_deferred()
        return order, made

    def admit(
        self, account: Account, request: NewOrder, *, list_id: int = -1, pending: bool = False
    ) -> Order:
        """Know an order and set aside what it needs, without matching it yet."""
        listing = self.listings[request.symbol]
        now = self.sink.now_ms()
        self.order_id += 1
        order = Order.of(request, self.order_id, account.account_id, listing.instrument, now)
        if not order.client_order_id:
            order.client_order_id = assigned_id(self.market, order.order_id)
        if list_id != -1:
            order.list_id = list_id
        if pending:
            order.status, order.working_ms = Status.PENDING_NEW, 0
        self.register(order)
        order.events.append((self.sink.next_seq(), order.status, now))
        self.sink.order_accepted(order)
        return order

    def work(self, order: Order, at_most: int | None = None) -> list[Fill]:
        """Match an order; return what it took at once."""
        fills = self.shelf(order.account_id).fills
        before = len(fills)
        self.execute(self.listings[order.instrument.symbol], order, at_most)
        return [fill for fill in fills[before:] if fill.order_id == order.order_id and not fill.maker]

    def begin(self, order: Order, at_most: int | None = None) -> None:
        """Let a waiting order work: its stop price was reached, or its turn in a list came."""
        self.start(order, self.sink.now_ms())
        self.sink.noted(
            {"t": "work", "k": order.instrument.key, "id": order.order_id, "at": order.working_ms}
        )
        if self.contingencies is not None:
            self.contingencies.changed(order, "NEW")
        self.work(order, at_most)
        self.clearing.announce(order)

    def start(self, order: Order, at_ms: int) -> None:
        """Mark a waiting order as working; also used by recovery."""
        order.working_ms = order.updated_ms = at_ms
        if order.status is Status.PENDING_NEW:
            self._advance(order, Status.NEW, at_ms)
        if order.takes_any_price:
            # From here on it pays as it trades.
            self.clearing.release(order)

    def enter(self, order: Order, at_ms: int) -> None:
        """Let a pending order of a list wait for its stop price; also used by recovery."""
        self._advance(order, Status.NEW, at_ms)

    def cancel(self, order: Order, cancel_id: str, restriction: str | None = None) -> None:
        """Cancel an open order.

        Raises
        ------
        ApiError : -2011 when it is closed already or the restriction forbids it.
        """
        self.check_cancel(order, restriction)
        self.close(order, Status.CANCELED, cancel_id)
        self.run_deferred()

    def check_cancel(self, order: Order, restriction: str | None) -> None:
        """Raise -2011 for an order that has ended or that the restriction protects."""
        if not order.is_open:
            raise unknown_order()
        if (restriction == "ONLY_NEW" and order.status is not Status.NEW) or (
            restriction == "ONLY_PARTIALLY_FILLED" and order.status is not Status.PARTIALLY_FILLED
        ):
            raise ApiError(-2011, "Order was not canceled due to cancel restrictions.")

    def expire(self, order: Order) -> None:
        """Close an order by the venue's own decision (a delisting, say), unless it has ended already."""
        if not order.is_open:
            return
        self.close(order, Status.EXPIRED)
        self.run_deferred()

    def close(self, order: Order, status: Status, cancel_id: str | None = None) -> None:
        """End an open order in the middle of an operation."""
        self.withdraw(order)
        self.end(order, status, cancel_id)
        self.clearing.announce(order)

    def withdraw(self, order: Order) -> None:
        """Take an order off the book, where it is on it."""
        if not order.is_on_book:
            return
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

    def execute(self, listing: Listing, order: Order, at_most: int | None = None) -> None:
        """Match an accepted order now; rest or expire what remains.

        `at_most` limits the steps an order without a limit may take (to what its owner can pay).
        """
        if order.time_in_force == "FOK" and fillable(listing, order) < order.remaining:
            self.end(order, Status.EXPIRED, None, ILLIQUID)
            return
        best = listing.book.contra(order.side).best()
        if order.time_in_force == "GTX" and best is not None and crosses(order.side, order.price, best):
            self.end(order, Status.EXPIRED, None)
            return
        trades: list[Trade] = []
        limit = None if order.takes_any_price else order.price
        if order.quote_quantity:
            # The book cannot change in between, so the preview is what the sweep will trade.
            order.steps, _ = walk(listing, order.side, None, order.quote_quantity, spares(order))
        wanted = order.remaining if at_most is None else min(order.remaining, at_most)
        self._sweep(listing, order.side, limit, wanted, order, trades)
        self._publish(listing, trades)
        if not order.is_open:
            return
        if order.rests:
            listing.book.side(order.side).add_order(order)
            listing.book.update_id += 1
        else:
            self.end(order, Status.EXPIRED, None, ILLIQUID)

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
        wanted, steps = steps, min(steps, head.steps)
        if maker is not None:
            if taker is not None and taker.account_id == maker.account_id and taker.stp_mode != "NONE":
                return prevent_match(self, listing, taker, maker, price, wanted)
            steps = min(steps, self.clearing.tradable(maker))
            if not steps:
                self.withdraw(maker)
                self.end(maker, Status.EXPIRED, None)
                return 0
        if self.contingencies is not None and (taker is not None or maker is not None):
            self.contingencies.before_trade(taker, maker)
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
        listing.klines.record(shown, steps, trade.quote, taker_buys=side == "BUY", time_ms=trade.time_ms)
        # Written before it is applied, so that a restart sees the trade before its effects.
        self.sink.traded(listing, trade, taker, maker)
        if taker is not None or maker is not None:
            self.settle(listing, trade, side, taker, maker)
        trades.append(trade)
        if self.contingencies is not None:
            self.contingencies.traded(listing, trade)
            for order in (maker, taker):
                if order is not None and (order.list_id != -1 or order.stop is not None):
                    self.contingencies.moved(order)
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
        is_done = order.remaining == 0
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
            position_side=order.position.position_side if order.position is not None else "BOTH",
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

    def end(self, order: Order, status: Status, cancel_id: str | None, reason: str = "") -> None:
        """End an order that is off the book already, and tell everybody."""
        order.expiry_reason = reason
        self.finish(order, status)
        self.sink.order_closed(order, cancel_id)
        if self.contingencies is not None and (order.list_id != -1 or order.stop is not None):
            self.contingencies.moved(order)

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
