"""A stream of orders of people and scripts: placed, repeated, canceled, through whatever the platform is going through.

Every request carries an idempotency key and is repeated until it has an answer, as a careful client does. What was
answered with 201 must exist afterwards, once.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Any

from tests.e2e.platform import Platform

REPEAT_FOR_S = 90.0


@dataclass(frozen=True)
class Market:
    """One symbol on one account, and how its orders are cut."""

    account: str
    market: str
    symbol: str
    tick: Decimal
    step: Decimal


@dataclass
class Told:
    """What the platform answered, for the oracle."""

    accepted: dict[str, str] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    canceled: int = 0


class Client:
    """One connection to the API; made anew whenever it breaks."""

    def __init__(self, platform: Platform, token: str) -> None:
        self._address = ("127.0.0.1", platform.port)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._connection: http.client.HTTPConnection | None = None

    def call(self, method: str, path: str, body: Any = None, key: str = "") -> tuple[int, Any]:
        """One call. OSError or HTTPException when there was no answer."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(*self._address, timeout=20)
        headers = {**self._headers, **({"Idempotency-Key": key} if key else {})}
        try:
            data = None if body is None else json.dumps(body)
            self._connection.request(method, path, data, headers)
            answer = self._connection.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = None
            raise
        try:
            return answer.status, json.loads(raw) if raw else None
        except ValueError:
            return answer.status, None


class OrderStream:
    """`threads` clients that together ask for `rate` orders a second, until stopped."""

    def __init__(
        self, platform: Platform, markets: Sequence[Market], *, rate: float, seed: int, threads: int = 6
    ) -> None:
        self._platform = platform
        self._markets = tuple(markets)
        self._pause_s = threads / rate
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._token = platform.credentials("trader")["token"]
        self.told = Told()
        self.prices: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(f"{seed}/{n}"), n), daemon=True)
            for n in range(threads)
        ]

    def start(self) -> None:
        """Begin."""
        self._quotes = threading.Thread(target=self._follow_prices, daemon=True)
        self._quotes.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; what is asked for already is asked until it is answered."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=REPEAT_FOR_S + 30)

    def _follow_prices(self) -> None:
        """The book as everybody sees it, from the exchange itself."""
        connections: dict[str, http.client.HTTPConnection] = {}
        paths = {"spot": "/api/v3/ticker/bookTicker", "usdm": "/fapi/v1/ticker/bookTicker"}
        while not self._stopping.is_set():
            for market in {m.market for m in self._markets}:
                try:
                    connection = connections.setdefault(
                        market,
                        http.client.HTTPConnection("127.0.0.1", self._platform.testnet_port, timeout=5),
                    )
                    connection.request("GET", paths[market])
                    rows = json.loads(connection.getresponse().read())
                    for row in rows:
                        self.prices[market, row["symbol"]] = (
                            Decimal(row["bidPrice"]),
                            Decimal(row["askPrice"]),
                        )
                except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
                    connections.pop(market, None)
            self._stopping.wait(0.5)

    def _run(self, rng: random.Random, number: int) -> None:
        client = Client(self._platform, self._token)
        working: list[str] = []
        asked = 0
        due = time.monotonic() + rng.random() * self._pause_s
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._pause_s, time.monotonic() - 5 * self._pause_s)
            if working and rng.random() < 0.25:
                self._cancel(client, working.pop(rng.randrange(len(working))))
                continue
            body = self._order(rng)
            if body is None:
                continue
            asked += 1
            uid = self._place(client, body, key=f"chaos-{number}-{asked}")
            if uid is not None and body.get("time_in_force") == "GTC":
                working.append(uid)
        for uid in working:
            self._cancel(client, uid)

    def _order(self, rng: random.Random) -> dict[str, str] | None:
        market = rng.choice(self._markets)
        price = self.prices.get((market.market, market.symbol))
        if price is None or not price[0] or not price[1]:
            return None
        side = rng.choice(("BUY", "BUY", "SELL") if market.market == "spot" else ("BUY", "SELL"))
        touch = price[1] if side == "BUY" else price[0]
        value = Decimal(rng.randint(15, 120) if market.market == "spot" else rng.randint(110, 300))
        quantity = (value / touch).quantize(market.step, rounding=ROUND_DOWN)
        body = {
            "account": market.account,
            "symbol": market.symbol,
            "side": side,
            "quantity": f"{quantity:f}",
        }
        kind = rng.random()
        if kind < 0.55:
            return {**body, "type": "MARKET"}
        # Away from the touch it rests; beyond it, it takes.
        away = Decimal(rng.choice((-20, -10, 5, 10, 30))) / 10_000
        limit = touch * (1 - away if side == "BUY" else 1 + away)
        limit = (limit / market.tick).quantize(Decimal(1), rounding=ROUND_DOWN) * market.tick
        return {
            **body,
            "type": "LIMIT",
            "price": f"{limit:f}",
            "time_in_force": rng.choice(("GTC", "GTC", "IOC")),
        }

    def _place(self, client: Client, body: dict[str, str], *, key: str) -> str | None:
        answer = self._insist(client, "POST", "/api/v1/orders", body, key)
        if answer is None:
            self._count("no answer")
            return None
        status, told = answer
        if status in (200, 201):
            with self._lock:
                self.told.accepted[key] = told["client_order_id"]
            self._count("accepted")
            return str(told["id"])
        self._count(str(told.get("code", status)) if isinstance(told, dict) else str(status))
        return None

    def _cancel(self, client: Client, uid: str) -> None:
        answer = self._insist(client, "DELETE", f"/api/v1/orders/{uid}", None, "")
        if answer is not None and answer[0] in (200, 202):
            with self._lock:
                self.told.canceled += 1

    def _insist(self, client: Client, method: str, path: str, body: Any, key: str) -> tuple[int, Any] | None:
        """Ask until there is an answer that says something of the order; None when there is none for long."""
        deadline = time.monotonic() + REPEAT_FOR_S
        while time.monotonic() < deadline:
            try:
                status, told = client.call(method, path, body, key)
            except (OSError, http.client.HTTPException):
                pass
            else:
                # In flight: the process that had it may have died; the key is free again after a minute.
                waits = isinstance(told, dict) and told.get("code") == "IDEMPOTENCY_IN_FLIGHT"
                if status < 500 and status != 429 and not waits:
                    return status, told
            with self._lock:
                self.told.retries += 1
            time.sleep(0.5)
        return None

    def _count(self, answer: str) -> None:
        with self._lock:
            self.told.answers[answer] += 1
