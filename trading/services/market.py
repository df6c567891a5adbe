"""The top of a symbol's book as it was last received."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from universe.models import Instrument, Quote


@dataclass(frozen=True, slots=True)
class Market:
    """Top of the book as last received."""

    bid: Decimal | None
    ask: Decimal | None
    received_at: datetime | None
    last: Decimal | None = None
    mark: Decimal | None = None

    @property
    def mid(self) -> Decimal | None:
        if not self.bid or not self.ask:
            return None
        return (self.bid + self.ask) / 2


def market_of(instrument: Instrument) -> Market:
    """The book as it is stored now."""
    row = Quote.objects.filter(instrument=instrument).values_list(
        "bid", "ask", "received_at", "last_price", "mark_price"
    )
    return Market(*next(iter(row), (None, None, None)))
