"""From a committed fill to the browser: 500 sockets on the whole platform, and a real Chromium beside them.

    python benchmarks/browsers.py [--sockets 500] [--rate 50] [--seconds 30]

The platform runs as `make run` starts it. Events of real shape are written to the outbox as the settlement of a fill
writes them, one transaction each, at a steady rate; the relay numbers them and the web process serves every socket.
A socket's delay is from the row's own time, taken just before its commit, to the message in the client. Halfway
through, a tenth of the sockets is cut and opens again with the last number it saw: at the end every socket must have
seen every event exactly once, or the script fails. The delays are those of the sockets that were not cut.

`pixel` is Chromium on the Command Center: from the same time to the frame drawn after the message was handled.
It is left out, with a line that says so, where Chromium is not installed. All of it shares this machine's cores, the
500 clients included.

Prints a table and one JSON line per figure.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import aiohttp
import psycopg
from _live_stack import Figure, percentile, report
from playwright.async_api import Page, async_playwright

from tests.browser.chromium import ARGUMENTS
from tests.chaos.witness import Database
from tests.e2e.platform import Platform, eventually

GOALS = {"pixel_p50": "<= 50", "pixel_p95": "<= 250", "lost_or_doubled": "0"}
MARK = "benchmark"
SOCKETS_PER_PERSON = 25
CUT = 10  # every tenth socket
PEOPLE = """
from nautilus_site.common.models import User
from nautilus_site.common.services.tokens import token_create
for n in range({people}):
    person = User.objects.create_user(username=f"watcher-{{n}}", role="viewer")
    print("token", token_create(user=person, name="benchmark", actor=person))
"""
# Every event's time when it arrived, and when the next frame was drawn.
WATCH = """
(() => {
  window.seen = [];
  const Native = window.WebSocket;
  window.WebSocket = class extends Native {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", (message) => {
        for (const event of JSON.parse(message.data).events ?? []) {
          if (event.data.client_order_id === "MARK") {
            requestAnimationFrame(() => setTimeout(() => window.seen.push(Date.now() - event.data.sent_ms)));
          }
        }
      });
    }
  };
})()
""".replace("MARK", MARK)


@dataclass
class Watcher:
    """One socket: what it saw and how late."""

    url: str
    token: str
    delays_ms: list[float] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    last: int | None = None
    connection: aiohttp.ClientWebSocketResponse | None = None

    async def run(self, session: aiohttp.ClientSession, ready: asyncio.Semaphore) -> None:
        """Watch until cancelled; a connection that was cut is opened again and goes on after the last event."""
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.ws_connect(
                    self.url, headers={"Authorization": f"Bearer {self.token}"}
                ) as self.connection:
                    await self.connection.send_json(
                        {"subscribe": ["fills"], "resume": self.last, "batch": True}
                    )
                    async for message in self.connection:
                        await self._heard(message.json(loads=json.loads), ready)
            await asyncio.sleep(0.1)

    async def _heard(self, message: dict[str, Any], ready: asyncio.Semaphore) -> None:
        if "subscribed" in message:
            ready.release()
        elif "ping" in message:
            assert self.connection is not None
            await self.connection.send_json({"pong": message["ping"]})
        for event in message.get("events", ()):
            self.last = event["id"]
            if event["data"].get("client_order_id") == MARK:
                self.delays_ms.append(time.time() * 1000 - event["data"]["sent_ms"])
                self.numbers.append(event["data"]["n"])


def tokens(platform: Platform, sockets: int) -> list[str]:
    """A token for each socket: a person may open only so many at once, so there are many people."""
    people = -(-sockets // SOCKETS_PER_PERSON)
    done = platform.command("shell", "-c", PEOPLE.format(people=people))
    found = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("token ")]
    if len(found) != people:
        raise SystemExit(f"no tokens: {done.stderr[-500:]}")
    return (found * SOCKETS_PER_PERSON)[:sockets]


async def publish(platform: Platform, shape: dict[str, Any], rate: float, seconds: float) -> int:
    """Write events at a steady rate; how many."""
    database = Database.of_home(platform.home)
    async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as connection:
        began, count = time.monotonic(), int(rate * seconds)
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            data = {**shape, "client_order_id": MARK, "n": number, "sent_ms": time.time() * 1000}
            await connection.execute(
                "WITH event AS (INSERT INTO common_outboxevent (topic, at, data)"
                " VALUES ('fills', now(), %s) RETURNING id) SELECT pg_notify('outbox', '') FROM event",
                (json.dumps(data),),
            )
        return count


@contextlib.asynccontextmanager
async def command_center(platform: Platform) -> AsyncIterator[Page | None]:
    """A logged-in Chromium that looks at the first page; None where there is no Chromium."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        print("no Chromium on the PATH: pixel is left out")
        yield None
        return
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        page = await browser.new_page()
        await page.add_init_script(WATCH)
        await page.goto(f"{platform.url}/accounts/login/")
        await page.fill("input[name=username]", "trader")
        await page.fill("input[name=password]", platform.credentials("trader")["password"])
        await page.press("input[name=password]", "Enter")
        await page.wait_for_url(f"{platform.url}/")
        yield page
        await browser.close()


