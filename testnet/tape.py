"""The public record of trades of one symbol."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

KEEP_TRADES = 5_000
KEEP_AGGREGATES = 5_000


class Trade(NamedTuple):
    """One public trade: price in ticks, quantity in steps, quote in 1e-8 units, market time."""

    trade_id: int
    price: int
    steps: int
    quote: int
    time_ms: int
    buyer_is_maker: bool


class Aggregate(NamedTuple):
    """Trades of one taker order at one price."""

    agg_id: int
    price: int
    steps: int
    first_id: int
    last_id: int
    time_ms: int
    buyer_is_maker: bool


class Tape:
    """Recent trades and aggregates, with the ids that continue over a restart."""

    def __init__(self, trade_id: int = 0, agg_id: int = 0) -> None:
        self.trades: deque[Trade] = deque(maxlen=KEEP_TRADES)
        self.aggregates: deque[Aggregate] = deque(maxlen=KEEP_AGGREGATES)
        self.trade_id = trade_id
        self.agg_id = agg_id
        self.last_price = 0
        self.last_steps = 0

    def next_trade_id(self) -> int:
        """Assign the id of a new trade."""
        self.trade_id += 1
        return self.trade_id

    def record(self, trade: Trade) -> None:
        """Keep a trade and make it the last price."""
        self.trades.append(trade)
        self.last_price = trade.price
        self.last_steps = trade.steps

    def aggregate(self, trades: list[Trade]) -> list[Aggregate]:
        """Group one taker's trades by price and keep the groups."""
        groups: list[Aggregate] = []
        for trade in trades:
            if groups and groups[-1].price == trade.price:
                last = groups[-1]
                groups[-1] = last._replace(steps=last.steps + trade.steps, last_id=trade.trade_id)
                continue
            self.agg_id += 1
            groups.append(
                Aggregate(
                    self.agg_id,
                    trade.price,
                    trade.steps,
                    trade.trade_id,
                    trade.trade_id,
                    trade.time_ms,
                    trade.buyer_is_maker,
                )
            )
        self.aggregates.extend(groups)
        return groups

    def aggregates_between(
        self, from_id: int | None, start_ms: int | None, end_ms: int | None, limit: int
    ) -> list[Aggregate]:
        """Kept aggregates, oldest first: the first ones from an id or a time on, the latest ones without either."""
        rows = [
            row
            for row in self.aggregates
            if (from_id is None or row.agg_id >= from_id)
            and (start_ms is None or row.time_ms >= start_ms)
            and (end_ms is None or row.time_ms <= end_ms)
        ]
        return rows[:limit] if from_id is not None or start_ms is not None else rows[-limit:]
