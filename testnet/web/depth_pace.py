"""What a depth stream of some pace has sent, and what has changed since."""

from __future__ import annotations

from dataclasses import dataclass, field

from testnet.book import Book
from testnet.instruments import Instrument

PARTIAL_LEVELS = (5, 10, 20)
# The timer ticks about every 100 ms; half a tick early is on time.
_SLACK_MS = 50


@dataclass(slots=True)
class DepthPace:
    """One pace of one symbol: names of its diff and partial streams, and the levels touched since the last."""

    every_ms: int
    diff_names: tuple[str, ...]
    partial_names: tuple[tuple[int, str], ...]
    last_id: int
    sent_ms: int = 0
    bids: set[int] = field(default_factory=set)
    asks: set[int] = field(default_factory=set)

    def is_due(self, wall_ms: int) -> bool:
        """True when it is time for the next event."""
        return wall_ms - self.sent_ms >= self.every_ms - _SLACK_MS

    def touch(self, bids: set[int], asks: set[int]) -> None:
        """Note changed levels."""
        self.bids |= bids
        self.asks |= asks

    def begin(self, update_id: int, wall_ms: int) -> None:
        """Start the next event after an update."""
        self.last_id = update_id
        self.sent_ms = wall_ms
        self.bids.clear()
        self.asks.clear()

    def skip(self, update_id: int) -> None:
        """Nobody listens: the next event, whenever it is, starts here."""
        self.last_id = update_id
        self.bids.clear()
        self.asks.clear()


def changes(instrument: Instrument, book: Book, pace: DepthPace) -> tuple[list[list[str]], list[list[str]]]:
    """Touched bids and asks with their quantities now, best first; 0 where a level is gone."""
    bids, asks = book.bids.levels, book.asks.levels
    return (
        [
            [instrument.price_text(p), instrument.qty_text(bids[p].steps if p in bids else 0)]
            for p in sorted(pace.bids, reverse=True)
        ],
        [
            [instrument.price_text(p), instrument.qty_text(asks[p].steps if p in asks else 0)]
            for p in sorted(pace.asks)
        ],
    )
