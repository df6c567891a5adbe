"""Recorded market streams as the replay takes them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from nautilus_site.common.errors import ApplicationError
from trading.domain.backtest.tape import Tape
from trading.domain.values import Instrument, decimal_of


def tape_read(path: Path, instrument: Instrument) -> Tape:
    """Read a recording of a combined stream, one `RECEIVED_NS JSON` a line, gzipped or not.

    Best prices come from `bookTicker`, trades from `trade` or `aggTrade`; other streams and symbols are
    passed over. The clock is that of the recorder: spot's `bookTicker` has no time of its own.

    Raises
    ------
    ApplicationError : code BAD_RECORDING, with the line; code NO_TOPS, without a single best price.
    """
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        return _tape(content.decode().splitlines(), instrument)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ApplicationError("BAD_RECORDING", f"{path.name}: {error}") from None


def _tape(lines: Iterable[str], instrument: Instrument) -> Tape:
    tops: list[tuple[int, int, int, int, int]] = []
    trades: list[tuple[int, int, int, int]] = []
    for number, line in enumerate(lines, start=1):
        try:
            received, _, text = line.partition(" ")
            message = json.loads(text)
            stream, data = str(message.get("stream", "")), message.get("data", message)
            if data.get("s") != instrument.symbol:
                continue
            if stream.endswith("@bookTicker"):
                tops.append((int(received), *_top(data, instrument)))
            elif stream.endswith(("@trade", "@aggTrade")):
                trades.append((int(received), *_trade(data, instrument)))
        except (ValueError, KeyError, AttributeError) as error:
            raise ApplicationError("BAD_RECORDING", f"line {number}: {error}") from None
    tops = [top for top in tops if 0 < top[1] < top[3]]
    if not tops:
        raise ApplicationError("NO_TOPS", f"the recording has no best prices of {instrument.symbol}")
    # USD-M sends RPI and insurance-fund trades with quantity or price zero; they meet no book.
    trades = [trade for trade in trades if trade[1] > 0 and trade[2] > 0]
    columns = [np.array(column, dtype=np.int64) for column in zip(*tops, strict=True)]
    columns += [np.array([row[at] for row in trades], dtype=np.int64) for at in range(4)]
    return Tape(instrument, *columns)


def _top(data: dict[str, Any], instrument: Instrument) -> tuple[int, int, int, int]:
    return (
        instrument.ticks(decimal_of(data["b"])),
        instrument.floor_steps(decimal_of(data["B"])),
        instrument.ticks(decimal_of(data["a"])),
        instrument.floor_steps(decimal_of(data["A"])),
    )


def _trade(data: dict[str, Any], instrument: Instrument) -> tuple[int, int, int]:
    return (
        instrument.ticks(decimal_of(data["p"])),
        instrument.floor_steps(decimal_of(data["q"])),
        int(data["m"]),
    )
