"""Signed order placements a second on the paper exchange, and what it costs when nobody trades.

    python benchmarks/testnet_orders.py [--orders 6000] [--connections 8] [--idle-seconds 8]

Starts the exchange as a process of its own, prints a table, then one JSON line. Three of four placements are
limit orders that expire at once (IOC below the market), one is a market order that trades; every answer is
read before the connection sends its next request.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parents[1]
KEY, SECRET = "A" * 64, "B" * 64
GOAL_RATE, GOAL_P99_MS = 1_000, 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(folder: Path, port: int, speed: float) -> subprocess.Popen[bytes]:
    """Start an exchange with one rich account and wait until it answers."""
    accounts = folder / "accounts.json"
    keys = [{"api_key": KEY, "api_secret": SECRET}]
    accounts.write_text(
        json.dumps([{"name": "bench", "balances": {"USDT": "1000000000", "BTC": "10000"}, "keys": keys}])
    )
    process = subprocess.Popen(  # noqa: S603
        [
            sys.executable,
            "-m",
            "testnet",
            "--port",
            str(port),
            "--speed",
            str(speed),
            "--data-dir",
            str(folder / f"state-{speed:g}"),
            "--accounts",
            str(accounts),
            "--no-rate-limits",
            "--control",
        ],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            get(port, "/api/v3/ping")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
        else:
            return process
    process.kill()
    raise SystemExit("the exchange did not start")


def get(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return json.loads(answer.read())


def request_bytes(params: dict[str, str], port: int) -> bytes:
    """One signed placement as it goes over the wire."""
    body = urlencode({**params, "timestamp": str(int(time.time() * 1000))})
    signature = hmac.new(SECRET.encode(), body.encode(), hashlib.sha256).hexdigest()
    body = f"{body}&signature={signature}"
    head = (
        f"POST /api/v3/order HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-MBX-APIKEY: {KEY}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


async def place_many(port: int, count: int, low: str, latencies: list[float]) -> int:
    """Place orders one after another on one connection; return how many were accepted."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    accepted = 0
    limit = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "IOC",
        "quantity": "0.001",
        "price": low,
    }
    for number in range(count):
        side = "BUY" if number % 8 else "SELL"
        market = {"symbol": "BTCUSDT", "side": side, "type": "MARKET", "quantity": "0.001"}
        writer.write(request_bytes(market if number % 4 == 0 else limit, port))
        began = time.perf_counter()
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        latencies.append(time.perf_counter() - began)
        accepted += head.startswith(b"HTTP/1.1 200")
    writer.close()
    return accepted


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise SystemExit("no VmRSS in /proc")


async def placements(folder: Path, orders: int, connections: int) -> dict[str, float]:
    port = free_port()
    process = start(folder, port, 1.0)
    try:
        bid = float(get(port, "/api/v3/depth?symbol=BTCUSDT&limit=5")["bids"][0][0])
        low = f"{bid * 0.9:.2f}"
        latencies: list[float] = []
        await place_many(port, 300, low, latencies)
        latencies.clear()
        cpu, began = cpu_seconds(process.pid), time.perf_counter()
        share = orders // connections
        runs = (place_many(port, share, low, latencies) for _ in range(connections))
        accepted = sum(await asyncio.gather(*runs))
        elapsed = time.perf_counter() - began
        used = cpu_seconds(process.pid) - cpu
    finally:
        process.terminate()
        process.wait(10)
    latencies.sort()
    return {
        "orders": len(latencies),
        "accepted": accepted,
        "per_s": round(len(latencies) / elapsed, 1),
        "per_cpu_s": round(len(latencies) / used, 1),
        "p50_ms": round(latencies[len(latencies) // 2] * 1000, 3),
        "p99_ms": round(latencies[int(len(latencies) * 0.99)] * 1000, 3),
    }


def idle(folder: Path, speed: float, seconds: float) -> dict[str, float]:
    port = free_port()
    process = start(folder, port, speed)
    try:
        time.sleep(1.0)
        cpu, began = cpu_seconds(process.pid), time.monotonic()
        time.sleep(seconds)
        percent = 100 * (cpu_seconds(process.pid) - cpu) / (time.monotonic() - began)
        return {"cpu_percent": round(percent, 2), "rss_mb": round(rss_mb(process.pid), 1)}
    finally:
        process.terminate()
        process.wait(10)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=6_000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--idle-seconds", type=float, default=8.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result: dict[str, Any] = asyncio.run(placements(folder, options.orders, options.connections))
        for speed in (1.0, 10.0):
            for key, value in idle(folder, speed, options.idle_seconds).items():
                result[f"idle_{key}_speed_{speed:g}"] = value
    print(f"{'figure':32} {'measured':>12}   goal")
    goals = {"per_s": f">= {GOAL_RATE}", "p99_ms": f"<= {GOAL_P99_MS:g}"}
    for key, value in result.items():
        print(f"{key:32} {value:>12}   {goals.get(key, '')}")
    print(json.dumps({"benchmark": "testnet_orders", **result}))


if __name__ == "__main__":
    main()
