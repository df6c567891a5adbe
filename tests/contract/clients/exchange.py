"""The paper exchange as a process of its own, reached only as a client reaches it."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from .environments import ROOT

SPOT_MONEY = {"USDT": "1000000", "BTC": "10", "ETH": "100"}
FUTURES_MONEY = {"USDT": "1000000"}


@dataclass(frozen=True, slots=True)
class Account:
    """A funded account and one key to it."""

    account_id: str
    api_key: str
    api_secret: str


@dataclass(frozen=True, slots=True)
class PaperExchange:
    """A running exchange; everything is asked over HTTP."""

    url: str

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """One call of the control API `/testnet/v1`."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/testnet/v1{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def get(self, path: str, **params: str) -> Any:
        """One public endpoint."""
        with urllib.request.urlopen(f"{self.url}{path}?{urlencode(params)}", timeout=10) as answer:
            return json.load(answer)

    def open_account(self, **extra: Any) -> Account:
        """A new account with money on the spot market; `extra` are further members of the request."""
        made = self.control("POST", "/accounts", {"balances": SPOT_MONEY, **extra})
        return Account(made["account_id"], made["api_key"], made["api_secret"] or "")

    def open_futures_account(self) -> Account:
        """A new account with money on both markets."""
        return self.open_account(futures_balances=FUTURES_MONEY)

    def rest_order(self, account: Account, path: str) -> int:
        """Rest a small limit order far below the market, signed by hand; returns its order id."""
        price = (self.touch()[0] * Decimal("0.91")).quantize(Decimal(1))
        params = {
            "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010",
            "price": str(price), "timestamp": str(int(time.time() * 1000)),
        }  # fmt: skip
        query = urlencode(params)
        signature = hmac.new(account.api_secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        request = urllib.request.Request(
            f"{self.url}{path}?{query}&signature={signature}",
            method="POST",
            headers={"X-MBX-APIKEY": account.api_key},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(json.load(answer)["orderId"])

    def ledger(self, account: Account) -> dict[str, Any]:
        """What the exchange itself holds to have happened on an account."""
        found: dict[str, Any] = self.control("GET", f"/ledger?account_id={account.account_id}")
        return found

    def touch(self, symbol: str = "BTCUSDT") -> tuple[Decimal, Decimal]:
        """Best bid and ask of the spot market."""
        book = self.get("/api/v3/ticker/bookTicker", symbol=symbol)
        return Decimal(book["bidPrice"]), Decimal(book["askPrice"])


@contextmanager
def running_exchange(*options: str) -> Iterator[PaperExchange]:
    """Start it on a free port with the control API open; `options` are further arguments."""
    command = [
        sys.executable, "-m", "testnet", "--port", "0", "--control", "--symbols", "BTCUSDT", "ETHUSDT", "BNBUSDT",
        "--history-days", "1", "--hourly-history-days", "3", *options,
    ]  # fmt: skip
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        log: list[str] = []
        try:
            assert process.stderr is not None
            for line in process.stderr:
                log.append(line)
                if found := re.search(r"listening on (http://\S+?),", line):
                    yield PaperExchange(found.group(1))
                    break
            else:
                raise AssertionError("the paper exchange did not start:\n" + "".join(log))
        finally:
            process.terminate()
