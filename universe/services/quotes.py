"""Storing the latest top of book, and of USD-M the latest mark price."""

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


# A contract without a book yet has no freshness of a book either: the row begins with the oldest time there is.
# Where the next funding time moves on, the one before it has passed: the rate that led to it was settled then. A bar
# that closes a minute later has to know it. After a longer silence the venue is asked instead (`funding_follow`), and
# what it says replaces this row in any case.
_UPSERT_MARKS = """
WITH r AS (
    SELECT * FROM unnest(
        %s::bigint[], %s::numeric[], %s::numeric[], %s::numeric[], %s::timestamptz[], %s::timestamptz[])
        AS t (instrument_id, mark, index, rate, next_at, received_at)
), settled AS (
    INSERT INTO universe_fundingrate (symbol, funding_at, rate, mark_price, source, received_at)
    SELECT i.symbol, date_trunc('minute', q.next_funding_at), round(q.funding_rate, 8), q.mark_price, 'stream',
        r.received_at
    FROM r JOIN universe_quote q USING (instrument_id) JOIN universe_instrument i ON i.id = r.instrument_id
    WHERE r.next_at > q.next_funding_at AND abs(q.funding_rate) < 1
        AND r.received_at - q.mark_received_at BETWEEN interval '0' AND interval '10 seconds'
    ON CONFLICT (symbol, funding_at) DO NOTHING
)
INSERT INTO universe_quote AS q (
    instrument_id, mark_price, index_price, funding_rate, next_funding_at, mark_received_at,
    bid_quantity, ask_quantity, received_at)
SELECT r.*, 0, 0, to_timestamp(0) FROM r
ORDER BY 1
ON CONFLICT (instrument_id) DO UPDATE SET
    mark_price = excluded.mark_price, index_price = excluded.index_price,
    funding_rate = excluded.funding_rate, next_funding_at = excluded.next_funding_at,
    mark_received_at = excluded.mark_received_at
WHERE q.mark_received_at IS NULL OR excluded.mark_received_at >= q.mark_received_at
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


@dataclass(frozen=True, slots=True)
class MarkUpdate:
    """One mark price with the funding it leads to; `received_at` is wall time, `next_funding_at` the venue's."""

    instrument_id: int
    mark: Decimal
    index: Decimal
    funding_rate: Decimal
    next_funding_at: datetime | None
    received_at: datetime


def marks_store(batch: Sequence[MarkUpdate]) -> int:
    """Overwrite the mark prices of many instruments in one statement; the newest received wins.

    Raises
    ------
    ValueError : a price that is not positive and finite, or a rate that is not finite.
    """
    for update in batch:
        _check_mark(update)
    columns = ("instrument_id", "mark", "index", "funding_rate", "next_funding_at", "received_at")
    return _store(_UPSERT_MARKS, columns, batch, of="mark")


def quotes_store(batch: Sequence[QuoteUpdate]) -> int:
    """Overwrite the quotes of many instruments in one statement; the newest received wins.

    Rows are written in id order, so that two writers cannot lock each other out. Returns the rows
    written; a quote older than the stored one is left out.

    Raises
    ------
    ValueError : a price that is not positive and finite, or a crossed book.
    """
    for update in batch:
        _check(update)
    columns = ("instrument_id", "bid", "ask", "bid_quantity", "ask_quantity", "last_price", "market_time")
    return _store(_UPSERT, (*columns, "received_at"), batch, of="quote")


def _store(
    statement: str, columns: Sequence[str], batch: Sequence[QuoteUpdate | MarkUpdate], *, of: str
) -> int:
    """Run it with one array for each column, of the newest update of each instrument."""
    newest: dict[int, QuoteUpdate | MarkUpdate] = {}
    for update in batch:
        known = newest.get(update.instrument_id)
        if known is None or update.received_at >= known.received_at:
            newest[update.instrument_id] = update
    if not newest:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(statement, [[getattr(row, name) for row in newest.values()] for name in columns])
        written = int(cursor.rowcount)
    MARKET_DATA_EVENTS.labels(source="stream", type=of).inc(written)
    return written


def _check_mark(update: MarkUpdate) -> None:
    for name, price in (("mark price", update.mark), ("index price", update.index)):
        if not (price.is_finite() and price > 0):
            raise ValueError(f"instrument {update.instrument_id}: expected a positive {name}, was {price}")
    if not update.funding_rate.is_finite():
        raise ValueError(f"instrument {update.instrument_id}: funding rate {update.funding_rate}")


def _check(update: QuoteUpdate) -> None:
    for name, price in (("bid", update.bid), ("ask", update.ask), ("last price", update.last_price)):
        if price is not None and not (price.is_finite() and price > 0):
            raise ValueError(f"instrument {update.instrument_id}: expected a positive {name}, was {price}")
    if update.bid is not None and update.ask is not None and update.bid > update.ask:
        raise ValueError(f"instrument {update.instrument_id}: bid {update.bid} is above ask {update.ask}")
