"""The spot matching engine: price-time priority, locks, settlement and order life."""

from __future__ import annotations

from typing import Protocol

from testnet.accounts import Account, Accounts
from testnet.book import BookSide
from testnet.errors import ApiError, InvariantViolation, insufficient_balance, rejected, unknown_order
from testnet.filters import check_filters
from testnet.listing import Listing, SymbolStatus
from testnet.orders import TRANSITIONS, Fill, NewOrder, Order, Status
from testnet.shelf import OrderShelf
from testnet.tape import Aggregate, Trade
from testnet.values import SCALE


class EngineSink(Protocol):
    """What the engine tells the rest of the exchange; every call happens inside the operation."""

    def now_ms(self) -> int:
        """Market time."""

    def next_seq(self) -> int:
        """The next number of the one sequence shared by all events."""

    def order_accepted(self, order: Order) -> None: ...

    def order_filled(self, order: Order, fill: Fill) -> None: ...

    def order_closed(self, order: Order, cancel_id: str | None) -> None: ...

    def traded(self, listing: Listing, trade: Trade, taker: Order | None, maker: Order | None) -> None: ...

    def aggregated(self, listing: Listing, aggregates: list[Aggregate]) -> None: ...

    def balances_changed(self, account: Account, assets: tuple[str, ...]) -> None: ...


MAX_CLOSED_ORDERS = 200_000


