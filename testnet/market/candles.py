"""Recorded candle files for replay."""

from __future__ import annotations

import csv
import gzip
import io
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from testnet.instruments import Instrument, make_instrument, precision_of
from testnet.klines import INTERVALS
from testnet.market.trades import TRADES_NAME, TradeFile, read_trades
from testnet.values import SCALE, MalformedDecimal, TooPrecise, parse_units

_NAME = re.compile(r"([A-Z0-9]{5,20})_([0-9]+[mhdw])\.csv(\.gz)?")
_HEADER = ["date", "open", "high", "low", "close", "volume"]
_TRADES_RANK = {"trades": -2, "aggTrades": -1}


class BadCandleFile(ValueError):
    """A replay file that cannot be used; the message names file and line."""


class Candle(NamedTuple):
    """A recorded candle in 1e-8 units."""

    open_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int


@dataclass(frozen=True, slots=True)
class CandleFile:
    """All candles of one symbol and the instrument that represents them exactly.

    `trades` is where they come from when the recording is one of trades, not of candles.
    """

    instrument: Instrument
    interval: str
    candles: list[Candle]
    trades: TradeFile | None = None

    @property
    def length_ms(self) -> int:
        """Length of one candle."""
        return INTERVALS[self.interval]


def find_files(folder: Path, symbols: list[str] | None) -> dict[str, Path]:
    """The file of each symbol in a folder; where several exist, trades before the shortest interval.

    Raises
    ------
    BadCandleFile : no usable file, or none for a wanted symbol.
    """
    found: dict[str, tuple[int, Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = TRADES_NAME.fullmatch(path.name)
        if match is not None:
            length = _TRADES_RANK[match.group(2)]
        else:
            match = _NAME.fullmatch(path.name)
            if match is None or match.group(2) not in INTERVALS:
                continue
            length = INTERVALS[match.group(2)]
        if match.group(1) not in found or length < found[match.group(1)][0]:
            found[match.group(1)] = (length, path)
    if not found:
        raise BadCandleFile(
            f"{folder}: no file named SYMBOL_INTERVAL.csv, SYMBOL_trades.csv or SYMBOL_aggTrades.csv (or .gz)"
        )
    missing = [symbol for symbol in symbols or [] if symbol not in found]
    if missing:
        raise BadCandleFile(f"{folder}: no candles or trades for {', '.join(missing)}")
    return {symbol: found[symbol][1] for symbol in (symbols or sorted(found))}


def read_candles(path: Path) -> CandleFile:
    """Read `date,open,high,low,close,volume` or the venue's 12-column archive form, also gzipped.

    A file of trades gives the one-minute candles they make.

    Raises
    ------
    BadCandleFile : unreadable rows, impossible prices, or times that do not ascend.
    BadTradeFile : the same of a trade file.
    """
    if TRADES_NAME.fullmatch(path.name):
        return _of_trades(read_trades(path))
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise BadCandleFile(f"{path.name}: expected SYMBOL_INTERVAL.csv or .csv.gz")
    symbol, interval = match.group(1), match.group(2)
    if interval not in INTERVALS:
        raise BadCandleFile(f"{path.name}: unknown interval {interval}")
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    candles: list[Candle] = []
    for number, row in enumerate(csv.reader(io.StringIO(text)), start=1):
        if not row or (number == 1 and [cell.lower() for cell in row[:6]] == _HEADER):
            continue
        try:
            candle = _candle(row)
        except (ValueError, MalformedDecimal, TooPrecise, IndexError) as error:
            raise BadCandleFile(f"{path.name}, line {number}: {error}") from error
        if candles and candle.open_ms <= candles[-1].open_ms:
            raise BadCandleFile(f"{path.name}, line {number}: times do not ascend")
        candles.append(candle)
    if len(candles) < 2:
        raise BadCandleFile(f"{path.name}: needs at least two candles")
    return CandleFile(_instrument(symbol, candles), interval, candles)


def _of_trades(file: TradeFile) -> CandleFile:
    tick, step = file.instrument.tick, file.instrument.step
    candles = [
        Candle(
            bar.open_ms, bar.open * tick, bar.high * tick, bar.low * tick, bar.close * tick, bar.volume * step
        )
        for bar in file.bars
    ]
    return CandleFile(file.instrument, "1m", candles, file)


def _candle(row: list[str]) -> Candle:
    if len(row) < len(_HEADER):
        raise ValueError(f"expected at least 6 columns, found {len(row)}")
    open_, high, low, close, volume = (parse_units(cell.strip()) for cell in row[1:6])
    if not 0 < low <= min(open_, close) or high < max(open_, close):
        raise ValueError("impossible prices")
    return Candle(_time_ms(row[0].strip()), open_, high, low, close, volume)


def _time_ms(text: str) -> int:
    if text.isdigit():
        value = int(text)
        return value // 1000 if value > 10**14 else value  # the archive changed to microseconds in 2025
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()) * 1000


def _instrument(symbol: str, candles: list[Candle]) -> Instrument:
    prices = precision_of([value for c in candles for value in c[1:5]])
    volumes = precision_of([c.volume for c in candles])
    # Prices are kept exactly; the step is coarsened where notionals would not be.
    steps = min(volumes, 8 - prices)
    return make_instrument(symbol, 10 ** (8 - prices), 10 ** (8 - steps), candles[-1].close / SCALE)
