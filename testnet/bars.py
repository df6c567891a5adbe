"""One candle, and how trades and other candles are added to it."""

from __future__ import annotations

from typing import NamedTuple


class Bar(NamedTuple):
    """One candle: prices in ticks, volumes in steps, quote amounts in 1e-8 units."""

    open_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    quote: int = 0
    trades: int = 0
    taker_volume: int = 0
    taker_quote: int = 0


def traded(bar: Bar, price: int, steps: int, quote: int, *, taker_buys: bool) -> Bar:
    """The candle after one more trade; its first trade sets the open."""
    buys = (steps, quote) if taker_buys else (0, 0)
    if bar.trades == 0:
        return Bar(bar.open_ms, price, price, price, price, steps, quote, 1, *buys)
    return Bar(
        bar.open_ms,
        bar.open,
        max(bar.high, price),
        min(bar.low, price),
        price,
        bar.volume + steps,
        bar.quote + quote,
        bar.trades + 1,
        bar.taker_volume + buys[0],
        bar.taker_quote + buys[1],
    )


def merged(first: Bar | None, second: Bar) -> Bar:
    """`first` followed by `second`; a bar without trades adds only its close."""
    if first is None:
        return second
    return Bar(
        first.open_ms,
        first.open,
        max(first.high, second.high),
        min(first.low, second.low),
        second.close,
        first.volume + second.volume,
        first.quote + second.quote,
        first.trades + second.trades,
        first.taker_volume + second.taker_volume,
        first.taker_quote + second.taker_quote,
    )
