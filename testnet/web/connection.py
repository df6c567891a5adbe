"""One WebSocket client: a bounded queue, a writer, and the ping that proves it lives."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

from aiohttp import WSMsgType, web

MAX_QUEUED = 5_000
PING_EVERY_S = 20.0
PONG_WITHIN_S = 60.0
LONGEST_S = 86_400.0
MAX_MESSAGE = 1 << 20


class Connection:
    """Messages queue here and are written by a task of the connection's own.

    A client that reads too slowly fills its queue and is cut off; nobody else waits for it.
    """

    ping_every_s = PING_EVERY_S
    pong_within_s = PONG_WITHIN_S

    def __init__(self, socket: web.WebSocketResponse, address: str, path: str) -> None:
        self.socket = socket
        self.address = address
        self.path = path
        self.closed = False
        self._queue: deque[str] = deque()
        self._ready = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._pinged_at = self._heard_at = self._opened_at = time.monotonic()

    async def serve(self, request: web.Request, on_text: Callable[[str], Awaitable[None]]) -> None:
        """Read until the client goes; `on_text` gets every text message."""
        await self.socket.prepare(request)
        self._transport = request.transport
        writer = asyncio.get_running_loop().create_task(self._write())
        try:
            async for message in self.socket:
                if message.type is WSMsgType.TEXT:
                    await on_text(message.data)
                elif message.type is WSMsgType.PING:
                    await self.socket.pong(message.data)
                elif message.type is WSMsgType.PONG:
                    self._heard_at = time.monotonic()
                if self.closed:
                    break
        except ConnectionResetError:
            pass  # the client went away while we answered; leaving the loop is all there is to do
        finally:
            self.closed = True
            self._ready.set()
            writer.cancel()
            if not self.socket.closed:
                await self.socket.close()

    def send(self, text: str) -> None:
        """Queue a message, or cut off a client whose queue is full."""
        if self.closed:
            return
        if len(self._queue) >= MAX_QUEUED:
            self.cut()
            return
        self._queue.append(text)
        self._ready.set()

    def cut(self) -> None:
        """End the connection at once, without a closing handshake."""
        self.closed = True
        self._queue.clear()
        if self._transport is not None:
            self._transport.abort()

    async def drained(self, within_s: float) -> None:
        """Wait until everything queued has been written, or the time is over."""
        until = time.monotonic() + within_s
        while self._queue and not self.closed and time.monotonic() < until:
            await asyncio.sleep(0.01)

    async def _write(self) -> None:
        while not self.closed:
            await self._ready.wait()
            self._ready.clear()
            while self._queue and not self.closed:
                try:
                    await self.socket.send_str(self._queue.popleft())
                except (ConnectionResetError, RuntimeError):
                    self.closed = True

    async def beat(self, now: float) -> None:
        """Ping when it is time; cut off a client that has not answered, or has been there for a day."""
        if self.closed or not self.socket.prepared or self.socket.closed:
            return
        if now - self._heard_at > self.ping_every_s + self.pong_within_s or now - self._opened_at > LONGEST_S:
            self.cut()
        elif now - self._pinged_at >= self.ping_every_s:
            self._pinged_at = now
            try:
                await self.socket.ping(str(int(time.time() * 1000)).encode())
            except (ConnectionResetError, RuntimeError):
                self.closed = True


def new_socket() -> web.WebSocketResponse:
    """A socket that leaves pings to us and does not compress (it would cost more than it saves)."""
    return web.WebSocketResponse(autoping=False, compress=False, max_msg_size=MAX_MESSAGE)
