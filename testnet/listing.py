"""A symbol as it trades: its definition, state, book, tape and candles."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from testnet.book import Book
from testnet.instruments import Character, Instrument
from testnet.klines import Klines, merged
from testnet.tape import Tape

DAY_MINUTES = 1440


class SymbolStatus(StrEnum):
    """Trading states of a symbol, in the venue's words."""

    TRADING = "TRADING"
    HALT = "HALT"
    BREAK = "BREAK"


class DaySummary(NamedTuple):
    """The rolling 24 hours of one symbol; prices in ticks, volume in steps, quote in units."""

    open: int
    high: int
    low: int
    last: int
    volume: int
    quote: int
    trades: int
    open_ms: int
    close_ms: int
    previous_close: int


@dataclass(slots=True)
class Listing:
    """One listed symbol and everything the market knows of it."""

    instrument: Instrument
    character: Character
    status: SymbolStatus = SymbolStatus.TRADING
    book: Book = field(default_factory=Book)
    tape: Tape = field(default_factory=Tape)
    klines: Klines = field(default_factory=Klines)
    # While recorded candles are replayed every trade counts in the candles at the recorded path's
    # price, so that users' own trades cannot bend them.
    path_price: int | None = None

    def average_price(self) -> int:
        """Volume-weighted price of the last five minutes in 1e-8 units; the last price if none traded."""
        bars = self.klines.recent_minutes(self.instrument.avg_price_mins)
        volume = sum(bar.volume for bar in bars)
        if volume == 0:
            return self.tape.last_price * self.instrument.tick
        quote = sum(bar.quote for bar in bars)
        return quote * 10**8 // (volume * self.instrument.step)

    def day(self, now_ms: int) -> DaySummary:
        """The last 24 hours up to now."""
        bars = self.klines.recent_minutes(DAY_MINUTES + 1)
        if not bars:
            last = self.tape.last_price
            return DaySummary(last, last, last, last, 0, 0, 0, now_ms, now_ms, last)
        previous = bars[0].close
        window = bars[1:] if len(bars) > 1 else bars
        total = window[0]
        for bar in window[1:]:
            total = merged(total, bar)
        return DaySummary(
            total.open,
            total.high,
            total.low,
            total.close,
            total.volume,
            total.quote,
            total.trades,
            total.open_ms,
            now_ms,
            previous,
        )
