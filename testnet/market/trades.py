"""Recorded trade files for replay: read row by row, never held whole."""

from __future__ import annotations

import csv
import gzip
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from testnet.instruments import Instrument, UnknownInstrument, catalog_instrument, make_instrument
from testnet.klines import MINUTE_MS, Bar
from testnet.values import SCALE, MalformedDecimal, TooPrecise, decimals_of, parse_units

TRADES_NAME = re.compile(r"([A-Z0-9]{5,20})_(trades|aggTrades)\.csv(\.gz)?")
# Price, quantity, time and is_buyer_maker in the venue's archive files of either kind.
_COLUMNS = {"trades": (1, 2, 4, 5), "aggTrades": (1, 2, 5, 6)}
_HEADER_PRICE = frozenset({"price", "p"})
_FLAGS = {"true": True, "false": False}
_INDEX_EVERY = 20_000  # rows between places from which reading can start


class BadTradeFile(ValueError):
    """A trade file that cannot be replayed; the message names file and line."""


class RecordedTrade(NamedTuple):
    """One recorded trade: price and quantity in 1e-8 units, the taker's direction."""

    time_ms: int
    price: int
    quantity: int
    is_buy: bool


@dataclass(frozen=True, slots=True)
class TradeFile:
    """Where the trades of one symbol lie, and the minutes they make.

    `bars` has one candle a minute from the first trade to the last, those without trades included;
    `index` holds (time, byte) about every 20,000 rows: trades before the byte are no later than the time.
    """

    path: Path
    instrument: Instrument
    bars: list[Bar]
    index: list[tuple[int, int]]

    def after(self, time_ms: int) -> Iterator[RecordedTrade]:
        """Trades later than a time, in the file's order."""
        place = bisect_right(self.index, (time_ms, 1 << 62)) - 1
        for trade, _ in _rows(self.path, self.index[place][1] if place >= 0 else 0):
            if trade.time_ms > time_ms:
                yield trade


def read_trades(path: Path) -> TradeFile:
    """Read the venue's archive form of trades or aggregate trades once, keeping only its minutes.

    Times are milliseconds or microseconds; the header is optional; `.gz` is decompressed on the way.

    Raises
    ------
    BadTradeFile : a row that is not a trade, times that go back, fewer than two minutes, or amounts too
        fine for exact notionals.
    """
    match = TRADES_NAME.fullmatch(path.name)
    if match is None:
        raise BadTradeFile(f"{path.name}: expected SYMBOL_trades.csv or SYMBOL_aggTrades.csv, or .gz")
    minutes: list[list[int]] = []
    index: list[tuple[int, int]] = []
    price_places = quantity_places = last_ms = 0
    for number, (trade, offset) in enumerate(_rows(path, 0)):
        if trade.time_ms < last_ms:
            raise BadTradeFile(f"{path.name}: the time of trade {number + 1} goes back")
        # Only where the time advances, so that a reader starting here misses none of the same instant.
        if trade.time_ms > last_ms and number >= len(index) * _INDEX_EVERY:
            index.append((last_ms, offset))
        last_ms = trade.time_ms
        if decimals_of(trade.price) > price_places:
            price_places = decimals_of(trade.price)
        if decimals_of(trade.quantity) > quantity_places:
            quantity_places = decimals_of(trade.quantity)
        _count(minutes, trade)
    if len(minutes) < 2:
        raise BadTradeFile(f"{path.name}: needs trades in at least two minutes")
    try:
        instrument = _instrument(match.group(1), price_places, quantity_places, minutes[-1][4] / SCALE)
    except UnknownInstrument as error:
        raise BadTradeFile(f"{path.name}: {error}") from error
    return TradeFile(path, instrument, [_bar(minute, instrument) for minute in minutes], index)


def _rows(path: Path, offset: int) -> Iterator[tuple[RecordedTrade, int]]:
    """Trades from a byte of the (uncompressed) file on, each with the byte at which its row begins."""
    match = TRADES_NAME.fullmatch(path.name)
    columns = _COLUMNS[match.group(2) if match else "trades"]
    from_start = offset == 0
    with _opened(path) as lines:
        lines.seek(offset)
        for number, line in enumerate(lines, start=1):
            start, offset = offset, offset + len(line)
            text = line.decode("ascii", "replace").strip()
            if not text:
                continue
            cells = next(csv.reader([text]))
            if start == 0 and len(cells) > 1 and cells[1].strip().lower() in _HEADER_PRICE:
                continue
            try:
                yield _trade(cells, columns), start
            except (ValueError, MalformedDecimal, TooPrecise, KeyError, IndexError) as error:
                where = f"line {number}" if from_start else f"byte {start}"
                raise BadTradeFile(f"{path.name}, {where}: not a trade: {text[:80]}") from error


def _opened(path: Path) -> IO[bytes] | gzip.GzipFile:
    if path.suffix == ".gz":
        return gzip.open(path)
    return path.open("rb")


def _trade(cells: list[str], columns: tuple[int, int, int, int]) -> RecordedTrade:
    price, quantity, time, maker = (cells[column].strip() for column in columns)
    stamp = int(time)
    trade = RecordedTrade(
        stamp // 1000 if stamp > 10**14 else stamp,  # the archive changed to microseconds in 2025
        parse_units(price),
        parse_units(quantity),
        not _FLAGS[maker.lower()],
    )
    if trade.price <= 0 or trade.quantity <= 0 or stamp <= 0:
        raise ValueError("expected a positive time, price and quantity")
    return trade


def _count(minutes: list[list[int]], trade: RecordedTrade) -> None:
    """Add a trade to its minute: [open_ms, open, high, low, close, volume, quote, trades, taker, taker quote]."""
    open_ms = trade.time_ms // MINUTE_MS * MINUTE_MS
    price = trade.price
    while minutes and minutes[-1][0] + MINUTE_MS < open_ms:
        close = minutes[-1][4]
        minutes.append([minutes[-1][0] + MINUTE_MS, close, close, close, close, 0, 0, 0, 0, 0])
    if not minutes or minutes[-1][0] != open_ms:
        minutes.append([open_ms, price, price, price, price, 0, 0, 0, 0, 0])
    minute = minutes[-1]
    minute[2] = max(minute[2], price)
    minute[3] = min(minute[3], price)
    minute[4] = price
    quote = price * trade.quantity // SCALE
    minute[5] += trade.quantity
    minute[6] += quote
    minute[7] += 1
    if trade.is_buy:
        minute[8] += trade.quantity
        minute[9] += quote


def _bar(minute: list[int], instrument: Instrument) -> Bar:
    open_ms, open_, high, low, close, volume, quote, trades, taker, taker_quote = minute
    tick, step = instrument.tick, instrument.step
    return Bar(
        open_ms,
        open_ // tick,
        high // tick,
        low // tick,
        close // tick,
        volume // step,
        quote,
        trades,
        taker // step,
        taker_quote,
    )


def _instrument(symbol: str, price_places: int, quantity_places: int, price: float) -> Instrument:
    """The catalogue's filters where the file's amounts fit them, else the coarsest that fit."""
    tick, step = 10 ** (8 - price_places), 10 ** (8 - quantity_places)
    try:
        known, _ = catalog_instrument(symbol)
    except UnknownInstrument:
        return make_instrument(symbol, tick, step, price)
    if tick % known.tick == 0 and step % known.step == 0:
        return known
    return make_instrument(symbol, tick, step, price)
