"""What the screens are shown of each symbol: its prices, their age, and its forming bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from trading.domain.values import Market
from universe.adapters.binance.events import BookTickerEvent, KlineEvent, MarkPriceEvent


def price_members(
    market: Market,
    quotes: Mapping[str, BookTickerEvent],
    marks: Mapping[str, MarkPriceEvent],
    bars: Mapping[tuple[str, str], KlineEvent],
    market_time: Callable[[str], datetime | None],
) -> dict[str, Any]:
    """Members by symbol; only symbols with both sides of a book."""
    prices: dict[str, Any] = {}
    for symbol, quote in quotes.items():
        if quote.bid is None or quote.ask is None:
            continue
        market_at = market_time(symbol)
        prices[symbol] = {
            **_mark_members(marks.get(symbol)),
            "bid": _plain(quote.bid),
            "ask": _plain(quote.ask),
            "mid": _plain((quote.bid + quote.ask) / 2),
            "market_at": market_at.isoformat() if market_at else None,
            "received_at": wall_time(quote.received_ns).isoformat(),
            "bars": {},
        }
    for (symbol, interval), bar in bars.items():
        if symbol in prices:
            prices[symbol]["bars"][interval] = {
                "time": bar.open_time_ms // 1000,
                "open": _plain(bar.open),
                "high": _plain(bar.high),
                "low": _plain(bar.low),
                "close": _plain(bar.close),
                "volume": _plain(bar.volume),
                "closed": bar.closed,
            }
    # A symbol alone means spot, as everywhere in the API; the perpetual of that name is told apart.
    prefix = "" if market is Market.spot else f"{market.value}:"
    return {prefix + symbol: members for symbol, members in prices.items()}


def wall_time(ns: int) -> datetime:
    """Nanoseconds of our clock as a datetime."""
    return datetime.fromtimestamp(ns / 1e9, UTC)


def _mark_members(mark: MarkPriceEvent | None) -> dict[str, Any]:
    if mark is None:
        return {}
    return {"mark": _plain(mark.mark), "funding_rate": _plain(mark.funding_rate)}


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
