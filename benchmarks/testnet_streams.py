"""Stream events a second the paper exchange delivers, how late they come, and what they cost.

    python benchmarks/testnet_streams.py [--sockets 50] [--seconds 10] [--speed 1]

Starts the exchange as a process of its own with its default symbols on both markets. Half of the sockets follow
the spot streams, half the futures streams, each of them trades, aggregates, best prices and the book of every
symbol. Prints a table, then a JSON line for each figure. Lateness is the reader's clock less the event's own
time, so it contains what the reader needs for itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).resolve().parents[1]
GOAL_EVENTS = 5_000
KINDS = ("trade", "aggTrade", "bookTicker", "depth@100ms")
_SAMPLE = 20  # every so many messages are decoded for their time


@dataclass
class Reader:
    """What one socket received."""

    messages: int = 0
    characters: int = 0
    late_ms: list[float] = field(default_factory=list)

    def take(self, text: str) -> None:
        """Count a message; look into one of twenty."""
        self.messages += 1
        self.characters += len(text)
        if self.messages % _SAMPLE == 0:
            event = json.loads(text)["data"]
            if "E" in event:
                self.late_ms.append(time.time() * 1_000 - event["E"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(port: int, speed: float) -> subprocess.Popen[bytes]:
    """Start an exchange and wait until it answers."""
    command = [
        sys.executable,
        "-m",
        "testnet",
        "--port",
        str(port),
        "--speed",
        str(speed),
        "--history-days",
        "1",
    ]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)  # noqa: S603
    deadline = time.monotonic() + 60
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
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return json.loads(answer.read())


def processor_seconds(pid: int) -> float:
    """Processor time a process has used so far."""
    cells = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(cells[11]) + int(cells[12])) / os.sysconf("SC_CLK_TCK")


async def follow(session: aiohttp.ClientSession, url: str, reader: Reader, until: float) -> None:
    """Read one socket until a moment."""
    async with session.ws_connect(url, max_msg_size=0, compress=0) as stream:
        while (left := until - time.monotonic()) > 0:
            try:
                message = await stream.receive(timeout=left)
            except TimeoutError:
                return
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise SystemExit("the exchange cut a socket off")
            reader.take(message.data)


async def measure(port: int, sockets: int, seconds: float, pid: int) -> dict[str, Any]:
    """Connect everybody, let them read, sum up."""
    symbols = [row["symbol"].lower() for row in get(port, "/fapi/v1/exchangeInfo")["symbols"]]
    names = "/".join(f"{symbol}@{kind}" for symbol in symbols for kind in KINDS)
    readers = {root: [Reader() for _ in range(sockets // 2)] for root in ("", "/fstream")}
    used = processor_seconds(pid)
    began = time.monotonic()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(
            *(
                follow(
                    session, f"ws://127.0.0.1:{port}{root}/stream?streams={names}", reader, began + seconds
                )
                for root, row in readers.items()
                for reader in row
            )
        )
    elapsed = time.monotonic() - began
    everybody = [reader for row in readers.values() for reader in row]
    late = sorted(value for reader in everybody for value in reader.late_ms)
    return {
        "sockets": len(everybody),
        "seconds": round(elapsed, 2),
        "events": sum(reader.messages for reader in everybody),
        "events_per_s": round(sum(reader.messages for reader in everybody) / elapsed),
        "spot_per_socket_s": round(readers[""][0].messages / elapsed, 1),
        "futures_per_socket_s": round(readers["/fstream"][0].messages / elapsed, 1),
        "megabytes_per_s": round(sum(reader.characters for reader in everybody) / elapsed / 1e6, 2),
        "late_p50_ms": round(late[len(late) // 2], 1),
        "late_p99_ms": round(late[len(late) * 99 // 100], 1),
        "exchange_processor_share": round((processor_seconds(pid) - used) / elapsed, 3),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sockets", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--speed", type=float, default=1.0)
    options = parser.parse_args()
    port = free_port()
    process = start(port, options.speed)
    try:
        result = asyncio.run(measure(port, options.sockets, options.seconds, process.pid))
    finally:
        process.terminate()
        process.wait(10)
    result |= {"speed": options.speed, "goal_events_per_s": GOAL_EVENTS}
    width = max(len(name) for name in result)
    for name, value in result.items():
        print(f"{name:<{width}}  {value}")
    settings = {name: result[name] for name in ("sockets", "seconds", "speed")}
    for name, unit in (
        ("events_per_s", "events/s"),
        ("late_p50_ms", "ms"),
        ("late_p99_ms", "ms"),
        ("exchange_processor_share", "cores"),
    ):
        print(
            json.dumps({"name": f"testnet_streams_{name}", "value": result[name], "unit": unit, **settings})
        )
    return 0 if result["events_per_s"] >= GOAL_EVENTS else 1


if __name__ == "__main__":
    raise SystemExit(main())
