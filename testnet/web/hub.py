"""Which connection wants which market stream, and the control messages that change it."""

from __future__ import annotations

import json
import time
from collections import deque
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from testnet.faults import Edge, Faults
from testnet.web.connection import Connection, new_socket

MAX_STREAMS = 1_024
MAX_MESSAGES_PER_S = 5
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_STREAM_ROOTS = ("", "/public", "/market", "/private")


class BadRequest(ValueError):
    """A control message that is refused."""


class StreamClient(Connection):
    """A connection to the market streams."""

    def __init__(self, socket: web.WebSocketResponse, address: str, path: str, *, combined: bool) -> None:
        super().__init__(socket, address, path)
        self.combined = combined
        self.streams: list[str] = []
        self.held: str | None = None  # an event kept back to be sent out of order
        self.received: deque[float] = deque(maxlen=MAX_MESSAGES_PER_S + 1)


class Hub:
    """Subscriptions of all stream clients."""

    def __init__(self, faults: Faults, *, limit_messages: bool) -> None:
        self._faults = faults
        self._limit_messages = limit_messages
        self._subscribers: dict[str, set[StreamClient]] = {}
        self.clients: set[StreamClient] = set()

    def wants(self, stream: str) -> bool:
        """True when anybody is subscribed."""
        return stream in self._subscribers

    def wanted(self) -> list[str]:
        """Every stream somebody is subscribed to."""
        return list(self._subscribers)

    def publish(self, stream: str, payload: dict[str, Any], event: str, symbol: str | None = None) -> None:
        """Send a payload to a stream's subscribers, encoded once."""
        clients = self._subscribers.get(stream)
        if not clients:
            return
        raw = json.dumps(payload, separators=(",", ":"))
        combined = f'{{"stream":"{stream}","data":{raw}}}'
        for client in list(clients):
            self._deliver(client, combined if client.combined else raw, event, symbol)

    def _deliver(self, client: StreamClient, text: str, event: str, symbol: str | None) -> None:
        effects = self._faults.at_event(Edge((client.path,), symbol=symbol, event=event))
        if "drop_event" in effects:
            return
        if "reorder_events" in effects and client.held is None:
            client.held = text
            return
        client.send(text)
        if "duplicate_event" in effects:
            client.send(text)
        if client.held is not None:
            client.send(client.held)
            client.held = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve `/ws`, `/ws/...`, `/stream`, `/stream?streams=...` and `/stream/ws`."""
        path = request.path
        root = next(r for r in sorted(_STREAM_ROOTS, key=len, reverse=True) if path.startswith(r + "/"))
        tail = path[len(root) :]
        # The raw endpoint is also found under /stream/ws, where some clients look for it.
        combined = tail == "/stream" or tail == "/stream/"
        client = StreamClient(new_socket(), request.remote or "local", path, combined=combined)
        if combined:
            names = [name for name in unquote(request.query.get("streams", "")).split("/") if name]
        else:
            names = [name for name in tail.removeprefix("/stream").removeprefix("/ws").split("/") if name]
        # A bare number is how some clients name their connection; it is not a stream.
        names = [name for name in names if not name.isdigit()]
        self.clients.add(client)
        try:
            self._subscribe(client, names[:MAX_STREAMS])
            await client.serve(request, lambda text: self._on_text(client, text))
        finally:
            self._unsubscribe(client, list(client.streams))
            self.clients.discard(client)
        return client.socket

    async def _on_text(self, client: StreamClient, text: str) -> None:
        client.received.append(time.monotonic())
        if (
            self._limit_messages
            and len(client.received) > MAX_MESSAGES_PER_S
            and client.received[-1] - client.received[0] < 1.0
        ):
            client.cut()
            return
        try:
            message = json.loads(text)
        except ValueError as error:
            client.send(_refusal(f"Invalid request: {error}", 3))
            return
        try:
            request_id, result = self._control(client, message)
        except BadRequest as error:
            client.send(_refusal(f"Invalid request: {error}", 2))
            return
        client.send(json.dumps({"result": result, "id": request_id}, separators=(",", ":")))

    def _control(self, client: StreamClient, message: object) -> tuple[object, object]:
        if not isinstance(message, dict):
            raise BadRequest("request must be an object")
        request_id = message.get("id")
        if isinstance(request_id, bool) or not (
            request_id is None
            or isinstance(request_id, int)
            or (isinstance(request_id, str) and len(request_id) <= 36)
        ):
            raise BadRequest("request ID must be an unsigned integer or a string of at most 36 characters")
        method = message.get("method")
        if method not in _METHODS:
            expected = ", ".join(f"`{name}`" for name in _METHODS)
            raise BadRequest(f"unknown variant `{method}`, expected one of {expected}")
        if method == "LIST_SUBSCRIPTIONS":
            return request_id, list(client.streams)
        params = message.get("params")
        if not isinstance(params, list):
            raise BadRequest("missing field `params`, expected an array")
        if method == "GET_PROPERTY":
            if params != ["combined"]:
                raise BadRequest("unknown property")
            return request_id, client.combined
        if method == "SET_PROPERTY":
            if len(params) != 2 or params[0] != "combined" or not isinstance(params[1], bool):
                raise BadRequest('expected ["combined", true | false]')
            client.combined = params[1]
            return request_id, None
        if not all(isinstance(name, str) for name in params):
            raise BadRequest("params must be stream names")
        if method == "SUBSCRIBE":
            self._subscribe(client, params)
        else:
            self._unsubscribe(client, params)
        return request_id, None

    def _subscribe(self, client: StreamClient, names: list[str]) -> None:
        fresh = [name for name in dict.fromkeys(names) if name not in client.streams]
        if len(client.streams) + len(fresh) > MAX_STREAMS:
            raise BadRequest(f"a connection may have at most {MAX_STREAMS} streams")
        for name in fresh:
            client.streams.append(name)
            self._subscribers.setdefault(name, set()).add(client)

    def _unsubscribe(self, client: StreamClient, names: list[str]) -> None:
        for name in names:
            if name in client.streams:
                client.streams.remove(name)
                self._subscribers[name].discard(client)
                if not self._subscribers[name]:
                    del self._subscribers[name]


def _refusal(message: str, code: int) -> str:
    return json.dumps({"code": code, "msg": message}, separators=(",", ":"))
