"""Mark prices: what is known of each perpetual's mark, index and funding, and who hears of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from testnet.engine import Engine
from testnet.listing import Listing
from testnet.persistence import Handler, Record
from testnet.usdm.contracts import MINUTE_MS, Perpetual
from testnet.usdm.funding import FundingRow
from testnet.usdm.impact import impact_prices
from testnet.usdm.sheet import Sheet


class MarkListener(Protocol):
    """Hears of every change of a mark price, once a second of market time."""

    def marked(self, listing: Listing, mark_units: int, index_units: int, time_ms: int) -> None:
        """Check margins and triggers; prices in 1e-8 units."""


class FundingListener(Protocol):
    """Hears when funding is due."""

    def funding_due(self, listing: Listing, rate_1e8: int, mark_units: int, time_ms: int) -> None:
        """Let longs pay shorts the rate (a fraction times 1e8) of their value at the mark; negative: reverse."""


class MarkBoard:
    """The sheets of every perpetual; a `Part`, so that candles and funding survive a restart."""

    name = "marks"

    def __init__(self, append: Callable[[Record], None]) -> None:
        self._append = append
        self._sheets: dict[str, Sheet] = {}
        self.listeners: list[MarkListener] = []
        self.funding_listeners: list[FundingListener] = []

    def sheet(self, key: str) -> Sheet:
        """What is known of a perpetual (`usdm:BTCUSDT`), empty at first."""
        found = self._sheets.get(key)
        if found is None:
            found = self._sheets[key] = Sheet()
        return found

    def mark_of(self, listing: Listing) -> int:
        """The mark price in 1e-8 units; the last trade's until there is one."""
        sheet = self._sheets.get(listing.instrument.key)
        if sheet is not None and sheet.mark:
            return sheet.mark
        return listing.tape.last_price * listing.instrument.tick

    def index_of(self, listing: Listing) -> int:
        """The index price in 1e-8 units; the mark until there is one."""
        sheet = self._sheets.get(listing.instrument.key)
        return sheet.index if sheet is not None and sheet.index else self.mark_of(listing)

    def forget(self, key: str) -> None:
        """Drop a delisted perpetual."""
        self._sheets.pop(key, None)

    # -- market time -----------------------------------------------------------------------

    def update(self, listing: Listing, index: int, time_ms: int) -> None:
        """Work out mark and premium from the book as it stands and tell everybody."""
        terms, sheet = terms_of(listing), self.sheet(listing.instrument.key)
        bid, ask = impact_prices(listing, terms)
        mid = listing.book.mid_ticks()
        tick = listing.instrument.tick
        last = listing.tape.last_price * tick
        middle = round(2 * mid) * tick // 2 if mid is not None else last or index
        sheet.move(terms, time_ms, index=index, middle=middle, last=last or index, impact=(bid, ask))
        for listener in self.listeners:
            listener.marked(listing, sheet.mark, index, time_ms)

    def close_minute(self, listing: Listing, boundary_ms: int) -> None:
        """Close the minute's candles, sample the premium, and settle funding when it is due."""
        terms, sheet, key = terms_of(listing), self.sheet(listing.instrument.key), listing.instrument.key
        candles = sheet.close_minute(boundary_ms)
        if candles is not None:
            self._append({"t": "mark", "k": key, "ms": boundary_ms - MINUTE_MS, "c": candles})
        if sheet.next_funding_ms and boundary_ms >= sheet.next_funding_ms:
            row = sheet.settle_funding(terms, boundary_ms)
            self._append({"t": "rate", "k": key, "r": list(row)})
            for listener in self.funding_listeners:
                listener.funding_due(listing, row.rate, row.mark, row.time_ms)

    # -- over a restart --------------------------------------------------------------------

    def handlers(self) -> Mapping[str, Handler]:
        """Journal records of this part."""
        return {"mark": self._closed_again, "rate": self._settled_again}

    def _closed_again(self, record: Record) -> None:
        self.sheet(record["k"]).absorb(record["ms"], record["c"])

    def _settled_again(self, record: Record) -> None:
        self.sheet(record["k"]).settled(FundingRow(*record["r"]))

    def state(self) -> Record:
        """Everything a restart needs."""
        return {key: sheet.state() for key, sheet in self._sheets.items()}

    def restore(self, state: Record) -> None:
        """Continue from `state()`."""
        for key, raw in state.items():
            self.sheet(key).restore(raw)

    def recovered(self) -> None:
        """Nothing waits to be armed: the feeds move the marks again."""

    def keep(self, engine: Engine) -> None:
        """Forget sheets of symbols that are listed no longer."""
        listed = {listing.instrument.key for listing in engine.listings.values()}
        for key in [key for key in self._sheets if key not in listed]:
            self.forget(key)


def terms_of(listing: Listing) -> Perpetual:
    """The contract's terms.

    Raises
    ------
    TypeError : the listing is not a perpetual.
    """
    terms = listing.instrument.perpetual
    if terms is None:
        raise TypeError(f"{listing.instrument.key} is not a perpetual")
    return terms
