"""Subscribed connections to an account's events: spot over the WebSocket API, USD-M by listen key.

python-binance never subscribes again after its connection drops, so these are small clients of our own.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Self

import structlog
from websockets.asyncio.client import ClientConnection, connect

from trading.adapters.binance.user_stream import LinkEnded
from trading.domain.errors import VenueError, VenueRejected

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_S: Final = 10.0
ANSWER_TIMEOUT_S: Final = 10.0
KEEP_ALIVE_S: Final = 20 * 60.0
"""A listen key lives an hour; three tries fit into it."""
_SILENCE_S: Final = 5.0
_KEEP_ALIVE_RETRY_S: Final = 30.0


async def _socket(url: str) -> ClientConnection:
    return await connect(
        url,
        open_timeout=CONNECT_TIMEOUT_S,
        ping_interval=10,
        ping_timeout=10,
        close_timeout=2,
        compression=None,
        proxy=None,
    )


class _Link:
    """Reads one socket; silence is normal, the protocol's own pings prove that the other side is there."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.heard_at = time.monotonic()

    async def _messages(self) -> AsyncIterator[dict[str, Any]]:
        while True:
            try:
                async with asyncio.timeout(_SILENCE_S):
                    text = await self._socket.recv()
            except TimeoutError:
                self._check()
                self.heard_at = time.monotonic()
                continue
            self.heard_at = time.monotonic()
            message = json.loads(text)
            if isinstance(message, dict):
                yield message

    def _check(self) -> None:
        """Raise LinkEnded when something beside the socket has ended it."""

    async def close(self) -> None:
        """Close the socket."""
        with contextlib.suppress(OSError):
            await self._socket.close()


class SpotLink(_Link):
    """A signature subscription on the WebSocket API; works with any kind of key."""

    @classmethod
    async def open(cls, url: str, *, api_key: str, api_secret: str) -> Self:
        """Connect and subscribe.

        Raises
        ------
        LinkEnded : the venue refused the subscription. OSError, TimeoutError, WebSocketException.
        """
        socket = await _socket(url)
        try:
            await cls._subscribe(socket, api_key, api_secret.encode())
        except BaseException:
            await socket.close()
            raise
        return cls(socket)

    @staticmethod
    async def _subscribe(socket: ClientConnection, api_key: str, secret: bytes) -> None:
        params: dict[str, Any] = {
            "apiKey": api_key,
            "timestamp": time.time_ns() // 1_000_000,
            "recvWindow": 10_000,
        }
        text = "&".join(f"{name}={params[name]}" for name in sorted(params))
        params["signature"] = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
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
            raise LinkEnded(f"subscription refused: {error.get('code')} {error.get('msg')}")

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Yield events until the venue or the network ends the connection."""
        async for message in self._messages():
            event = message.get("event")
            if not isinstance(event, dict):
                continue
            if event.get("e") in ("eventStreamTerminated", "serverShutdown"):
                raise LinkEnded(str(event["e"]))
            yield event


class ListenKeys:
    """The listen key of one USD-M account; every call is safe to repeat and may wait for the network."""

    def __init__(self, request: Callable[[str, str], Any]) -> None:
        """`request` sends a call that carries the API key only: method and path in, decoded answer out."""
        self._request = request

    def take(self) -> str:
        """The account's key, made or extended by an hour."""
        return str(self._request("POST", "/fapi/v1/listenKey")["listenKey"])

    def extend(self) -> None:
        """Extend it by an hour."""
        self._request("PUT", "/fapi/v1/listenKey")


class UsdmLink(_Link):
    """A connection by listen key, which is kept alive for as long as it stands."""

    def __init__(self, socket: ClientConnection, keys: ListenKeys, keep_alive_s: float) -> None:
        super().__init__(socket)
        self._keys = keys
        self._keeping = asyncio.create_task(self._keep_alive(keep_alive_s))

    @classmethod
    async def open(cls, streams: str, keys: ListenKeys, *, keep_alive_s: float = KEEP_ALIVE_S) -> Self:
        """Take a listen key and connect.

        Parameters
        ----------
        streams : root of the futures streams.

        Raises
        ------
        VenueError : no listen key. OSError, TimeoutError, WebSocketException.
        """
        key = await asyncio.to_thread(keys.take)
        return cls(await _socket(f"{streams}/private/ws?listenKey={key}"), keys, keep_alive_s)

    async def _keep_alive(self, every_s: float) -> None:
        wait = every_s
        while True:
            await asyncio.sleep(wait)
            try:
                await asyncio.to_thread(self._keys.extend)
                wait = every_s
            except VenueRejected:
                raise  # the key is gone: a new connection takes a new one
            except VenueError as error:
                log.warning("listen_key_not_extended", error=str(error)[:200])
                wait = min(_KEEP_ALIVE_RETRY_S, every_s)

    def _check(self) -> None:
        if self._keeping.done():
            raise LinkEnded(f"listen key lost: {self._keeping.exception()}")

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Yield events; the expiry of the listen key is one, and the last."""
        async for event in self._messages():
            self._check()
            yield event
            if event.get("e") in ("listenKeyExpired", "serverShutdown"):
                raise LinkEnded(str(event["e"]))

    async def close(self) -> None:
        """Close the socket and let the key be; another connection may stand on it."""
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)
        await super().close()
