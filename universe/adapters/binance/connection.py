"""One websocket of a combined stream: connect, subscribe in chunks, read until it ends."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

log = structlog.get_logger(__name__)

# The venue cuts a spot connection that sends more than 5 messages a second.
CHUNK: Final = 100
CONTROL_SPACING_S: Final = 0.25
CONNECT_TIMEOUT_S: Final = 10.0
ACK_TIMEOUT_S: Final = 10.0


class ConnectionEnded(Exception):
    """The connection is of no more use; the message says why."""


class StreamConnection:
    """A connection to `/stream`. Messages and answers to SUBSCRIBE share one reader."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[str | None]] = {}
        self._control_lock = asyncio.Lock()

    @classmethod
    async def open(cls, url: str) -> StreamConnection:
        """Connect.

        Raises
        ------
        ConnectionEnded : no connection within 10 s.
        """
        try:
            # The library answers the venue's pings with their payload; its own pings find a dead peer.
            socket = await connect(
                url,
                open_timeout=CONNECT_TIMEOUT_S,
                ping_interval=20,
                ping_timeout=20,
                close_timeout=2,
                max_size=4 * 1024 * 1024,
                compression=None,
                proxy=None,
            )
        except (OSError, WebSocketException, TimeoutError) as error:
            raise ConnectionEnded(f"no connection: {type(error).__name__}") from error
        return cls(socket)

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """Yield `data` members until the connection ends.

        Raises
        ------
        ConnectionEnded : always, in the end.
        """
        try:
            async for text in self._socket:
                try:
                    message = json.loads(text)
                except ValueError:
                    log.warning("stream_message_not_json")
                    continue
                if not isinstance(message, dict):
                    continue
                if "stream" not in message and "id" in message:
                    self._answered(message)
                    continue
                data = message.get("data", message)
                if isinstance(data, dict):
                    if data.get("e") == "serverShutdown":
                        raise ConnectionEnded("the venue announced a shutdown")
                    yield data
        except WebSocketException as error:
            raise ConnectionEnded(f"closed: {error}") from error
        finally:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(ConnectionEnded("closed while subscribing"))
        raise ConnectionEnded("closed by the venue")

    async def control(self, method: str, streams: Sequence[str]) -> list[tuple[tuple[str, ...], str]]:
        """SUBSCRIBE or UNSUBSCRIBE in chunks; returns the refused chunks with the venue's words.

        Needs `messages` to be read at the same time.

        Raises
        ------
        ConnectionEnded : the connection closed, or an answer did not come within 10 s.
        """
        refused: list[tuple[tuple[str, ...], str]] = []
        async with self._control_lock:
            for start in range(0, len(streams), CHUNK):
                chunk = tuple(streams[start : start + CHUNK])
                number = next(self._ids)
                answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
                self._waiting[number] = answer
                try:
                    await self._socket.send(json.dumps({"method": method, "params": chunk, "id": number}))
                    # Not wait_for: before Python 3.12 it can swallow a cancellation.
                    async with asyncio.timeout(ACK_TIMEOUT_S):
                        problem = await answer
                except WebSocketException as error:
                    raise ConnectionEnded(f"closed while subscribing: {error}") from error
                except TimeoutError as error:
                    raise ConnectionEnded(f"no answer to {method}") from error
                finally:
                    self._waiting.pop(number, None)
                if problem is not None:
                    refused.append((chunk, problem))
                await asyncio.sleep(CONTROL_SPACING_S)
        return refused

    async def close(self) -> None:
        await self._socket.close()

    def _answered(self, message: dict[str, Any]) -> None:
        number = message.get("id")
        waiting = self._waiting.get(number) if isinstance(number, int) else None
        if waiting is None or waiting.done():
            return
        error = message.get("error") or ({"msg": message.get("msg")} if "code" in message else None)
        waiting.set_result(None if error is None else str(error.get("msg", error)))
