"""Recorded combined streams: lines of `<receive time, ns> <json>`, a REST depth snapshot among them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from testnet.market.compare.portrait import Print, Quote, Sitter
from testnet.values import MalformedDecimal, TooPrecise, parse_units

SAMPLE_MS = 100
BOOK_MS = 1_000
_MAX_EARLY = 1_000


class BadRecording(ValueError):
    """A recorded file that cannot be used; the message names file and line."""


class RecordedBook:
    """A book rebuilt from a snapshot and depth differences; prices and quantities in 1e-8 units.

    Before a snapshot it knows only the levels that changed since the recording began.
    """

    def __init__(self) -> None:
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.update_id = 0
        self.is_complete = False
        self._joining = True  # the next update is the first after a snapshot
        self._early: list[dict[str, Any]] = []  # updates that came before the snapshot they may follow

    def load(self, snapshot: dict[str, Any]) -> None:
        """Start from a REST depth answer, then apply what came before it but belongs after it."""
        self.bids = {parse_units(price): parse_units(quantity) for price, quantity in snapshot["bids"]}
        self.asks = {parse_units(price): parse_units(quantity) for price, quantity in snapshot["asks"]}
        self.update_id = int(snapshot["lastUpdateId"])
        self.is_complete = True
        early, self._early = self._early, []
        self._joining = True
        for data in early:
            self.apply(data)

    def apply(self, data: dict[str, Any]) -> int:
        """Apply one `depthUpdate`; return how many levels it names. An older update changes nothing.

        Raises
        ------
        BadRecording : updates are missing between the last one and this.
        """
        first, last = int(data["U"]), int(data["u"])
        if not self.is_complete and len(self._early) < _MAX_EARLY:
            self._early.append(data)
        if last <= self.update_id:
            return 0
        # USD-M ids have holes: there an update names its predecessor, except that the first one after a
        # snapshot only has to reach back to it.
        before = int(data["pu"]) if "pu" in data and not self._joining else first - 1
        if self.update_id and before > self.update_id:
            raise BadRecording(f"depth updates {self.update_id + 1} to {before} are missing")
        self.update_id = last
        self._joining = False
        for side, rows in ((self.bids, data["b"]), (self.asks, data["a"])):
            for price_text, quantity_text in rows:
                price, quantity = parse_units(price_text), parse_units(quantity_text)
                if quantity:
                    side[price] = quantity
                else:
                    side.pop(price, None)
        return len(data["b"]) + len(data["a"])

    def best(self) -> tuple[int, int] | None:
        """Best bid and ask, None while a side is unknown."""
        return (max(self.bids), min(self.asks)) if self.bids and self.asks else None

    def side(self, *, is_bid: bool) -> list[Quote]:
        """One side, best first."""
        rows = self.bids if is_bid else self.asks
        return [Quote(price, rows[price]) for price in sorted(rows, reverse=is_bid)]


def messages(path: Path) -> Iterator[tuple[int, int, str, dict[str, Any]]]:
    """(line number, receive time in ms, stream name, payload) of every line; "" names a depth snapshot.

    Raises
    ------
    BadRecording : a line that is not a time and a combined-stream message.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt") as lines:
        for number, line in enumerate(lines, start=1):
            stamp, _, body = line.partition(" ")
            try:
                message = json.loads(body)
                at_ms = int(stamp) // 1_000_000
                if "lastUpdateId" in message:
                    row = (number, at_ms, "", message)
                else:
                    row = (number, at_ms, str(message["stream"]), message["data"])
            except (ValueError, KeyError, TypeError) as error:
                raise BadRecording(
                    f"{path.name}, line {number}: expected a time and a stream message"
                ) from error
            yield row


def portray(path: Path, symbol: str, tick: int, *, warm_up_s: float, seconds: float | None) -> Sitter:
    """Sample a recording: the touch every 100 ms, the book every second, every trade.

    Parameters
    ----------
    tick : the symbol's tick in 1e-8 units.
    warm_up_s : seconds at the beginning that only build the book.
    seconds : length of the sampled part, None for all that remains.

    Raises
    ------
    BadRecording : unreadable lines, missing updates, or nothing of this symbol.
    """
    reader = _Reader(tick, round(warm_up_s * 1000))
    for number, at_ms, stream, data in messages(path):
        if stream and not stream.startswith(symbol.lower() + "@"):
            continue
        try:
            if seconds is not None and reader.start and at_ms >= reader.start + seconds * 1000:
                break
            reader.take(at_ms, stream, data)
        except BadRecording as error:
            raise BadRecording(f"{path.name}, line {number}: {error}") from error
        except (KeyError, ValueError, TypeError, MalformedDecimal, TooPrecise) as error:
            raise BadRecording(f"{path.name}, line {number}: unreadable message") from error
    sitter = reader.sitter
    sitter.seconds = (reader.end - reader.start) / 1000
    if reader.top is None or sitter.seconds <= 0:
        raise BadRecording(f"{path.name}: nothing to sample for {symbol} after {warm_up_s:g} s")
    return sitter


class _Reader:
    """Feeds a portrait from messages in the order they were received."""

    def __init__(self, tick: int, warm_up_ms: int) -> None:
        self.sitter = Sitter(tick)
        self.book = RecordedBook()
        self.top: tuple[Quote, Quote] | None = None
        self.start = self.end = 0
        self._warm_up_ms = warm_up_ms
        self._next_top = self._next_book = 0

    def take(self, at_ms: int, stream: str, data: dict[str, Any]) -> None:
        if not self.start:
            self.start = self._next_top = self._next_book = at_ms + self._warm_up_ms
        self.end = at_ms
        self._sample(at_ms)
        is_sampled = at_ms >= self.start
        if not stream:
            self.book.load(data)
        elif stream.endswith("@bookTicker"):
            self.top = (
                Quote(parse_units(data["b"]), parse_units(data["B"])),
                Quote(parse_units(data["a"]), parse_units(data["A"])),
            )
        elif data.get("e") == "depthUpdate":
            named = self.book.apply(data)
            self.sitter.level_updates += named if is_sampled else 0
        # USD-M also announces insurance-fund transfers on this stream, which are not trades.
        elif data.get("e") == "trade" and is_sampled and data.get("X", "MARKET") == "MARKET":
            self.sitter.trade(
                Print(int(data["T"]), parse_units(data["p"]), parse_units(data["q"]), not data["m"])
            )

    def _sample(self, at_ms: int) -> None:
        """Sample what stood when a sample fell due, before the message at `at_ms` changes it."""
        if self.top is None:
            return
        while self._next_top <= at_ms:
            self.sitter.top(*self.top)
            self._next_top += SAMPLE_MS
        mid = (self.top[0].price + self.top[1].price) / 2
        while self._next_book <= at_ms:
            self.sitter.book(self.book.side(is_bid=True), self.book.side(is_bid=False), mid)
            self._next_book += BOOK_MS