class SpotEngine:
    """Matches every spot symbol; the only code that changes orders and books."""

    def __init__(self, accounts: Accounts, sink: EngineSink) -> None:
        self.accounts = accounts
        self.sink = sink
        self.listings: dict[str, Listing] = {}
        self.shelves: dict[str, OrderShelf] = {}
        self.order_id = 0

    # -- what clients ask ------------------------------------------------------------------

    def check(self, account: Account, request: NewOrder) -> None:
        """Apply every check a placement passes before it reaches the book.

        Raises
        ------
        ApiError : market closed, a filter, a duplicate client id, LIMIT_MAKER that would take,
            or not enough balance.
        """
        listing = self.listings[request.symbol]
        instrument = listing.instrument
        shelf = self.shelf(account.account_id)
        if listing.status is not SymbolStatus.TRADING:
            raise rejected("Market is closed.")
        open_count = sum(1 for o in shelf.open_by_client_id.values() if o.instrument is instrument)
        check_filters(request, instrument, listing.average_price(), open_count)
        if request.client_order_id in shelf.open_by_client_id:
            raise rejected("Duplicate order sent.")
        if request.type == "LIMIT_MAKER":
            best = listing.book.contra(request.side).best()
            if best is not None and _crosses(request.side, request.price // instrument.tick, best):
                raise rejected("Order would immediately match and take.")
        asset, needed = self._needed(listing, request)
        if needed > account.balance(asset).free:
            raise insufficient_balance()

    def place(self, account: Account, request: NewOrder) -> tuple[Order, list[Fill]]:
        """Accept an order, match it, and rest or expire what remains."""
        self.check(account, request)
        listing = self.listings[request.symbol]
        instrument = listing.instrument
        now = self.sink.now_ms()
        self.order_id += 1
        order = Order(
            order_id=self.order_id,
            account_id=account.account_id,
            instrument=instrument,
            client_order_id=request.client_order_id,
            side=request.side,
            type=request.type,
            time_in_force=request.time_in_force,
            price=request.price // instrument.tick,
            steps=request.quantity // instrument.step,
            quote_quantity=request.quote_quantity,
            stp_mode=request.stp_mode,
            strategy_id=request.strategy_id,
            strategy_type=request.strategy_type,
            created_ms=now,
            updated_ms=now,
        )
        self.register(order)
        order.events.append((self.sink.next_seq(), Status.NEW, now))
        self.sink.order_accepted(order)
        shelf = self.shelf(account.account_id)
        before = len(shelf.fills)
        if request.time_in_force == "FOK" and not self._fillable(listing, order):
            self._finish(order, Status.EXPIRED, None)
        else:
            self._execute(listing, order)
        fills = [fill for fill in shelf.fills[before:] if fill.order_id == order.order_id and not fill.maker]
        self.sink.balances_changed(account, (instrument.base, instrument.quote))
        return order, fills

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
        self._remove(order)
        self._finish(order, Status.CANCELED, cancel_id)
        self.sink.balances_changed(self.accounts.by_id[order.account_id], _assets(order))

    def expire(self, order: Order) -> None:
        """Close an open order by the venue's own decision (a delisting)."""
        self._remove(order)
        self._finish(order, Status.EXPIRED, None)
        self.sink.balances_changed(self.accounts.by_id[order.account_id], _assets(order))

    def _remove(self, order: Order) -> None:
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
        """Put an order on its account's shelf and lock what it needs; also used by recovery."""
        account = self.accounts.by_id[order.account_id]
        shelf = self.shelf(order.account_id)
        shelf.orders[order.order_id] = order
        shelf.latest_by_client_id[order.client_order_id] = order
        shelf.open_by_client_id[order.client_order_id] = order
        if order.type != "MARKET":
            instrument = order.instrument
            if order.side == "BUY":
                order.locked = order.remaining * order.price * instrument.quote_per
                account.lock(instrument.quote, order.locked)
            else:
                order.locked = order.remaining * instrument.step
                account.lock(instrument.base, order.locked)
        if len(shelf.orders) > MAX_CLOSED_ORDERS:
            self._forget_oldest(shelf)

    # -- what the background market does ---------------------------------------------------

    def background_take(self, listing: Listing, side: str, limit: int, steps: int) -> int:
        """Let the background market take up to `limit`; return the steps it got."""
        trades: list[Trade] = []
        left = self._sweep(listing, side, limit, steps, None, trades)
        self._publish(listing, trades)
        return steps - left

    # -- matching --------------------------------------------------------------------------

    def _execute(self, listing: Listing, order: Order) -> None:
        trades: list[Trade] = []
        limit = order.price if order.type != "MARKET" else None
        if order.quote_quantity:
            # The book cannot change in between, so the preview is what the sweep will trade.
            order.steps, _ = self._walk(listing, order.side, None, order.quote_quantity)
        self._sweep(listing, order.side, limit, order.remaining, order, trades)
        self._publish(listing, trades)
        if order.status is Status.FILLED:
            return
        if order.type != "MARKET" and order.time_in_force == "GTC":
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
            if best is None or (limit is not None and not _crosses(side, limit, best)):
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
        """Move balances of one trade and record a fill on each user's side; also used by recovery."""
        buyer, seller = (taker, maker) if side == "BUY" else (maker, taker)
        instrument = listing.instrument
        base = trade.steps * instrument.step
        self._pay(buyer, instrument.quote, trade.quote, trade)
        self._pay(seller, instrument.base, base, trade)
        bought = self._receive(buyer, instrument.base, base, is_maker=buyer is maker)
        sold = self._receive(seller, instrument.quote, trade.quote, is_maker=seller is maker)
        # The maker's report goes out first, as its order was there first.
        sides = ((buyer, seller, bought, instrument.base), (seller, buyer, sold, instrument.quote))
        for order, other, commission, asset in sorted(sides, key=lambda row: row[0] is not maker):
            if order is not None:
                self._fill(order, other, trade, commission, asset, is_maker=order is maker)

    def _pay(self, order: Order | None, asset: str, units: int, trade: Trade) -> None:
        if order is None:
            self.accounts.market.credit(asset, -units)
            return
        account = self.accounts.by_id[order.account_id]
        if order.type == "MARKET":
            account.credit(asset, -units)
            return
        # A buy locked its limit price; what the better trade price saves becomes free again.
        released = trade.steps * order.price * order.instrument.quote_per if order.side == "BUY" else units
        order.locked -= released
        account.unlock(asset, released)
        account.credit(asset, -units)

    def _receive(self, order: Order | None, asset: str, units: int, *, is_maker: bool) -> int:
        if order is None:
            self.accounts.market.credit(asset, units)
            return 0
        account = self.accounts.by_id[order.account_id]
        commission = units * (account.maker_rate if is_maker else account.taker_rate) // SCALE
        account.credit(asset, units - commission)
        self.accounts.fees.credit(asset, commission)
        return commission

    def _fill(
        self, order: Order, other: Order | None, trade: Trade, commission: int, asset: str, *, is_maker: bool
    ) -> None:
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
            commission=commission,
            commission_asset=asset,
            maker=is_maker,
            counterparty=other.account_id if other is not None else self.accounts.market.account_id,
        )
        shelf.fills.append(fill)
        if is_done:
            shelf.open_by_client_id.pop(order.client_order_id, None)
        self.sink.order_filled(order, fill)
        if is_maker:
            self.sink.balances_changed(self.accounts.by_id[order.account_id], _assets(order))

    def finish(self, order: Order, status: Status) -> None:
        """Release the locks of an order that ends without a fill; also used by recovery."""
        account = self.accounts.by_id[order.account_id]
        if order.locked:
            asset = order.instrument.quote if order.side == "BUY" else order.instrument.base
            account.unlock(asset, order.locked)
            order.locked = 0
        self._advance(order, status)
        self.shelf(order.account_id).open_by_client_id.pop(order.client_order_id, None)

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

    # -- previews --------------------------------------------------------------------------

    def _needed(self, listing: Listing, request: NewOrder) -> tuple[str, int]:
        instrument = listing.instrument
        if request.side == "SELL":
            if not request.quote_quantity:
                return instrument.base, request.quantity
            steps, _ = self._walk(listing, "SELL", None, request.quote_quantity)
            return instrument.base, steps * instrument.step
        if request.type != "MARKET":
            steps, ticks = request.quantity // instrument.step, request.price // instrument.tick
            return instrument.quote, steps * ticks * instrument.quote_per
        if request.quote_quantity:
            return instrument.quote, request.quote_quantity
        _, quote = self._walk(listing, "BUY", request.quantity // instrument.step, None)
        return instrument.quote, quote

    def _walk(self, listing: Listing, side: str, steps: int | None, quote: int | None) -> tuple[int, int]:
        """Steps and quote a market order would trade against the book as it stands."""
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

    def _fillable(self, listing: Listing, order: Order) -> bool:
        available = 0
        contra = listing.book.contra(order.side)
        for price in contra.prices():
            if available >= order.steps or not _crosses(order.side, order.price, price):
                break
            available += contra.levels[price].steps
        return available >= order.steps

    def _forget_oldest(self, shelf: OrderShelf) -> None:
        for order_id in list(shelf.orders)[: MAX_CLOSED_ORDERS // 10]:
            order = shelf.orders[order_id]
            if order.is_open:
                continue
            del shelf.orders[order_id]
            if shelf.latest_by_client_id.get(order.client_order_id) is order:
                del shelf.latest_by_client_id[order.client_order_id]
        del shelf.fills[: max(0, len(shelf.fills) - 2 * MAX_CLOSED_ORDERS)]


def _crosses(side: str, limit: int, price: int) -> bool:
    return price <= limit if side == "BUY" else price >= limit


def _assets(order: Order) -> tuple[str, str]:
    return order.instrument.base, order.instrument.quote
