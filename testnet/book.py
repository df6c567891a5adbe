"""A limit order book in ticks and steps: sorted prices, a FIFO queue at each."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testnet.orders import Order


@dataclass(slots=True)
class Resting:
    """A place in a queue: a user's order, or a block of background liquidity when `order` is None.

    `steps` is what the book shows; `hidden` is what an iceberg order still keeps back.
    """

    steps: int
    order: Order | None = None
    hidden: int = 0


@dataclass(slots=True)
class Level:
    """All that rests at one price, oldest first; `steps` is the visible sum of the queue."""

    steps: int = 0
    background: int = 0
    hidden: int = 0
    queue: deque[Resting] = field(default_factory=deque)


class BookSide:
    """One side of the book; `sign` is +1 for bids (best is highest) and -1 for asks."""

    __slots__ = ("_keys", "levels", "sign", "touched")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.levels: dict[int, Level] = {}
        self.touched: set[int] = set()
        self._keys: list[int] = []  # sign * price, ascending: the best price is last

    def __len__(self) -> int:
        return len(self._keys)

    def best(self) -> int | None:
        """The best price in ticks, None when the side is empty."""
        return self._keys[-1] * self.sign if self._keys else None

    def prices(self) -> Iterator[int]:
        """Prices from best to worst."""
        sign = self.sign
        return (key * sign for key in reversed(self._keys))

    def top(self, count: int) -> list[tuple[int, int]]:
        """(price, steps) of the best levels, best first."""
        levels, sign = self.levels, self.sign
        return [(key * sign, levels[key * sign].steps) for key in self._keys[: -count - 1 : -1]]

    def add(self, price: int, steps: int, order: Order | None = None) -> None:
        """Join the end of the queue at a price."""
        level = self.levels.get(price)
        if level is None:
            level = self.levels[price] = Level()
            insort(self._keys, price * self.sign)
        level.steps += steps
        if order is None:
            level.background += steps
            if level.queue and level.queue[-1].order is None:
                level.queue[-1].steps += steps
                self.touched.add(price)
                return
        level.queue.append(Resting(steps, order))
        self.touched.add(price)

    def add_order(self, order: Order) -> None:
        """Join the end of the queue with what is left of an order, its iceberg part hidden."""
        remaining = order.remaining
        if not order.iceberg or order.iceberg >= remaining:
            self.add(order.price, remaining, order)
            return
        self.add(order.price, order.iceberg, order)
        level = self.levels[order.price]
        level.queue[-1].hidden = remaining - order.iceberg
        level.hidden += remaining - order.iceberg

    def reduce_head(self, price: int, steps: int) -> None:
        """Take steps from the oldest entry at a price; an emptied entry and level disappear.

        An iceberg whose visible part is used up shows the next part at the end of the queue.
        """
        level = self.levels[price]
        head = level.queue[0]
        head.steps -= steps
        level.steps -= steps
        if head.order is None:
            level.background -= steps
        if head.steps == 0:
            level.queue.popleft()
            if head.hidden and head.order is not None:
                head.steps = min(head.order.iceberg, head.hidden)
                head.hidden -= head.steps
                level.hidden -= head.steps
                level.steps += head.steps
                level.queue.append(head)
            if not level.queue:
                self._drop(price)
        self.touched.add(price)

    def shrink_order(self, price: int, order: Order) -> None:
        """Cut a user's entry to what the order has left, in place; what is hidden goes first."""
        level = self.levels[price]
        entry = next(entry for entry in level.queue if entry.order is order)
        visible = min(entry.steps, order.remaining)
        hidden = order.remaining - visible
        level.steps -= entry.steps - visible
        level.hidden -= entry.hidden - hidden
        entry.steps, entry.hidden = visible, hidden
        self.touched.add(price)

    def remove_order(self, price: int, order: Order) -> int:
        """Take a user's order out of its queue; return the steps it still had, 0 when not found."""
        level = self.levels.get(price)
        if level is None:
            return 0
        for index, entry in enumerate(level.queue):
            if entry.order is order:
                del level.queue[index]
                level.steps -= entry.steps
                level.hidden -= entry.hidden
                if not level.queue:
                    self._drop(price)
                self.touched.add(price)
                return entry.steps
        return 0

    def cut_background(self, price: int, keep: int = 0) -> None:
        """Cancel background liquidity at a price down to `keep` steps, newest first."""
        level = self.levels.get(price)
        if level is None or level.background <= keep:
            return
        excess = level.background - keep
        level.background = keep
        level.steps -= excess
        remaining: list[Resting] = []
        for entry in reversed(level.queue):
            if entry.order is None and excess:
                cut = min(excess, entry.steps)
                entry.steps -= cut
                excess -= cut
            if entry.steps:
                remaining.append(entry)
        if remaining:
            level.queue = deque(reversed(remaining))
        else:
            self._drop(price)
        self.touched.add(price)

    def _drop(self, price: int) -> None:
        del self.levels[price]
        del self._keys[bisect_left(self._keys, price * self.sign)]


class Book:
    """Both sides of one symbol and the id of its last update."""

    __slots__ = ("asks", "bids", "update_id")

    def __init__(self, update_id: int = 1) -> None:
        self.bids = BookSide(1)
        self.asks = BookSide(-1)
        self.update_id = update_id

    def side(self, side: str) -> BookSide:
        """The side an order of this direction rests on."""
        return self.bids if side == "BUY" else self.asks

    def contra(self, side: str) -> BookSide:
        """The side an order of this direction trades with."""
        return self.asks if side == "BUY" else self.bids

    def mid_ticks(self) -> float | None:
        """Middle of best bid and ask, None when a side is empty."""
        bid, ask = self.bids.best(), self.asks.best()
        return None if bid is None or ask is None else (bid + ask) / 2
