"""What all streams of one process share: one subscription to the broker, and the newest events in memory.

An event is received, decoded and encoded once however many people watch; a stream costs its own writes. The hub
promises nothing: what it does not hold, a stream fetches from Postgres.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from itertools import islice
from typing import Any
from weakref import WeakKeyDictionary

import structlog
from channels.layers import get_channel_layer

from nautilus_site.common.clock import now
from nautilus_site.common.live.groups import EVENTS_GROUP, PRICES_GROUP
from nautilus_site.common.live.packets import Packet

log = structlog.get_logger(__name__)

HELD = 2_000
"""Events kept in memory; a stream further behind reads from Postgres."""
PRICE_INTERVAL_S = 0.25
ROUND_S = 80e-6
"""Between two rounds of waking, for each stream: twice what a write to one costs, so that half a core is left."""
REJOIN_S, REJOIN_MAX_S = 0.2, 2.0


class Hub:
    """Receives while anybody watches. `last` is the highest event id it heard of, 0 before the first."""

    def __init__(self) -> None:
        self.last = 0
        self.prices_version = 0
        self._held: deque[Packet] = deque(maxlen=HELD)
        self._prices: dict[str, tuple[int, Any]] = {}
        self._newest_prices: Packet | None = None
        self._unsent: dict[str, Any] = {}
        self._sent_at = 0.0
        self._sending: asyncio.TimerHandle | None = None
        self._watching: set[asyncio.Event] = set()
        self._woke_at = 0.0
        self._waking: asyncio.TimerHandle | None = None
        self._receiving: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()

    async def enter(self, moved: asyncio.Event) -> None:
        """Have `moved` set whenever something came. Returns when the subscription stands or is known to fail."""
        self._watching.add(moved)
        if self._receiving is None:
            self._settled.clear()
            self._receiving = asyncio.create_task(self._receive())
        await self._settled.wait()

    async def leave(self, moved: asyncio.Event) -> None:
        """The last one to leave ends the subscription."""
        self._watching.discard(moved)
        if self._watching or self._receiving is None:
            return
        receiving, self._receiving = self._receiving, None
        receiving.cancel()
        with suppress(asyncio.CancelledError):
            await receiving
        if self._receiving is None:
            self._forget()

    def after(self, number: int) -> list[Packet] | None:
        """Every event held with a higher id, in order; None when some in between are not held."""
        if number >= self.last:
            return []
        first = self.last - len(self._held) + 1
        if number + 1 < first:
            return None
        return list(islice(self._held, number + 1 - first, None))

    def prices_after(self, version: int) -> Packet | None:
        """The newest price of every symbol that changed since a version; None when nothing did."""
        if version >= self.prices_version:
            return None
        if version == self.prices_version - 1:
            return self._newest_prices
        return _prices({symbol: data for symbol, (at, data) in self._prices.items() if at > version})

    async def _receive(self) -> None:
        pause = REJOIN_S
        while True:
            layer: Any = get_channel_layer()
            channel = ""
            try:
                channel = await layer.new_channel()
                await layer.group_add(EVENTS_GROUP, channel)
                await layer.group_add(PRICES_GROUP, channel)
                self._settled.set()
                pause = REJOIN_S
                while True:
                    self._heard(await layer.receive(channel))
            except asyncio.CancelledError:
                await _leave(layer, channel)
                raise
            except Exception as error:  # noqa: BLE001  any failure of the broker's client: streams poll meanwhile
                log.warning("live_subscription_lost", error=type(error).__name__, retry_s=pause)
                await _leave(layer, channel)
                self._settled.set()
                await asyncio.sleep(pause)
                pause = min(2 * pause, REJOIN_MAX_S)

    def _heard(self, message: dict[str, Any]) -> None:
        if message["type"] == "live.prices":
            self._unsent.update(message["prices"])
            self._send_prices()
        elif message["type"] == "live.events" and message["last"] > self.last:
            if message["first"] > self.last + 1:
                self._held.clear()  # a push was lost: what is held must have no gap
            self._held.extend(Packet(event) for event in message["events"] if event["id"] > self.last)
            self.last = message["last"]
            self._wake()

    def _send_prices(self) -> None:
        """At most one packet in an interval; the newest price of a symbol replaces the ones before."""
        wait = self._sent_at + PRICE_INTERVAL_S - time.monotonic()
        if wait > 0:
            if self._sending is None:
                self._sending = asyncio.get_running_loop().call_later(wait, self._send_later)
            return
        prices, self._unsent = self._unsent, {}
        self._sent_at = time.monotonic()
        self.prices_version += 1
        self._prices |= {symbol: (self.prices_version, data) for symbol, data in prices.items()}
        self._newest_prices = _prices(prices)
        self._wake()

    def _send_later(self) -> None:
        self._sending = None
        if self._unsent:
            self._send_prices()

    def _wake(self) -> None:
        """Wake all streams; with many of them not for every event, so that each writes several at once."""
        wait = self._woke_at + ROUND_S * len(self._watching) - time.monotonic()
        if wait <= 0:
            self._wake_now()
        elif self._waking is None:
            self._waking = asyncio.get_running_loop().call_later(wait, self._wake_now)

    def _wake_now(self) -> None:
        self._waking, self._woke_at = None, time.monotonic()
        for moved in self._watching:
            moved.set()

    def _forget(self) -> None:
        """Nobody listened from here on: what is held says nothing of what comes."""
        self._held.clear()
        self.last = 0
        self._unsent = {}
        for timer in (self._sending, self._waking):
            if timer is not None:
                timer.cancel()
        self._sending = self._waking = None


async def _leave(layer: Any, channel: str) -> None:
    if channel:
        with suppress(Exception):
            await layer.group_discard(EVENTS_GROUP, channel)
            await layer.group_discard(PRICES_GROUP, channel)


def _prices(prices: dict[str, Any]) -> Packet:
    return Packet({"id": None, "topic": "prices", "at": now().isoformat(), "data": prices})


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """The running loop's Hub."""
    return _hubs.setdefault(asyncio.get_running_loop(), Hub())
