"""The spot user stream over the WebSocket API, re-subscribed on every connection.

python-binance never subscribes again after its connection drops, so this is a small client of our own. Whoever
consumes it reconciles after every `Connected`: what was missed while it was down is never sent again.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import random
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from universe.adapters.binance.events import Connected, Disconnected

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_S: Final = 10.0
ANSWER_TIMEOUT_S: Final = 10.0
RENEW_AFTER_S: Final = 23 * 3600.0
BACKOFF_MAX_S: Final = 15.0


class SubscriptionRefused(Exception):
    """The venue refused the subscription; the message has its code and words."""


class UserStream:
    """One account's events: `async for item in stream.events()` yields Connected, Disconnected and event dicts."""

    def __init__(self, url: str, *, api_key: str, api_secret: str, streams: tuple[str, ...] = ()) -> None:
        self._url = url
        self._api_key = api_key
        self._secret = api_secret.encode()
        self._streams = streams
        self._connections = 0
        self.heard_at = time.monotonic()

    async def events(self) -> AsyncIterator[Connected | Disconnected | dict[str, Any]]:
        """Yield for ever; the network's failures become Disconnected items."""
        failures = 0
        while True:
            try:
                async with connect(
                    self._url,
                    open_timeout=CONNECT_TIMEOUT_S,
                    ping_interval=10,
                    ping_timeout=10,
                    close_timeout=2,
                    compression=None,
                    proxy=None,
                ) as socket:
                    await self._subscribe(socket)
                    failures = 0
                    self._connections += 1
                    self.heard_at = time.monotonic()
                    yield Connected(time.time_ns(), self._connections, self._streams)
                    async for event in self._read(socket):
                        yield event
                reason = "closed for renewal"
            except (OSError, TimeoutError, WebSocketException, SubscriptionRefused) as error:
                reason = f"{type(error).__name__}: {error}"
            log.warning("user_stream_ended", reason=reason)
            yield Disconnected(time.time_ns(), reason)
            failures += 1
            await asyncio.sleep(min(BACKOFF_MAX_S, 0.25 * 2**failures) * random.uniform(0.5, 1.0))

    async def _subscribe(self, socket: ClientConnection) -> None:
        params: dict[str, Any] = {
            "apiKey": self._api_key,
            "timestamp": time.time_ns() // 1_000_000,
            "recvWindow": 10_000,
        }
        text = "&".join(f"{name}={params[name]}" for name in sorted(params))
        params["signature"] = hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()
        await socket.send(
            json.dumps({"id": "subscribe", "method": "userDataStream.subscribe.signature", "params": params})
        )
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            while True:
                answer = json.loads(await socket.recv())
                if answer.get("id") == "subscribe":
                    break
        if answer.get("status") != 200:
            error = answer.get("error", {})
            raise SubscriptionRefused(f"{error.get('code')} {error.get('msg')}")

    async def _read(self, socket: ClientConnection) -> AsyncIterator[dict[str, Any]]:
        renew_at = time.monotonic() + RENEW_AFTER_S * random.uniform(0.95, 1.0)
        while time.monotonic() < renew_at:
            try:
                async with asyncio.timeout(5):
                    text = await socket.recv()
            except TimeoutError:
                # The protocol's own pings prove that the other side is there; silence alone is normal.
                self.heard_at = time.monotonic()
                continue
            self.heard_at = time.monotonic()
            message = json.loads(text)
            event = message.get("event")
            if not isinstance(event, dict):
                continue
            if event.get("e") in ("eventStreamTerminated", "serverShutdown"):
                return
            yield event
