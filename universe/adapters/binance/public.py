"""Public market data over REST, of spot and of USD-M: reads only, so a failure may be retried."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, ClassVar, Final

from trading.domain.clock import interval_ns, ns_to_ms
from trading.domain.errors import VenueUnavailable
from trading.domain.ports import BookTicker, FundingRecord, KlineRecord
from trading.domain.values import decimal_of
from universe.adapters.binance.clients import SpotClient
from universe.adapters.binance.lanes import Priority

KLINES_PER_CALL: Final = 1000
FUNDING_PER_CALL: Final = 1000
_RETRIES: Final = 2
_BASE_DELAY_S: Final = 0.2
_LONGEST_WAIT_S: Final = 3.0


def parse_kline(row: list[Any]) -> KlineRecord:
    """Read one row of 12 members of `GET klines`.

    Raises
    ------
    ValueError : the row is short, or a number is not finite.
    """
    if len(row) < 11:
        raise ValueError(f"expected a kline of 12 members, had {len(row)}")
    return KlineRecord(
        open_time_ms=int(row[0]),
        open=decimal_of(str(row[1])),
        high=decimal_of(str(row[2])),
        low=decimal_of(str(row[3])),
        close=decimal_of(str(row[4])),
        volume=decimal_of(str(row[5])),
        close_time_ms=int(row[6]),
        quote_volume=decimal_of(str(row[7])),
        trades=int(row[8]),
        taker_base=decimal_of(str(row[9])),
        taker_quote=decimal_of(str(row[10])),
    )


def parse_book_ticker(entry: Mapping[str, Any]) -> BookTicker:
    """Read one entry of `GET ticker/bookTicker`; the venue writes an empty side as price zero."""
    bid, ask = decimal_of(str(entry["bidPrice"])), decimal_of(str(entry["askPrice"]))
    return BookTicker(
        symbol=str(entry["symbol"]),
        bid=bid if bid > 0 else None,
        bid_size=decimal_of(str(entry["bidQty"])),
        ask=ask if ask > 0 else None,
        ask_size=decimal_of(str(entry["askQty"])),
    )


def parse_funding(entry: Mapping[str, Any]) -> FundingRecord:
    """Read one entry of `GET fundingRate`; old ones have an empty mark price."""
    mark = str(entry.get("markPrice") or "")
    return FundingRecord(
        time_ms=int(entry["fundingTime"]),
        rate=decimal_of(str(entry["fundingRate"])),
        mark_price=decimal_of(mark) if mark else None,
    )


class BinanceSpotMarketData:
    """The MarketData port over `SpotClient`; one instance per thread."""

    ROOT: ClassVar[str] = "/api/v3"

    def __init__(
        self,
        client: SpotClient,
        *,
        priority: Priority = Priority.READ,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self._client = client
        self._priority = priority
        self._sleep = sleep
        self._rng = rng or random.Random()

    def server_time_ms(self) -> int:
        """The venue's wall clock."""
        return int(self._get(f"{self.ROOT}/time", {})["serverTime"])

    def exchange_info(self) -> Mapping[str, Any]:
        """The answer of `exchangeInfo` as sent.

        Raises
        ------
        VenueUnavailable : no usable answer.
        """
        info = self._get(f"{self.ROOT}/exchangeInfo", {})
        if not isinstance(info, dict) or not isinstance(info.get("symbols"), list):
            raise VenueUnavailable(None, "exchangeInfo without a list of symbols")
        return info

    def klines(
        self,
        symbol: str,
        interval: str,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int | None = None,
    ) -> list[KlineRecord]:
        """List bars in ascending time, paging as needed; the newest may still be forming.

        Parameters
        ----------
        start_ms, end_ms : open times, inclusive, in market time. Without a start the newest `limit`
            (at most 1000, by default 500) up to the end; with one, everything from it, at most `limit`.

        Raises
        ------
        VenueUnavailable, VenueRejected : as the client; also when the answer is not ascending.
        """
        step_ms = ns_to_ms(interval_ns(interval))
        if limit is not None and limit < 1:
            raise ValueError(f"expected a positive limit, was {limit}")
        if start_ms is None:
            count = min(limit or 500, KLINES_PER_CALL)
            return self._klines_page(symbol, interval, None, end_ms, count)
        bars: list[KlineRecord] = []
        position = start_ms
        while limit is None or len(bars) < limit:
            want = KLINES_PER_CALL if limit is None else min(KLINES_PER_CALL, limit - len(bars))
            page = self._klines_page(symbol, interval, position, end_ms, want)
            bars.extend(page)
            if len(page) < want:
                break
            position = page[-1].open_time_ms + step_ms
            if end_ms is not None and position > end_ms:
                break
        return bars

    def book_ticker(self, symbol: str) -> BookTicker:
        """The top of one book."""
        return parse_book_ticker(self._get(f"{self.ROOT}/ticker/bookTicker", {"symbol": symbol}))

    def book_tickers(self) -> list[BookTicker]:
        """The top of every book."""
        return [parse_book_ticker(entry) for entry in self._get(f"{self.ROOT}/ticker/bookTicker", {})]

    def _klines_page(
        self, symbol: str, interval: str, start_ms: int | None, end_ms: int | None, limit: int
    ) -> list[KlineRecord]:
        params = {
            "symbol": symbol, "interval": interval, "startTime": start_ms, "endTime": end_ms, "limit": limit,
        }  # fmt: skip
        rows = self._get(f"{self.ROOT}/klines", params)
        try:
            bars = [parse_kline(row) for row in rows]
        except (ValueError, TypeError) as error:
            raise VenueUnavailable(None, f"klines of {symbol}: {error}") from error
        if any(later.open_time_ms <= earlier.open_time_ms for earlier, later in pairwise(bars)):
            raise VenueUnavailable(None, f"klines of {symbol} are not in ascending time")
        return bars

    def _get(self, path: str, params: Mapping[str, Any]) -> Any:
        for attempt in range(_RETRIES + 1):
            try:
                return self._client.public_request(path, params, priority=self._priority)
            except VenueUnavailable as error:
                wait = error.retry_after_s
                # A long wait belongs to the caller, who may have something better to do.
                if attempt == _RETRIES or (wait is not None and wait > _LONGEST_WAIT_S):
                    raise
                backoff = _BASE_DELAY_S * 2**attempt * (0.5 + self._rng.random())
                self._sleep(max(backoff, wait or 0.0))
        raise AssertionError("the loop returns or raises")


class BinanceUsdmMarketData(BinanceSpotMarketData):
    """The same over `UsdmClient`: both markets answer alike, on paths and with weights of their own."""

    ROOT: ClassVar[str] = "/fapi/v1"

    def funding_rates(self, symbol: str, *, start_ms: int | None = None) -> list[FundingRecord]:
        """List settlements in ascending time: the newest 1000, or everything from `start_ms` on, paging as needed.

        Raises
        ------
        VenueUnavailable, VenueRejected : as the client; also when the answer is not ascending.
        """
        records: list[FundingRecord] = []
        position = start_ms
        while True:
            params = {"symbol": symbol, "startTime": position, "limit": FUNDING_PER_CALL}
            try:
                page = [parse_funding(row) for row in self._get(f"{self.ROOT}/fundingRate", params)]
            except (KeyError, ValueError, TypeError) as error:
                raise VenueUnavailable(None, f"funding of {symbol}: {error!r}") from error
            if any(later.time_ms <= earlier.time_ms for earlier, later in pairwise([*records[-1:], *page])):
                raise VenueUnavailable(None, f"funding of {symbol} is not in ascending time")
            records += page
            if start_ms is None or len(page) < FUNDING_PER_CALL:
                return records
            position = page[-1].time_ms + 1
