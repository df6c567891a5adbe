"""The spot market's public events, member by member."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testnet.listing import Listing
from testnet.spot.api.public import day_json
from testnet.values import units_text

WINDOWS = {"1h": 60, "4h": 240, "1d": 1_440}  # in minutes


def mini_ticker_json(listing: Listing, market_ms: int, server_ms: int) -> dict[str, Any]:
    """The 24-hour mini ticker event."""
    row = day_json(listing, market_ms)
    return {
        "e": "24hrMiniTicker",
        "E": server_ms,
        "s": row["symbol"],
        "c": row["lastPrice"],
        "o": row["openPrice"],
        "h": row["highPrice"],
        "l": row["lowPrice"],
        "v": row["volume"],
        "q": row["quoteVolume"],
    }


def ticker_json(listing: Listing, market_ms: int, server_ms: int) -> dict[str, Any]:
    """The full 24-hour ticker event."""
    row = day_json(listing, market_ms)
    return {
        "e": "24hrTicker",
        "E": server_ms,
        "s": row["symbol"],
        "p": row["priceChange"],
        "P": row["priceChangePercent"],
        "w": row["weightedAvgPrice"],
        "x": row["prevClosePrice"],
        "c": row["lastPrice"],
        "Q": row["lastQty"],
        "b": row["bidPrice"],
        "B": row["bidQty"],
        "a": row["askPrice"],
        "A": row["askQty"],
        "o": row["openPrice"],
        "h": row["highPrice"],
        "l": row["lowPrice"],
        "v": row["volume"],
        "q": row["quoteVolume"],
        "O": row["openTime"],
        "C": row["closeTime"],
        "F": row["firstId"],
        "L": row["lastId"],
        "n": row["count"],
    }


def average_json(listing: Listing, market_ms: int, server_ms: int) -> dict[str, Any]:
    """The average price event; `T` is when the last trade was."""
    instrument, trades = listing.instrument, listing.tape.trades
    return {
        "e": "avgPrice",
        "E": server_ms,
        "s": instrument.symbol,
        "i": f"{instrument.avg_price_mins}m",
        "w": units_text(listing.average_price()),
        "T": trades[-1].time_ms if trades else market_ms,
    }


def window_json(window: str) -> Callable[[Listing, int, int], dict[str, Any]]:
    """The event of a rolling window of 1h, 4h or 1d."""

    def render(listing: Listing, market_ms: int, server_ms: int) -> dict[str, Any]:
        instrument = listing.instrument
        span = listing.window(WINDOWS[window], market_ms)
        percent = round((span.last - span.open) * 100_000 / span.open) if span.open else 0
        average = span.quote * 10**8 // (span.volume * instrument.step) if span.volume else 0
        last_id = listing.tape.trade_id
        return {
            "e": f"{window}Ticker",
            "E": server_ms,
            "s": instrument.symbol,
            "p": instrument.price_text(span.last - span.open),
            "P": f"{percent / 1000:.3f}",
            "o": instrument.price_text(span.open),
            "h": instrument.price_text(span.high),
            "l": instrument.price_text(span.low),
            "c": instrument.price_text(span.last),
            "w": units_text(average),
            "v": instrument.qty_text(span.volume),
            "q": units_text(span.quote),
            "O": span.open_ms,
            "C": span.close_ms,
            "F": max(0, last_id - span.trades + 1),
            "L": last_id,
            "n": span.trades,
        }

    return render
