"""The market stream against a real websocket server that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import pairwise
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from universe.adapters.binance import MarketStream, endpoints_for
from universe.adapters.binance.events import (
    BookTickerEvent,
    Connected,
    Disconnected,
    KlineEvent,
    StreamEvent,
    SubscriptionRefused,
)

Behaviour = Callable[["Server", ServerConnection, int], Awaitable[None]]


class Server:
    """Acknowledges every control message and then behaves as the test says, per connection number."""

    def __init__(self, behaviour: Behaviour, refuse: str = "") -> None:
        self.behaviour = behaviour
        self.refuse = refuse
        self.connections = 0
        self.open = 0
        self.controls: list[dict[str, Any]] = []
        self.subscribed = asyncio.Event()

    async def handle(self, socket: ServerConnection) -> None:
        self.connections += 1
        self.open += 1
        task = asyncio.create_task(self.behaviour(self, socket, self.connections))
        try:
            async for text in socket:
                message = json.loads(text)
                self.controls.append(message)
                if self.refuse and self.refuse in message["params"]:
                    answer = {"error": {"code": 2, "msg": "Invalid request"}, "id": message["id"]}
                else:
                    answer = {"result": None, "id": message["id"]}
                await socket.send(json.dumps(answer))
                self.subscribed.set()
        finally:
            self.open -= 1
            task.cancel()


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[str]:
    async with serve(server.handle, "127.0.0.1", 0) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}"


def book(update_id: int, symbol: str = "BTCUSDT") -> str:
    data = {"u": update_id, "s": symbol, "b": "100.1", "B": "2", "a": "100.2", "A": "3"}
    return json.dumps({"stream": f"{symbol.lower()}@bookTicker", "data": data})


def kline(open_ms: int, *, closed: bool) -> str:
    k = {
        "t": open_ms, "T": open_ms + 59999, "s": "BTCUSDT", "i": "1m",
        "o": "1", "c": "2", "h": "3", "l": "0.5", "v": "10",
        "n": 4, "x": closed, "q": "15", "V": "5", "Q": "7",
    }  # fmt: skip
    return json.dumps({"stream": "btcusdt@kline_1m", "data": {"e": "kline", "E": 1, "s": "BTCUSDT", "k": k}})


async def take(stream: MarketStream, enough: Callable[[list[StreamEvent]], bool]) -> list[StreamEvent]:
    events: list[StreamEvent] = []

    async def run() -> None:
        async for event in stream.events():
            events.append(event)
            if enough(events):
                await stream.close()

    await asyncio.wait_for(run(), 15)
    return events


def kinds(events: list[StreamEvent]) -> list[type]:
    return [type(event) for event in events]


async def test_bars_and_books_arrive_typed_and_exact() -> None:
    async def behave(server: Server, socket: ServerConnection, number: int) -> None:
        await server.subscribed.wait()
        await asyncio.sleep(0.4)
        await socket.send(kline(60_000, closed=True))
        await socket.send(book(5))

    async with running(server := Server(behave)) as url:
        stream = MarketStream(
            endpoints_for("local", local_url=url), ["btcusdt@kline_1m", "btcusdt@bookTicker"]
        )
        events = await take(stream, lambda seen: len(seen) == 3)
    assert kinds(events) == [Connected, KlineEvent, BookTickerEvent]
    bar, top = events[1], events[2]
    assert isinstance(bar, KlineEvent)
    assert isinstance(top, BookTickerEvent)
    assert (bar.open, bar.high, bar.low, bar.close, bar.closed) == (1, 3, Decimal("0.5"), 2, True)
    assert (top.bid, top.ask, top.update_id) == (Decimal("100.1"), Decimal("100.2"), 5)
    assert server.controls[0]["params"] == ["btcusdt@kline_1m", "btcusdt@bookTicker"]


async def test_a_cut_connection_is_told_and_resubscribed() -> None:
    async def behave(server: Server, socket: ServerConnection, number: int) -> None:
        await server.subscribed.wait()
        await asyncio.sleep(0.4)
        await socket.send(book(number))
        if number == 1:
            await socket.close(1011)

    async with running(server := Server(behave)) as url:
        stream = MarketStream(
            endpoints_for("local", local_url=url), ["btcusdt@bookTicker"], backoff_first_s=0.05
        )
        events = await take(stream, lambda seen: kinds(seen).count(BookTickerEvent) == 2)
    assert kinds(events) == [Connected, BookTickerEvent, Disconnected, Connected, BookTickerEvent]
    assert [c["method"] for c in server.controls] == ["SUBSCRIBE", "SUBSCRIBE"]


async def test_a_silent_connection_is_given_up() -> None:
    async def behave(server: Server, socket: ServerConnection, number: int) -> None:
        await asyncio.sleep(0)

    async with running(Server(behave)) as url:
        stream = MarketStream(
            endpoints_for("local", local_url=url),
            ["btcusdt@bookTicker"],
            stale_after_s=0.6,
            backoff_first_s=0.05,
        )
        events = await take(stream, lambda seen: kinds(seen).count(Connected) == 2)
    lost = next(event for event in events if isinstance(event, Disconnected))
    assert "no message" in lost.reason


async def test_a_renewal_overlaps_and_delivers_every_update_once() -> None:
    async def behave(server: Server, socket: ServerConnection, number: int) -> None:
        await server.subscribed.wait()
        while True:
            # Every connection sees the same market: one counter for all of them.
            await socket.send(book(int(asyncio.get_running_loop().time() * 50)))
            await asyncio.sleep(0.01)

    async with running(server := Server(behave)) as url:
        stream = MarketStream(endpoints_for("local", local_url=url), ["btcusdt@bookTicker"], max_age_s=0.8)
        events = await take(stream, lambda _: server.connections >= 3)
    assert Disconnected not in kinds(events)
    assert kinds(events).count(Connected) == 1
    ids = [event.update_id for event in events if isinstance(event, BookTickerEvent)]
    assert ids == sorted(set(ids))
    assert max(later - earlier for earlier, later in pairwise(ids)) <= 5  # 0.1 s: no hole


async def test_streams_are_added_and_removed_while_running() -> None:
    async def behave(server: Server, socket: ServerConnection, number: int) -> None:
        while True:
            await asyncio.sleep(0.02)
            await socket.send(book(int(asyncio.get_running_loop().time() * 1000)))

    async with running(server := Server(behave)) as url:
        stream = MarketStream(endpoints_for("local", local_url=url), ["btcusdt@bookTicker"])
        done = False

        async def change() -> None:
            nonlocal done
            await stream.add("ethusdt@bookTicker")
            await stream.remove("btcusdt@bookTicker")
            done = True

        changing: asyncio.Task[None] | None = None
        async for event in stream.events():
            if isinstance(event, Connected):
                changing = asyncio.create_task(change())
            if done:
                await stream.close()
        assert changing is not None
        await changing
    assert [(c["method"], c["params"]) for c in server.controls] == [
        ("SUBSCRIBE", ["btcusdt@bookTicker"]),
        ("SUBSCRIBE", ["ethusdt@bookTicker"]),
        ("UNSUBSCRIBE", ["btcusdt@bookTicker"]),
    ]
    assert stream.streams == ("ethusdt@bookTicker",)


async def test_many_streams_are_subscribed_in_chunks_and_a_refused_chunk_is_told() -> None:
    async def behave(server: Server, socket: ServerConnection, number: int) -> None:
        await asyncio.sleep(0)

    names = [f"s{number}usdt@bookTicker" for number in range(150)]
    async with running(server := Server(behave, refuse=names[149])) as url:
        stream = MarketStream(endpoints_for("local", local_url=url), names)
        events = await take(stream, lambda seen: Connected in kinds(seen))
    assert [len(c["params"]) for c in server.controls] == [100, 50]
    refused = events[0]
    assert isinstance(refused, SubscriptionRefused)
    assert refused.streams == tuple(names[100:])
    assert len(stream.streams) == 100


async def test_a_malformed_message_is_counted_and_does_not_end_the_stream() -> None:
    async def behave(server: Server, socket: ServerConnection, number: int) -> None:
        await server.subscribed.wait()
        await asyncio.sleep(0.4)
        await socket.send("not json")
        await socket.send(
            json.dumps({"stream": "x", "data": {"e": "kline", "s": "BTCUSDT", "k": {"i": "1m"}}})
        )
        await socket.send(kline(60_000, closed=False).replace('"h": "3"', '"h": "NaN"'))
        await socket.send(book(1))

    async with running(Server(behave)) as url:
        stream = MarketStream(endpoints_for("local", local_url=url), ["btcusdt@bookTicker"])
        events = await take(stream, lambda seen: BookTickerEvent in kinds(seen))
    assert kinds(events) == [Connected, BookTickerEvent]
    assert stream.malformed == 2
