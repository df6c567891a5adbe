"""The exchange as a program of its own, as a user starts it."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEY, SECRET = "A" * 64, "B" * 64


class Process:
    """The exchange as a program of its own."""

    def __init__(self, data_dir: Path, *more: str, port: int | None = None) -> None:
        self.port = port or free_port()
        accounts = data_dir.parent / "accounts.json"
        keys = [{"api_key": KEY, "api_secret": SECRET}]
        accounts.write_text(
            json.dumps([{"name": "demo", "balances": {"USDT": "100000", "BTC": "5"}, "keys": keys}])
        )
        command = [
            sys.executable,
            "-m",
            "testnet",
            "--port",
            str(self.port),
            "--data-dir",
            str(data_dir),
            "--accounts",
            str(accounts),
            "--control",
            "--symbols",
            "BTCUSDT",
            "--history-days",
            "1",
            "--hourly-history-days",
            "2",
            "--process-name",
            "nautilus-testnet",
            *more,
        ]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)

    def wait_ready(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.process.stderr.read() if self.process.stderr else ""
            try:
                self.get("/api/v3/ping")
            except urllib.error.URLError:
                time.sleep(0.05)
            else:
                return
        pytest.fail("the exchange did not start")

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return json.loads(answer.read())

    def signed(self, method: str, path: str, **params: Any) -> Any:
        query = urlencode({**params, "timestamp": int(time.time() * 1000)})
        signature = hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}?{query}&signature={signature}",
            method=method,
            headers={"X-MBX-APIKEY": KEY},
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.loads(answer.read())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
