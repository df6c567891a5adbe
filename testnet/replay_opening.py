"""Which recordings a run follows, and the feed that follows one of them."""

from __future__ import annotations

import csv
import gzip
import io
import re
from pathlib import Path

from testnet.exchange import Exchange
from testnet.klines import DAY_MS, MINUTE_MS
from testnet.listing import Listing
from testnet.market.candles import BadCandleFile, CandleFile, find_files, read_candles
from testnet.market.replay import ReplayFeed, load_history
from testnet.values import MalformedDecimal, TooPrecise, parse_signed_units

USDM_FOLDER = "usdm"
_FUNDING_NAME = re.compile(r"([A-Z0-9]{5,20})_fundingRate\.csv(\.gz)?")


def read_folder(folder: Path, symbols: list[str] | None) -> dict[str, CandleFile]:
    """Every recording of a folder, or those of some symbols.

    Raises
    ------
    BadCandleFile, BadTradeFile : none usable, or one of them is damaged.
    """
    return {symbol: read_candles(path) for symbol, path in find_files(folder, symbols).items()}


def read_usdm_folder(folder: Path) -> dict[str, CandleFile]:
    """The recordings of perpetuals in the `usdm` folder of a replay folder; none where there is no folder."""
    own = folder / USDM_FOLDER
    return read_folder(own, None) if own.is_dir() and any(own.iterdir()) else {}


def read_funding(folder: Path) -> dict[str, dict[int, int]]:
    """Recorded funding rates (fractions times 1e8) by symbol and minute, from `SYMBOL_fundingRate.csv[.gz]`.

    Rows are the venue's archive form (time, interval hours, rate) or time and rate; a header is skipped.

    Raises
    ------
    BadCandleFile : a row that is not a rate, with file and line.
    """
    found: dict[str, dict[int, int]] = {}
    for place in (folder, folder / USDM_FOLDER):
        for path in sorted(place.iterdir()) if place.is_dir() else []:
            match = _FUNDING_NAME.fullmatch(path.name)
            if match is not None:
                found[match.group(1)] = _read_rates(path)
    return found


def _read_rates(path: Path) -> dict[int, int]:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    rates: dict[int, int] = {}
    for number, row in enumerate(csv.reader(io.StringIO(text)), start=1):
        if not row or (number == 1 and not row[0].strip().isdigit()):
            continue
        try:
            # The archive's times are some milliseconds after the full hour.
            minute = round(int(row[0]) / MINUTE_MS) * MINUTE_MS
            rates[minute] = parse_signed_units(row[1:][-1].strip())
        except (ValueError, MalformedDecimal, TooPrecise, IndexError) as error:
            raise BadCandleFile(f"{path.name}, line {number}: not a funding rate: {row}") from error
    return rates


def replay_feed(
    exchange: Exchange, listing: Listing, file: CandleFile, *, minute_days: int, seed: int, is_new: bool
) -> ReplayFeed:
    """The feed that follows a recording from market time on; a new listing gets the past as its candles."""
    now = exchange.driver.next_ms
    if is_new:
        before = sum(1 for candle in file.candles if candle.open_ms + file.length_ms <= now)
        load_history(listing.klines, file, before, now - minute_days * DAY_MS, seed)
        last = file.candles[max(0, before - 1)]
        listing.tape.last_price = (last.close if before else last.open) // listing.instrument.tick
        listing.path_price = listing.tape.last_price
    start = now
    for candle in file.candles:
        # Starting inside a candle prints it from its beginning, so that it still comes out whole.
        if candle.open_ms <= now < candle.open_ms + file.length_ms:
            start = candle.open_ms
            break
    return ReplayFeed(listing, file, start, seed, exchange.clock)