async def watched(platform: Platform, sockets: int, rate: float, seconds: float) -> list[Figure]:
    """Open everything, write the events, cut a tenth of the sockets halfway, and count."""
    url = f"ws://127.0.0.1:{platform.port}/ws/live/"
    watchers, ready = [Watcher(url, token) for token in tokens(platform, sockets)], asyncio.Semaphore(0)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session, command_center(platform) as page:
        tasks = [asyncio.create_task(watcher.run(session, ready)) for watcher in watchers]
        for _ in watchers:
            await asyncio.wait_for(ready.acquire(), timeout=120)
        shape = platform.get("/api/v1/fills").body["results"][0]
        await asyncio.sleep(3.0)
        writing = asyncio.create_task(publish(platform, shape, rate, seconds))
        await asyncio.sleep(seconds / 2)
        for watcher in watchers[::CUT]:
            if watcher.connection is not None:
                await watcher.connection.close()
        count = await writing
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                while any(len(set(watcher.numbers)) < count for watcher in watchers):
                    await asyncio.sleep(0.5)
        pixels = await page.evaluate("window.seen") if page is not None else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    wrong = sum(watcher.numbers != list(range(count)) for watcher in watchers)
    steady = [watcher for place, watcher in enumerate(watchers) if place % CUT]
    delays = [delay for watcher in steady for delay in watcher.delays_ms]
    figures: list[Figure] = [
        ("sockets", sockets, ""),
        ("events", count, ""),
        ("lost_or_doubled", wrong, "sockets"),
        ("socket_p50", round(percentile(delays, 0.5), 1), "ms"),
        ("socket_p95", round(percentile(delays, 0.95), 1), "ms"),
        ("socket_p99", round(percentile(delays, 0.99), 1), "ms"),
    ]
    if pixels:
        figures += [
            ("pixel_events", len(pixels), ""),
            ("pixel_p50", round(percentile(pixels, 0.5), 1), "ms"),
            ("pixel_p95", round(percentile(pixels, 0.95), 1), "ms"),
        ]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sockets", type=int, default=500)
    parser.add_argument("--rate", type=float, default=50.0, help="events a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    folder = Path(tempfile.mkdtemp(prefix="nautilus-browsers-"))
    platform = Platform(folder / "home", {"TESTNET_SPEED": "1"})
    try:
        platform.start(ready_within_s=600)
        eventually(lambda: platform.get("/api/v1/fills").body["results"], within_s=180, what="a first fill")
        figures = asyncio.run(watched(platform, arguments.sockets, arguments.rate, arguments.seconds))
    finally:
        if platform.process is not None and platform.process.poll() is None:
            platform.stop()
        shutil.rmtree(folder, ignore_errors=True)
    report("browsers", figures, GOALS)
    if {name: value for name, value, _ in figures}["lost_or_doubled"]:
        raise SystemExit("a socket lost or doubled an event")


if __name__ == "__main__":
    main()
