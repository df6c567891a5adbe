"""The public side of the exchange in memory: a fake of the port MarketData."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from trading.domain.ports import BookTicker, KlineRecord
from trading.domain.values import Instrument


@dataclass(slots=True, kw_only=True)
class FakeMarket:
    """Instruments, the touch of each, and the bars a test puts in."""

    instruments: Mapping[str, Instrument]
    book: dict[str, tuple[Decimal, Decimal]]
    klines_by_symbol: dict[str, list[KlineRecord]] = field(default_factory=dict)

    def exchange_info(self) -> Mapping[str, Any]:
        """Return only the names and states; tests that need filters build instruments themselves."""
        return {"symbols": [{"symbol": i.symbol, "status": i.status} for i in self.instruments.values()]}

    def klines(
        self,
        symbol: str,
        interval: str,
        *,
        start_ms: int | None,
        end_ms: int | None,
        limit: int | None,
    ) -> list[KlineRecord]:
        """List the bars the test put in."""
        bars = [
            k
            for k in self.klines_by_symbol.get(symbol, [])
            if k.open_time_ms >= (start_ms or 0) and (end_ms is None or k.open_time_ms <= end_ms)
        ]
        return bars if limit is None else bars[:limit]

    def book_ticker(self, symbol: str) -> BookTicker:
        """Return the top of the fake book."""
        bid, ask = self.book[symbol]
        return BookTicker(symbol, bid, Decimal(1), ask, Decimal(1))
