"""What the stream says as what is stored: quotes, mark prices and bars."""

from __future__ import annotations

from datetime import UTC, datetime

from trading.daemons.price_members import wall_time
from trading.domain.ports import KlineRecord
from universe.adapters.binance.events import BookTickerEvent, KlineEvent, MarkPriceEvent
from universe.services import MarkUpdate, QuoteUpdate


def quote_update(instrument_id: int, quote: BookTickerEvent, market_time: datetime | None) -> QuoteUpdate:
    """A top of the book; spot's carries no time of its own."""
    return QuoteUpdate(
        instrument_id=instrument_id,
        bid=quote.bid,
        bid_quantity=quote.bid_quantity,
        ask=quote.ask,
        ask_quantity=quote.ask_quantity,
        received_at=wall_time(quote.received_ns),
        market_time=market_time,
    )


def mark_update(instrument_id: int, mark: MarkPriceEvent) -> MarkUpdate:
    """A mark price with what funding is to be."""
    return MarkUpdate(
        instrument_id=instrument_id,
        mark=mark.mark,
        index=mark.index,
        funding_rate=mark.funding_rate,
        next_funding_at=(
            datetime.fromtimestamp(mark.next_funding_ms / 1000, UTC) if mark.next_funding_ms else None
        ),
        received_at=wall_time(mark.received_ns),
    )


def kline_record(event: KlineEvent) -> KlineRecord:
    """A bar."""
    return KlineRecord(
        open_time_ms=event.open_time_ms,
        open=event.open,
        high=event.high,
        low=event.low,
        close=event.close,
        volume=event.volume,
        close_time_ms=event.close_time_ms,
        quote_volume=event.quote_volume,
        trades=event.trades,
        taker_base=event.taker_base,
        taker_quote=event.taker_quote,
    )
