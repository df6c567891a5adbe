"""Candles as both markets write them: a list over REST, an object on the streams."""

from __future__ import annotations

from typing import Any

from testnet.instruments import Instrument
from testnet.klines import Bar, end_of
from testnet.values import units_text


def kline_row(instrument: Instrument, interval: str, bar: Bar) -> list[Any]:
    """A candle as the 12-element list."""
    return [
        bar.open_ms,
        instrument.price_text(bar.open),
        instrument.price_text(bar.high),
        instrument.price_text(bar.low),
        instrument.price_text(bar.close),
        instrument.qty_text(bar.volume),
        end_of(interval, bar.open_ms) - 1,
        units_text(bar.quote),
        bar.trades,
        instrument.qty_text(bar.taker_volume),
        units_text(bar.taker_quote),
        "0",
    ]


def candle_json(
    instrument: Instrument, interval: str, bar: Bar, last_trade_id: int, *, is_closed: bool
) -> dict[str, Any]:
    """The `k` object of a candle event, without the symbol; -1 for the trade ids of a bar without trades."""
    return {
        "t": bar.open_ms,
        "T": end_of(interval, bar.open_ms) - 1,
        "i": interval,
        "f": last_trade_id - bar.trades + 1 if bar.trades else -1,
        "L": last_trade_id if bar.trades else -1,
        "o": instrument.price_text(bar.open),
        "c": instrument.price_text(bar.close),
        "h": instrument.price_text(bar.high),
        "l": instrument.price_text(bar.low),
        "v": instrument.qty_text(bar.volume),
        "n": bar.trades,
        "x": is_closed,
        "q": units_text(bar.quote),
        "V": instrument.qty_text(bar.taker_volume),
        "Q": units_text(bar.taker_quote),
        "B": "0",
    }
