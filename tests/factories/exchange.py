"""The paper exchange as a process of its own, and a funded account on it reached by the real client."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from trading.adapters.binance.spot import BinanceSpot
from trading.adapters.binance.usdm import BinanceUsdm
from trading.domain.ports import VenueOrder
from trading.domain.values import OrderType, Side, TimeInForce
from universe.adapters.binance import SpotClient, UsdmClient, endpoints_for
from universe.adapters.binance.budget import Window
from universe.adapters.binance.treasury import MemoryBackoffStore, WeightState, WeightTreasury

ROOT = Path(__file__).resolve().parents[2]


def unlimited() -> WeightTreasury:
    """A treasury of a venue that announces more than anybody asks for."""
    store = MemoryBackoffStore()
    store.save("unlimited", WeightState(limit=10**9, windows=(Window("weight", 60, 10**9),)))
    return WeightTreasury("unlimited", store)


class Exchange:
    """The running exchange, its control interface, and one funded spot account on it.

    Its own client is as free as the exchange that was started without limits: tests share one and its minute.
    """

    TICKER = "/api/v3/ticker/bookTicker"
    FUNDS: Any = {"balances": {"USDT": "100000", "BTC": "1"}}
    venue: Any

    def __init__(self, url: str, *, funds: Any = None) -> None:
        self.url = url
        self.account = self.control("POST", "/accounts", funds or self.FUNDS)
        self.key = {"api_key": self.account["api_key"], "api_secret": self.account["api_secret"]}
        self.client = self._client()
        self.venue = self._venue()

    def _client(self) -> SpotClient:
        return SpotClient(endpoints_for("local", local_url=self.url), **self.key, treasury=unlimited())

    def _venue(self) -> Any:
        return BinanceSpot(self.client)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/testnet/v1{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    def fault(self, path: str, method: str, **effect: Any) -> None:
        self.control(
            "POST", "/faults", {"match": {"path": path, "method": method, "count": 1}, "effect": effect}
        )

    def touch(self) -> tuple[Decimal, Decimal]:
        with urllib.request.urlopen(f"{self.url}{self.TICKER}?symbol=BTCUSDT", timeout=5) as answer:
            book = json.load(answer)
        return Decimal(book["bidPrice"]), Decimal(book["askPrice"])

    def order(self, side: str = "BUY", price: Decimal | None = None, quantity: str = "0.01") -> VenueOrder:
        """A limit far from the market unless a price is given."""
        bid, _ = self.touch()
        away = (bid * Decimal("0.9")).quantize(Decimal("1"))
        return VenueOrder(
            "BTCUSDT",
            Side(side),
            OrderType.LIMIT,
            TimeInForce.GTC if price is None else TimeInForce.IOC,
            Decimal(quantity),
            away if price is None else price,
            f"t{uuid.uuid4().hex[:28]}",
        )

    def place(self, order: VenueOrder) -> Any:
        return self.venue.place(order, timestamp_ms=self.venue.server_time_ms(), recv_window_ms=2000)

    def drive(self, *steps: tuple[float, Decimal], market: str = "spot", seconds: int = 10) -> None:
        """Let the price follow (seconds from now, price) and pass that much market time."""
        path = [[after, str(price)] for after, price in steps]
        self.control("POST", "/market", {"symbol": "BTCUSDT", "market": market, "path": path})
        self.advance(seconds)

    def advance(self, seconds: int) -> None:
        for _ in range(seconds):
            self.control("POST", "/clock", {"advance_ms": 1000})


class FuturesExchange(Exchange):
    """The same with a funded USD-M account."""

    TICKER = "/fapi/v1/ticker/bookTicker"
    FUNDS: Any = {"futures_balances": {"USDT": "100000"}}
    venue: BinanceUsdm

    def _client(self) -> SpotClient:
        return UsdmClient(endpoints_for("local", local_url=self.url), **self.key, treasury=unlimited())

    def _venue(self) -> BinanceUsdm:
        return BinanceUsdm(self.client, wallet=super()._client())


@contextmanager
def running_exchange(
    *symbols: str, speed: str = "0", options: Sequence[str] = (), limits: bool = False
) -> Iterator[str]:
    """Start it, without rate limits and with market time standing still unless told; yields its address."""
    command = [
        sys.executable, "-m", "testnet", "--port", "0", "--speed", speed, "--control",
        "--symbols", *symbols, "--history-days", "1", "--hourly-history-days", "2",
        *([] if limits else ["--no-rate-limits"]), *options,
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            found = None
            for line in process.stderr:
                found = re.search(r"listening on (http://\S+?),", line)
                if found:
                    break
            assert found, "the paper exchange did not start"
            yield found.group(1)
        finally:
            process.terminate()
