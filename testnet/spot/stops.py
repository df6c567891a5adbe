"""Stop prices of spot orders against the last trade."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from testnet.engine import Engine
from testnet.listing import Listing
from testnet.orders import Order, triggers_above
from testnet.persistence import Record
from testnet.tape import Trade
from testnet.triggers import Trigger, TriggerBook


class Stops:
    """Arms waiting orders and says when their price is reached."""

    def __init__(self, engine: Engine, due: Callable[[Order], None]) -> None:
        self._engine = engine
        self._due = due
        self._books: dict[str, TriggerBook] = {}
        # What trailing stops had seen before a restart.
        self._extremes: dict[int, int] = {}

    def arm(self, order: Order) -> None:
        """Let an order wait for its price; one that is there already is due at once."""
        listing = self._engine.listings[order.instrument.symbol]
        trigger = self._trigger(order)
        book = self._books.get(listing.instrument.symbol)
        if book is None:
            book = self._books[listing.instrument.symbol] = TriggerBook(listing.tape.last_price)
        last = listing.tape.last_price
        if trigger.follow(last):
            self._follow(listing, {order.order_id: trigger.extreme})
        if trigger.is_met(last):
            self._engine.defer(partial(self._due, order))
            return
        book.add(trigger)

    def disarm(self, order: Order) -> None:
        """The order has ended or begun to work."""
        book = self._books.get(order.instrument.symbol)
        if book is not None:
            book.remove(order.order_id)

    def traded(self, listing: Listing, trade: Trade) -> None:
        """Compare with a trade; what is due begins after the present operation."""
        book = self._books.get(listing.instrument.symbol)
        if not book:
            return
        fired = book.due(trade.price)
        if book.moved:
            self._follow(listing, book.moved)
        for order_id in fired:
            self._engine.defer(partial(self._due, self._engine.by_id[order_id]))

    def _follow(self, listing: Listing, moved: dict[int, int]) -> None:
        record = {
            "t": "trail",
            "k": listing.instrument.key,
            "at": self._engine.sink.now_ms(),
            "x": list(moved.items()),
        }
        self._note(record)
        self._engine.sink.noted(record)

    def _note(self, record: Record) -> None:
        for order_id, _ in record["x"]:
            order = self._engine.by_id[order_id]
            if not order.trailing_ms:
                order.trailing_ms = record["at"]

    def recover_trail(self, record: Record) -> None:
        """Apply a journalled move of trailing stops."""
        self._note(record)
        self._extremes.update(dict(record["x"]))

    def state(self) -> list[list[int]]:
        """What the trailing stops have seen, as [order id, price in ticks]."""
        seen = {key: price for book in self._books.values() for key, price in book.extremes().items()}
        return [[key, price] for key, price in sorted(seen.items()) if price]

    def restore(self, rows: list[list[int]]) -> None:
        """Continue from `state()`."""
        self._extremes = {row[0]: row[1] for row in rows}

    def recovered(self, waiting: list[Order]) -> None:
        """Arm what waits, in the order it was placed; none of it is due before the next trade."""
        for order in waiting:
            symbol = order.instrument.symbol
            if symbol not in self._books:
                self._books[symbol] = TriggerBook(self._engine.listings[symbol].tape.last_price)
            book = self._books[symbol]
            book.add(self._trigger(order))
        self._extremes.clear()

    def _trigger(self, order: Order) -> Trigger:
        if order.stop is None:
            raise ValueError(f"order {order.order_id} has no stop price")
        ticks = order.stop.price // order.instrument.tick
        above = triggers_above(order.type, order.side)
        if not order.stop.trailing_bips:
            return Trigger(order.order_id, above, ticks)
        return Trigger(
            order.order_id,
            # A trailing stop turns against its owner: buys when the price rises, sells when it falls.
            order.side == "BUY",
            trailing=order.stop.trailing_bips,
            activation=ticks,
            activates_above=above,
            extreme=self._extremes.get(order.order_id, 0),
        )
