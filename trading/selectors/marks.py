"""What things are worth now: the middle of bid and ask; a contract of USD-M its mark price."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from trading.domain.values import Market
from universe.models import Quote


@dataclass(frozen=True, slots=True)
class Mark:
    """The price of one instrument with the two times it carries.

    `mid` is the middle of bid and ask on spot, and what a contract is valued at on USD-M: the mark price, or the middle
    while the venue has told none.
    """

    mid: Decimal
    received_at: datetime
    market_at: datetime | None


@dataclass(frozen=True, slots=True)
class Marks:
    """Middle prices by instrument, and by (venue id, base asset) in a quote asset."""

    by_instrument: dict[int, Mark]
    by_asset: dict[tuple[int, str, str], Mark]
    anywhere: dict[tuple[str, str], Mark] = field(default_factory=dict)
    """Spot prices by (base, quote): BNB in a futures wallet is worth what it costs where it is traded."""

    def of(self, instrument_id: int) -> Decimal | None:
        """The middle price of an instrument, None while a side of its book is empty or unknown."""
        mark = self.by_instrument.get(instrument_id)
        return mark.mid if mark else None

    def of_asset(self, venue_id: int, asset: str, quote_asset: str) -> Decimal | None:
        """The middle price of an asset in another, at one venue."""
        if asset == quote_asset:
            return Decimal(1)
        mark = self.by_asset.get((venue_id, asset, quote_asset)) or self.anywhere.get((asset, quote_asset))
        return mark.mid if mark else None


def mid_of(bid: Decimal | None, ask: Decimal | None) -> Decimal | None:
    """(bid + ask) / 2, None where the book has only one side."""
    return None if bid is None or ask is None else (bid + ask) / 2


def marks_read(instrument_ids: Iterable[int] | None = None) -> Marks:
    """Every mark, or those of the instruments named, in one query."""
    quotes = Quote.objects.select_related("instrument")
    if instrument_ids is not None:
        quotes = quotes.filter(instrument_id__in=list(instrument_ids))
    marks = Marks({}, {}, {})
    for quote in quotes:
        instrument = quote.instrument
        price = mid_of(quote.bid, quote.ask)
        if instrument.market == Market.usdm:
            price = getattr(quote, "mark_price", None) or price
        if price is None:
            continue
        mark = Mark(price, quote.received_at, quote.market_time)
        marks.by_instrument[quote.instrument_id] = mark
        marks.by_asset[instrument.venue_id, instrument.base_asset, instrument.quote_asset] = mark
        if instrument.market == Market.spot:
            marks.anywhere[instrument.base_asset, instrument.quote_asset] = mark
    return marks
