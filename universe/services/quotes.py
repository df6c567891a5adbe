"""Storing the latest top of book."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection

from universe.metrics import MARKET_DATA_EVENTS

_UPSERT = """
INSERT INTO universe_quote AS q (
    instrument_id, bid, ask, bid_quantity, ask_quantity, last_price, market_time, received_at)
SELECT * FROM unnest(
    %s::bigint[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[],
    %s::timestamptz[], %s::timestamptz[]) AS r
ORDER BY 1
ON CONFLICT (instrument_id) DO UPDATE SET
    bid = excluded.bid, ask = excluded.ask,
    bid_quantity = excluded.bid_quantity, ask_quantity = excluded.ask_quantity,
    last_price = COALESCE(excluded.last_price, q.last_price),
    market_time = COALESCE(excluded.market_time, q.market_time),
    received_at = excluded.received_at
WHERE excluded.received_at >= q.received_at
"""


@dataclass(frozen=True, slots=True)
class QuoteUpdate:
    """One top of book; an empty side is None. `received_at` is wall time, `market_time` the venue's."""

    instrument_id: int
    bid: Decimal | None
    bid_quantity: Decimal
    ask: Decimal | None
    ask_quantity: Decimal
    received_at: datetime
    last_price: Decimal | None = None
    market_time: datetime | None = None


def quotes_store(batch: Sequence[QuoteUpdate]) -> int:
    """Overwrite the quotes of many instruments in one statement; the newest received wins.

    Rows are written in id order, so that two writers cannot lock each other out. Returns the rows
    written; a quote older than the stored one is left out.

    Raises
    ------
    ValueError : a price that is not positive and finite, or a crossed book.
    """
    newest: dict[int, QuoteUpdate] = {}
    for update in batch:
        _check(update)
        known = newest.get(update.instrument_id)
        if known is None or update.received_at >= known.received_at:
            newest[update.instrument_id] = update
    if not newest:
        return 0
    rows = list(newest.values())
    with connection.cursor() as cursor:
        cursor.execute(
            _UPSERT,
            [
                [r.instrument_id for r in rows],
                [r.bid for r in rows],
                [r.ask for r in rows],
                [r.bid_quantity for r in rows],
                [r.ask_quantity for r in rows],
                [r.last_price for r in rows],
                [r.market_time for r in rows],
                [r.received_at for r in rows],
            ],
        )
        written = int(cursor.rowcount)
    MARKET_DATA_EVENTS.labels(source="stream", type="quote").inc(written)
    return written


def _check(update: QuoteUpdate) -> None:
    for name, price in (("bid", update.bid), ("ask", update.ask), ("last price", update.last_price)):
        if price is not None and not (price.is_finite() and price > 0):
            raise ValueError(f"instrument {update.instrument_id}: expected a positive {name}, was {price}")
    if update.bid is not None and update.ask is not None and update.bid > update.ask:
        raise ValueError(f"instrument {update.instrument_id}: bid {update.bid} is above ask {update.ask}")
