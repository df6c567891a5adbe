"""Which connection wants which stream, and the delivery of events to all of them."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from testnet.faults import Edge, Faults
from testnet.web.connection import Connection, new_socket
from testnet.web.stream_control import BadRequest, Command, read_command, refusal
from testnet.web.stream_names import SPOT, USDM, is_listen_key, is_usdm_only, symbol_of
from testnet.web.stream_time import in_microseconds

MAX_STREAMS = 1_024
MESSAGES_PER_S = {SPOT: 5, USDM: 10}
# Futures streams live under split roots, and under one of their own for clients that cannot split.
USDM_ROOTS = ("/public", "/market", "/private", "/fstream")
STREAM_ROOTS = ("", *USDM_ROOTS)
# The futures market pings rarely and waits long.
_USDM_PING_S, _USDM_PONG_S = 180.0, 600.0
_Key = tuple[str, str]


class StreamClient(Connection):
    """A connection to the streams; on the bare root its market is unknown until a name tells."""

    def __init__(
        self, socket: web.WebSocketResponse, address: str, path: str, *, combined: bool, market: str | None
    ) -> None:
        super().__init__(socket, address, path)
        self.combined = combined
        self.is_micro = False
        self.streams: list[str] = []
        self.held: str | None = None  # an event kept back to be sent out of order
        self.received: deque[float] = deque(maxlen=MESSAGES_PER_S[USDM] + 1)
        self.market = market
        if market == USDM:
            self.become_usdm()

    def become_usdm(self) -> None:
        """Follow the futures market from now on."""
        self.market = USDM
        self.ping_every_s, self.pong_within_s = _USDM_PING_S, _USDM_PONG_S

    def key(self, name: str) -> _Key:
        """Under what a stream of this client is found."""
        return _key(name, self.market or SPOT)

    def is_too_fast(self) -> bool:
        """Count an incoming message; True when there were too many within a second."""
        self.received.append(time.monotonic())
        allowed = MESSAGES_PER_S[self.market or SPOT]
        if len(self.received) <= allowed:
            return False
        return self.received[-1] - self.received[-1 - allowed] < 1.0


class Hub:
    """Subscriptions of all stream clients.

    `listen_key_market` names the market of a valid listen key, `is_only_usdm` tells whether a symbol trades
    as a perpetual and not on spot.
    """

    def __init__(self, faults: Faults, *, limit_messages: bool) -> None:
        self._faults = faults
        self._limit_messages = limit_messages
        self._subscribers: dict[_Key, set[StreamClient]] = {}
        self.clients: set[StreamClient] = set()
        self.listen_key_market: Callable[[str], str | None] = lambda key: None
        self.is_only_usdm: Callable[[str], bool] = lambda symbol: False

    def wants(self, stream: str, market: str = SPOT) -> bool:
        """True when anybody is subscribed."""
        return _key(stream, market) in self._subscribers

    def publish(
        self,
        stream: str,
        payload: Any,
        event: str,
        symbol: str | None = None,
        *,
        market: str = SPOT,
        account_id: str | None = None,
    ) -> None:
        """Send a payload to a stream's subscribers, encoded once; a listen key is a stream of its own."""
        clients = self._subscribers.get(_key(stream, market))
        if not clients:
            return
        raw = json.dumps(payload, separators=(",", ":"))
        micro = None
        for client in list(clients):
            text = raw
            if client.is_micro and market == SPOT:
                if micro is None:
                    micro = json.dumps(in_microseconds(payload), separators=(",", ":"))
                text = micro
            if client.combined:
                text = f'{{"stream":"{stream}","data":{text}}}'
            if self._faults.has_rules or client.held is not None:
                self._deliver(client, text, event, symbol, account_id)
            else:
                client.send(text)

    def _deliver(
        self, client: StreamClient, text: str, event: str, symbol: str | None, account_id: str | None
    ) -> None:
        edge = Edge((client.path,), symbol=symbol, account_id=account_id, event=event)
        effects = self._faults.at_event(edge)
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

    def followers(self, stream: str) -> set[Connection]:
        """Connections subscribed to a listen key."""
        return set(self._subscribers.get(_key(stream, SPOT), ()))

    def announce_shutdown(self, server_ms: int) -> None:
        """Tell spot streams that the server is going away; the futures streams have no such event."""
        for client in self.clients:
            if client.market != USDM:
                at = server_ms * 1_000 if client.is_micro else server_ms
                payload: dict[str, Any] = {"e": "serverShutdown", "E": at}
                if client.combined:
                    payload = {"stream": "!serverShutdown", "data": payload}
                client.send(json.dumps(payload, separators=(",", ":")))

    # -- connections -----------------------------------------------------------------------

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve `/ws`, `/ws/...`, `/stream`, `/stream?streams=...` and `/stream/ws` under every root."""
        path = request.path
        root = next((root for root in USDM_ROOTS if path.startswith(root + "/")), "")
        tail = path[len(root) :]
        # The raw endpoint is also found under /stream/ws, where some clients look for it.
        combined = tail == "/stream" or tail == "/stream/"
        client = StreamClient(
            new_socket(),
            request.remote or "local",
            path,
            combined=combined,
            market=USDM if root else None,
        )
        client.is_micro = request.query.get("timeUnit", "").upper() == "MICROSECOND"
        if combined:
            names = [name for name in unquote(request.query.get("streams", "")).split("/") if name]
        else:
            names = [name for name in tail.removeprefix("/stream").removeprefix("/ws").split("/") if name]
        # A bare number is how some clients name their connection; it is not a stream.
        names = [name for name in names if not name.isdigit()]
        if request.query.get("listenKey"):
            names.append(request.query["listenKey"])
        self.clients.add(client)
        try:
            self._subscribe(client, names[:MAX_STREAMS])
            await client.serve(request, lambda text: self._on_text(client, text))
        finally:
            self._unsubscribe(client, list(client.streams))
            self.clients.discard(client)
        return client.socket

    async def _on_text(self, client: StreamClient, text: str) -> None:
        if client.is_too_fast() and self._limit_messages:
            client.cut()
            return
        try:
            command = read_command(text)
            result = self._obey(client, command)
        except BadRequest as error:
            client.send(refusal(error))
            return
        client.send(json.dumps({"result": result, "id": command.request_id}, separators=(",", ":")))

    def _obey(self, client: StreamClient, command: Command) -> object:
        if command.method == "LIST_SUBSCRIPTIONS":
            return list(client.streams)
        if command.method == "GET_PROPERTY":
            return client.combined
        if command.method == "SET_PROPERTY":
            client.combined = command.combined
        elif command.method == "SUBSCRIBE":
            self._subscribe(client, command.names)
        else:
            self._unsubscribe(client, command.names)
        return None

    def _subscribe(self, client: StreamClient, names: list[str]) -> None:
        fresh = [name for name in dict.fromkeys(names) if name not in client.streams]
        if len(client.streams) + len(fresh) > MAX_STREAMS:
            raise BadRequest(f"a connection may have at most {MAX_STREAMS} streams")
        if client.market is None and any(self._is_usdm(name) for name in fresh):
            # No connection serves two markets: what it asked for before was meant for this one, too.
            earlier = list(client.streams)
            self._unsubscribe(client, earlier)
            client.become_usdm()
            fresh = [*earlier, *fresh]
        for name in fresh:
            client.streams.append(name)
            self._subscribers.setdefault(client.key(name), set()).add(client)

    def _is_usdm(self, name: str) -> bool:
        if is_listen_key(name):
            return self.listen_key_market(name) == USDM
        symbol = symbol_of(name)
        return is_usdm_only(name) or (symbol is not None and self.is_only_usdm(symbol))

    def _unsubscribe(self, client: StreamClient, names: list[str]) -> None:
        for name in names:
            if name in client.streams:
                client.streams.remove(name)
                key = client.key(name)
                self._subscribers[key].discard(client)
                if not self._subscribers[key]:
                    del self._subscribers[key]


def _key(name: str, market: str) -> _Key:
    return ("", name) if is_listen_key(name) else (market, name)
