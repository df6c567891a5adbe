"""What things are worth now: the middle of bid and ask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from universe.models import Quote


@dataclass(frozen=True, slots=True)
class Mark:
    """The middle price of one instrument with the two times it carries."""

    mid: Decimal
    received_at: datetime
    market_at: datetime | None


@dataclass(frozen=True, slots=True)
class Marks:
    """Middle prices by instrument, and by (venue id, base asset) in a quote asset."""

    by_instrument: dict[int, Mark]
    by_asset: dict[tuple[int, str, str], Mark]

    def of(self, instrument_id: int) -> Decimal | None:
        """The middle price of an instrument, None while a side of its book is empty or unknown."""
        mark = self.by_instrument.get(instrument_id)
        return mark.mid if mark else None

    def of_asset(self, venue_id: int, asset: str, quote_asset: str) -> Decimal | None:
        """The middle price of an asset in another, at one venue."""
        if asset == quote_asset:
            return Decimal(1)
        mark = self.by_asset.get((venue_id, asset, quote_asset))
        return mark.mid if mark else None


def mid_of(bid: Decimal | None, ask: Decimal | None) -> Decimal | None:
    """(bid + ask) / 2, None where the book has only one side."""
    return None if bid is None or ask is None else (bid + ask) / 2


def marks_read(instrument_ids: Iterable[int] | None = None) -> Marks:
    """Every mark, or those of the instruments named, in one query."""
    quotes = Quote.objects.filter(bid__isnull=False, ask__isnull=False).select_related("instrument")
    if instrument_ids is not None:
        quotes = quotes.filter(instrument_id__in=list(instrument_ids))
    by_instrument: dict[int, Mark] = {}
    by_asset: dict[tuple[int, str, str], Mark] = {}
    for quote in quotes:
        mid = mid_of(quote.bid, quote.ask)
        if mid is None:
            continue
        mark = Mark(mid, quote.received_at, quote.market_time)
        by_instrument[quote.instrument_id] = mark
        instrument = quote.instrument
        by_asset[(instrument.venue_id, instrument.base_asset, instrument.quote_asset)] = mark
    return Marks(by_instrument, by_asset)
