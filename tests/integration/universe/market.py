"""A hand-written MarketData: bars on a clock the test moves, some of them missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from trading.domain.ports import BookTicker, KlineRecord

MINUTE_MS = 60_000
START_MS = 1_700_000_040_000  # 2023-11-14 22:14:00 UTC


def bar(number: int, *, close: str | None = None) -> KlineRecord:
    """Minute `number` of the market: open 100 + number, one higher at the close."""
    opened = Decimal(100 + number)
    closed = opened + 1 if close is None else Decimal(close)
    return KlineRecord(
        open_time_ms=START_MS + number * MINUTE_MS,
        open=opened,
        high=max(opened, closed) + 1,
        low=min(opened, closed) - 1,
        close=closed,
        volume=Decimal("2.5"),
        close_time_ms=START_MS + (number + 1) * MINUTE_MS - 1,
        quote_volume=Decimal("250"),
        trades=7,
        taker_base=Decimal("1.25"),
        taker_quote=Decimal("125"),
    )


@dataclass
class Market:
    """Bars 0 to `newest`, of which `newest` is still forming; `missing` never existed."""

    newest: int
    missing: set[int] = field(default_factory=set)
    calls: list[tuple[int | None, int | None]] = field(default_factory=list)

    def exchange_info(self) -> Mapping[str, Any]:
        return {"symbols": []}

    def book_ticker(self, symbol: str) -> BookTicker:
        return BookTicker(symbol, Decimal(1), Decimal(1), Decimal(2), Decimal(1))

    def klines(
        self, symbol: str, interval: str, *, start_ms: int | None, end_ms: int | None, limit: int | None
    ) -> list[KlineRecord]:
        self.calls.append((start_ms, end_ms))
        bars = [bar(n) for n in range(self.newest + 1) if n not in self.missing]
        if end_ms is not None:
            bars = [b for b in bars if b.open_time_ms <= end_ms]
        if start_ms is not None:
            return [b for b in bars if b.open_time_ms >= start_ms][:limit]
        return bars[-(limit or 500) :]


def spot_entry(symbol: str = "BTCUSDT", *, status: str = "TRADING", tick: str = "0.01") -> dict[str, Any]:
    """One entry of a spot exchangeInfo with today's filter set."""
    return {
        "symbol": symbol,
        "status": status,
        "baseAsset": symbol.removesuffix("USDT"),
        "quoteAsset": "USDT",
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.00", "stepSize": "0.00001"},
            {
                "filterType": "NOTIONAL",
                "minNotional": "5.00",
                "applyMinToMarket": True,
                "maxNotional": "9000000",
            },
        ],
    }


class Listing:
    """An exchangeInfo the test edits."""

    def __init__(self, *entries: dict[str, Any]) -> None:
        self.entries = list(entries)
        self.traded: dict[str, KlineRecord] = {}
        """The first bar of symbols that have traded."""

    def klines(
        self, symbol: str, interval: str, *, start_ms: int | None, end_ms: int | None, limit: int | None
    ) -> list[KlineRecord]:
        first = self.traded.get(symbol)
        return [first] if first else []

    def exchange_info(self) -> Mapping[str, Any]:
        limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 1200}
        return {"rateLimits": [limit], "symbols": self.entries}
