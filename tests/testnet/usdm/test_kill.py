"""kill -9 in the middle of USD-M trading: everything acknowledged is there, and the books still balance."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

ROOT = Path(__file__).resolve().parents[3]
KEYS = {"one": ("A" * 64, "B" * 64), "two": ("C" * 64, "D" * 64)}


class Process:
    """The exchange as a program of its own, with two funded USD-M accounts."""

    def __init__(self, data_dir: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        accounts = data_dir.parent / "accounts.json"
        rows = [
            {
                "name": name,
                "futures_balances": {"USDT": "20000"},
                "keys": [{"api_key": key, "api_secret": secret}],
            }
            for name, (key, secret) in KEYS.items()
        ]
        accounts.write_text(json.dumps(rows))
        command = [sys.executable, "-m", "testnet", "--port", str(self.port), "--data-dir", str(data_dir)]
        command += ["--accounts", str(accounts), "--control", "--symbols", "BTCUSDT", "--speed", "20"]
        command += ["--history-days", "1", "--hourly-history-days", "2", "--no-rate-limits"]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, text=True)

    def wait_ready(self) -> None:
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            assert self.process.poll() is None
            try:
                self.get("/fapi/v1/ping")
            except urllib.error.URLError:
                time.sleep(0.05)
            else:
                return
        pytest.fail("the exchange did not start")

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return json.loads(answer.read())

    def signed(self, who: str, method: str, path: str, **params: Any) -> Any:
        key, secret = KEYS[who]
        query = urlencode({**params, "timestamp": int(time.time() * 1000)})
        signature = hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}?{query}&signature={signature}",
            method=method,
            headers={"X-MBX-APIKEY": key},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as refused:
            return json.loads(refused.read())

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(5)


def whole(text: str) -> int:
    units, _, fraction = text.lstrip("-").partition(".")
    value = int(units) * 10**8 + int(fraction)
    return -value if text.startswith("-") else value


def check_ledger(ledger: dict[str, Any]) -> None:
    """Wallets minus position costs are what was transferred; positions mirror each other."""
    wallets = sum(
        whole(row["usdm"].get("USDT", {"wallet": "0.0"})["wallet"]) for row in ledger["balances"].values()
    )
    costs = sum(whole(row["cost"]) for row in ledger["positions"])
    transfers = sum(whole(row["amount"]) for row in ledger["transfers"] if row["market"] == "usdm")
    assert wallets - costs == transfers
    assert sum(whole(row["quantity"]) for row in ledger["positions"]) == 0
    for name in KEYS:
        earned = sum(whole(row["amount"]) for row in ledger["income"] if row["account_id"] == name)
        assert earned == whole(ledger["balances"][name]["usdm"]["USDT"]["wallet"])


def trade(process: Process, who: str, acknowledged: dict[int, dict[str, Any]], stop: threading.Event) -> None:
    """Send orders one after another until the exchange is gone."""
    number = 0
    while not stop.is_set():
        number += 1
        side = "BUY" if number % 2 else "SELL"
        params: dict[str, Any] = {"symbol": "BTCUSDT", "side": side, "quantity": "0.005"}
        if number % 3:
            params |= {"type": "MARKET"}
        else:
            params |= {"type": "LIMIT", "timeInForce": "GTC", "priceMatch": "QUEUE_5"}
        try:
            answer = process.signed(who, "POST", "/fapi/v1/order", newOrderRespType="RESULT", **params)
        except (OSError, ValueError):
            return
        if "orderId" in answer:
            acknowledged[answer["orderId"]] = answer


def test_acknowledged_futures_orders_survive_kill_9_under_load(tmp_path: Path) -> None:
    data_dir = tmp_path / "state"
    process = Process(data_dir)
    acknowledged: dict[int, dict[str, Any]] = {}
    try:
        process.wait_ready()
        process.signed("one", "POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=7)
        last = process.get("/fapi/v1/premiumIndex?symbol=BTCUSDT")["markPrice"]
        far = process.signed(
            "two",
            "POST",
            "/fapi/v1/algoOrder",
            algoType="CONDITIONAL",
            symbol="BTCUSDT",
            side="SELL",
            type="STOP_MARKET",
            quantity="0.010",
            triggerPrice=str(int(float(last) * 0.6)),
        )
        stop = threading.Event()
        workers = [threading.Thread(target=trade, args=(process, who, acknowledged, stop)) for who in KEYS]
        for worker in workers:
            worker.start()
        time.sleep(3)
        process.kill()
        stop.set()
        for worker in workers:
            worker.join(15)
        assert len(acknowledged) > 50
        second = Process(data_dir)
        try:
            second.wait_ready()
            ledger = second.get("/testnet/v1/ledger")
            check_ledger(ledger)
            rows = {row["order_id"]: row for row in ledger["orders"] if row["market"] == "usdm"}
            for order_id, answer in acknowledged.items():
                row = rows[order_id]
                assert float(row["orig_qty"]) == float(answer["origQty"])
                # It may have traded on since it was acknowledged, but never less.
                assert float(row["executed_qty"]) >= float(answer["executedQty"])
            config = second.signed("one", "GET", "/fapi/v1/symbolConfig", symbol="BTCUSDT")
            assert config[0]["leverage"] == 7
            algos = second.signed("two", "GET", "/fapi/v1/openAlgoOrders")
            assert [row["algoId"] for row in algos] == [far["algoId"]]
        finally:
            second.process.kill()
    finally:
        process.process.kill()
