"""A symbol as it trades: its definition, state, book, tape and candles."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from testnet.bars import Bar, merged
from testnet.book import Book
from testnet.instruments import Character, Instrument
from testnet.klines import Klines
from testnet.tape import Tape

DAY_MINUTES = 1440


class SymbolStatus(StrEnum):
    """Trading states of a symbol, in the venue's words."""

    TRADING = "TRADING"
    HALT = "HALT"
    BREAK = "BREAK"
    # Of contracts: announced but not trading yet; no longer trading, positions are being closed.
    PENDING_TRADING = "PENDING_TRADING"
    SETTLING = "SETTLING"


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
    _windows: dict[int, tuple[int, Bar | None, int | None]] = field(default_factory=dict)

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
        return self.window(DAY_MINUTES, now_ms)

    def window(self, minutes: int, now_ms: int) -> DaySummary:
        """The last so many minutes up to now, the running one among them."""
        running = self.klines.minute
        if running is None:
            last = self.tape.last_price
            return DaySummary(last, last, last, last, 0, 0, 0, now_ms, now_ms, last)
        closed, previous = self._closed(minutes, running.open_ms)
        total = running if closed is None else merged(closed, running)
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
            running.close if previous is None else previous,
        )

    def _closed(self, minutes: int, running_ms: int) -> tuple[Bar | None, int | None]:
        """The closed minutes of a window as one bar, and the close before them; worked out once a minute."""
        known = self._windows.get(minutes)
        if known is not None and known[0] == running_ms:
            return known[1], known[2]
        bars = self.klines.closed["1m"][-minutes:]
        previous = bars[0].close if bars else None
        total: Bar | None = None
        for bar in bars[1:]:
            total = merged(total, bar)
        self._windows[minutes] = (running_ms, total, previous)
        return total, previous
