"""What follows from trades and from the fate of other orders on the spot market."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from testnet.accounts import Accounts
from testnet.engine import Engine
from testnet.liquidity import crosses, spares, walk
from testnet.listing import Listing
from testnet.orders import Order, Status
from testnet.spot.clearing import SpotClearing
from testnet.spot.lists import Lists, OrderList
from testnet.spot.stops import Stops
from testnet.tape import Trade


class SpotWatcher(Protocol):
    """Hears of changes to orders that are neither acceptance, trade nor end, and of order lists."""

    def order_changed(self, order: Order, change: str) -> None: ...

    def list_changed(self, changed: OrderList, status: str) -> None: ...


class SpotContingencies:
    """Stop prices and order lists; see `testnet.roles.Contingencies`."""

    def __init__(self, engine: Engine, clearing: SpotClearing, accounts: Accounts, lists: Lists) -> None:
        self._engine = engine
        self._clearing = clearing
        self._accounts = accounts
        self._lists = lists
        self.stops = Stops(engine, self.trigger)
        self.watchers: list[SpotWatcher] = []
        self._queued: set[int] = set()

    def before_trade(self, taker: Order | None, maker: Order | None) -> None:
        """Expire the other leg of an OCO before this one trades; note what BNB costs now."""
        for order in (maker, taker):
            if order is None:
                continue
            if order.list_id != -1:
                self._expire_partner(order)
            if self._accounts.by_id[order.account_id].bnb_burn:
                self._clearing.discounts.note_price(order.instrument.quote)

    def traded(self, listing: Listing, trade: Trade) -> None:
        """Look for stop prices the trade reached."""
        self.stops.traded(listing, trade)

    def moved(self, order: Order) -> None:
        """Disarm an order that ended; look after its list when the operation is over."""
        if order.stop is not None and not order.is_open:
            self.stops.disarm(order)
        if order.list_id != -1 and order.list_id not in self._queued:
            self._queued.add(order.list_id)
            self._engine.defer(partial(self.follow, self._lists.by_id[order.list_id]))

    def changed(self, order: Order, change: str) -> None:
        """Tell the watchers."""
        for watcher in self.watchers:
            watcher.order_changed(order, change)

    def list_changed(self, changed: OrderList, status: str) -> None:
        """Tell the watchers."""
        for watcher in self.watchers:
            watcher.list_changed(changed, status)

    # -- stop prices -----------------------------------------------------------------------

    def trigger(self, order: Order) -> None:
        """Let an order work whose stop price was reached, unless it ended meanwhile."""
        if not order.is_open or order.working_ms:
            return
        self.stops.disarm(order)
        self._expire_partner(order)
        self._begin(order)

    def _begin(self, order: Order) -> None:
        listing = self._engine.listings[order.instrument.symbol]
        at_most: int | None = None
        if order.takes_any_price:
            # What it may spend decides how much it takes; its limit cannot.
            account, instrument = self._accounts.by_id[order.account_id], order.instrument
            if order.side == "BUY":
                budget = account.balance(instrument.quote).free + order.locked
                at_most, _ = walk(listing, "BUY", order.remaining, budget, spares(order))
            else:
                at_most = (account.balance(instrument.base).free + order.locked) // instrument.step
        self._engine.begin(order, at_most)

    def _expire_partner(self, order: Order) -> None:
        partner = self._lists.partner(order, self._engine.by_id)
        if partner is not None and partner.is_open:
            self._engine.close(partner, Status.EXPIRED)

    # -- lists -----------------------------------------------------------------------------

    def follow(self, row: OrderList) -> None:
        """Do what the state of a list's orders demands: begin the pending, end the rest, end the list."""
        self._queued.discard(row.list_id)
        if row.done:
            return
        orders = [self._engine.by_id[order_id] for order_id in row.order_ids]
        if row.kind != "OCO":
            self._follow_working(orders[0], orders[1:])
        if row.pair:
            self._follow_pair([self._engine.by_id[order_id] for order_id in row.pair])
        if not any(order.is_open for order in orders):
            self._lists.close(row)
            self.list_changed(row, "ALL_DONE")

    def _follow_pair(self, pair: list[Order]) -> None:
        """Once one order trades or was triggered only the other ends; before that one's end is both's."""
        for order, partner in (pair, pair[::-1]):
            committed = order.executed or (order.stop is not None and order.working_ms)
            if committed:
                if partner.is_open:
                    self._engine.close(partner, Status.EXPIRED)
                return
        for order, partner in (pair, pair[::-1]):
            if not order.is_open and partner.is_open:
                self._engine.close(partner, _end_with(order))

    def _follow_working(self, working: Order, pending: list[Order]) -> None:
        if working.status is Status.FILLED:
            self._release(pending)
            return
        gone = next((order for order in pending if not order.is_open), None)
        if not working.is_open:
            for order in pending:
                if order.is_open:
                    self._engine.close(order, _end_with(working))
        elif gone is not None:
            self._engine.close(working, _end_with(gone))
            for order in pending:
                if order.is_open:
                    self._engine.close(order, _end_with(gone))

    def _release(self, pending: list[Order]) -> None:
        waiting = [order for order in pending if order.status is Status.PENDING_NEW]
        for order in waiting:
            if order.stop is not None:
                self._engine.enter(order, self._engine.sink.now_ms())
                self._engine.sink.noted(
                    {"t": "enter", "k": order.instrument.key, "id": order.order_id, "at": order.updated_ms}
                )
                self.changed(order, "NEW")
        for order in waiting:
            if not order.is_open:
                continue
            if order.stop is not None:
                self.stops.arm(order)
            elif self._would_take(order):
                self._engine.close(order, Status.EXPIRED)
            else:
                self._begin(order)

    def _would_take(self, order: Order) -> bool:
        if order.type != "LIMIT_MAKER":
            return False
        best = self._engine.listings[order.instrument.symbol].book.contra(order.side).best()
        return best is not None and crosses(order.side, order.price, best)


def _end_with(order: Order) -> Status:
    """How an order ends whose fate hangs on this one."""
    return Status.CANCELED if order.status is Status.CANCELED else Status.EXPIRED
