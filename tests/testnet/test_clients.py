"""Unmodified client libraries pointed at the exchange."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import websockets
from binance import AsyncClient, BinanceSocketManager
from binance.exceptions import BinanceAPIException

from .conftest import Client, StartVenue, Venue


def client_class(venue: Venue) -> type[AsyncClient]:
    class LocalClient(AsyncClient):  # type: ignore[misc]
        API_URL = f"{venue.url}/api"
        MARGIN_API_URL = f"{venue.url}/sapi"
        WS_API_URL = f"{venue.ws}/ws-api/v3"

    return LocalClient


@contextlib.asynccontextmanager
async def binance_client(venue: Venue, client: Client) -> AsyncIterator[AsyncClient]:
    made = await client_class(venue).create(client.api_key, client.secret)
    try:
        yield made
    finally:
        await made.close_connection()


async def test_python_binance_places_queries_and_cancels(venue: Venue) -> None:
    owner = venue.client(USDT="100000")
    async with binance_client(venue, owner) as client:
        info = await client.get_symbol_info("BTCUSDT")
        assert {f["filterType"] for f in info["filters"]} >= {
            "PRICE_FILTER",
            "LOT_SIZE",
            "MARKET_LOT_SIZE",
            "NOTIONAL",
            "PERCENT_PRICE_BY_SIDE",
            "MAX_NUM_ORDERS",
        }
        price = venue.price(venue.best()[0] - 500)
        placed = await client.order_limit_buy(symbol="BTCUSDT", quantity="0.01", price=price)
        assert placed["status"] == "NEW"
        found = await client.get_order(symbol="BTCUSDT", orderId=placed["orderId"])
        assert Decimal(found["price"]) == Decimal(price)
        assert [o["orderId"] for o in await client.get_open_orders()] == [placed["orderId"]]
        canceled = await client.cancel_order(symbol="BTCUSDT", orderId=placed["orderId"])
        assert canceled["status"] == "CANCELED"
        bought = await client.order_market_buy(symbol="BTCUSDT", quantity="0.01")
        assert bought["status"] == "FILLED"
        trades = await client.get_my_trades(symbol="BTCUSDT")
        assert sum(Decimal(t["qty"]) for t in trades) == Decimal("0.01")
        with pytest.raises(BinanceAPIException) as refused:
            await client.order_market_buy(symbol="BTCUSDT", quantity="100")
        assert (refused.value.code, refused.value.status_code) in ((-2010, 400), (-1013, 400))
        # Exponent notation is what a float becomes; the venue refuses it.
        with pytest.raises(BinanceAPIException) as exponent:
            await client.order_limit_buy(symbol="BTCUSDT", quantity=0.00001, price=price)
        assert exponent.value.code == -1100


async def test_python_binance_reads_market_data(venue: Venue) -> None:
    async with binance_client(venue, venue.client(USDT="1")) as client:
        rows = await client.get_klines(symbol="BTCUSDT", interval="1h", limit=10)
        assert len(rows) == 10
        assert all(later[0] - earlier[0] == 3_600_000 for earlier, later in itertools.pairwise(rows))
        for row in rows:
            low, high = Decimal(row[3]), Decimal(row[2])
            assert low <= min(Decimal(row[1]), Decimal(row[4]))
            assert high >= max(Decimal(row[1]), Decimal(row[4]))
        assert len((await client.get_order_book(symbol="BTCUSDT", limit=5))["bids"]) == 5
        assert len(await client.get_ticker()) == 2
        assert (await client.get_symbol_ticker(symbol="ETHUSDT"))["symbol"] == "ETHUSDT"
        assert (await client.get_orderbook_ticker(symbol="ETHUSDT"))["askPrice"]
        fee = await client.get_trade_fee(symbol="BTCUSDT")
        assert fee[0]["takerCommission"] == "0.001"
        restrictions = await client.get_account_api_permissions()
        assert restrictions["enableReading"] is True


async def test_python_binance_receives_klines_and_trades(start_venue: StartVenue) -> None:
    venue = await start_venue(speed=60.0)
    async with binance_client(venue, venue.client(USDT="1")) as client:

        class LocalSockets(BinanceSocketManager):  # type: ignore[misc]
            STREAM_URL = f"{venue.ws}/"

        sockets = LocalSockets(client)
        seen: dict[str, Any] = {}
        async with sockets.multiplex_socket(
            ["btcusdt@kline_1m", "btcusdt@trade", "btcusdt@bookTicker", "ethusdt@depth5@100ms"]
        ) as stream:
            for _ in range(400):
                message = await asyncio.wait_for(stream.recv(), 5)
                data = message["data"]
                if "@kline" in message["stream"] and not data["k"]["x"]:
                    continue
                seen[message["stream"]] = data
                if len(seen) == 4:
                    break
        assert set(seen) == {
            "btcusdt@kline_1m",
            "btcusdt@trade",
            "btcusdt@bookTicker",
            "ethusdt@depth5@100ms",
        }
        assert set(seen["btcusdt@kline_1m"]["k"]) == set("tTsifLochlvnxqVQB")
        assert set(seen["btcusdt@trade"]) == set("eEstpqTmM")
        assert set(seen["btcusdt@bookTicker"]) == set("usbBaA")
        assert len(seen["ethusdt@depth5@100ms"]["bids"]) == 5


@pytest.mark.long
async def test_python_binance_follows_its_orders_over_the_user_stream(venue: Venue) -> None:
    owner = venue.client(USDT="100000")
    async with binance_client(venue, owner) as client:
        sockets = BinanceSocketManager(client)
        socket = sockets.user_socket()
        async with socket as stream:
            await client.order_market_buy(symbol="BTCUSDT", quantity="0.01", newClientOrderId="follow-me")
            events = [await asyncio.wait_for(stream.recv(), 5) for _ in range(3)]
        reports = [e for e in events if e["e"] == "executionReport"]
        assert [(r["x"], r["X"], r["c"]) for r in reports] == [
            ("NEW", "NEW", "follow-me"),
            ("TRADE", "FILLED", "follow-me"),
        ]
        position = next(e for e in events if e["e"] == "outboundAccountPosition")
        assert {row["a"] for row in position["B"]} == {"BTC", "USDT"}


EVENTS: list[dict[str, Any]] = []


async def ask(socket: Any, method: str, request_id: Any = 1, **params: Any) -> dict[str, Any]:
    """One answer; events that arrive before it are kept in EVENTS."""
    await socket.send(json.dumps({"id": request_id, "method": method, "params": params}))
    while True:
        answer: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 5))
        if "subscriptionId" not in answer:
            return answer
        EVENTS.append(answer["event"])


def signed(client: Client, **params: Any) -> dict[str, Any]:
    values = {**params, "apiKey": client.api_key, "timestamp": int(time.time() * 1000)}
    payload = "&".join(f"{k}={values[k]}" for k in sorted(values))
    return {**values, "signature": client.sign(payload)}


async def test_raw_websocket_api_trades_and_answers_with_rate_limits(venue: Venue) -> None:
    EVENTS.clear()
    client = venue.client(USDT="100000")
    async with websockets.connect(f"{venue.ws}/ws-api/v3") as socket:
        pong = await ask(socket, "ping", "an-id")
        assert (pong["id"], pong["status"], pong["result"]) == ("an-id", 200, {})
        assert pong["rateLimits"][0]["rateLimitType"] == "REQUEST_WEIGHT"
        subscribed = await ask(socket, "userDataStream.subscribe.signature", 2, **signed(client))
        assert subscribed["result"] == {"subscriptionId": 0}
        again = await ask(socket, "userDataStream.subscribe.signature", 3, **signed(client))
        assert (again["status"], again["error"]["code"]) == (400, -2035)
        price = venue.price(venue.best()[0] - 400)
        placed = await ask(
            socket,
            "order.place",
            None,
            **signed(
                client,
                symbol="BTCUSDT",
                side="BUY",
                type="LIMIT",
                timeInForce="GTC",
                price=price,
                quantity="0.01",
                newClientOrderId="w1",
            ),
        )
        assert placed["status"] == 200
        canceled = await ask(
            socket,
            "order.cancel",
            5,
            **signed(client, symbol="BTCUSDT", origClientOrderId="w1", newClientOrderId="c1"),
        )
        assert canceled["result"]["status"] == "CANCELED"
        while not any(event.get("x") == "CANCELED" for event in EVENTS):
            EVENTS.append(json.loads(await asyncio.wait_for(socket.recv(), 5)).get("event", {}))
        canceled_event = next(event for event in EVENTS if event.get("x") == "CANCELED")
        assert (canceled_event["c"], canceled_event["C"]) == ("c1", "w1")
        silent = await ask(socket, "time", 6, returnRateLimits=False)
        assert "rateLimits" not in silent
        unknown = await ask(socket, "no.such.method", 7)
        assert unknown["status"] == 400
        left = await ask(socket, "userDataStream.unsubscribe", 8, subscriptionId=0)
        assert left["result"] == {}


async def test_subscriptions_change_over_one_connection_whatever_its_path(venue: Venue) -> None:
    for path in ("/ws", "/ws/7", "/stream/ws", "/stream", "/market/stream", "/public/ws"):
        async with websockets.connect(venue.ws + path) as socket:
            request = {"method": "SUBSCRIBE", "params": ["btcusdt@trade", "btcusdt@depth"], "id": "a"}
            await socket.send(json.dumps(request))
            assert json.loads(await socket.recv()) == {"result": None, "id": "a"}
            await socket.send('{"method": "UNSUBSCRIBE", "params": ["btcusdt@depth"], "id": 2}')
            assert json.loads(await socket.recv()) == {"result": None, "id": 2}
            await socket.send('{"method": "LIST_SUBSCRIPTIONS", "id": 3}')
            assert json.loads(await socket.recv()) == {"result": ["btcusdt@trade"], "id": 3}
            await socket.send('{"method": "DANCE", "id": 4}')
            assert json.loads(await socket.recv())["code"] == 2


async def test_book_kept_from_snapshot_and_diffs_equals_the_exchange_book(start_venue: StartVenue) -> None:
    venue = await start_venue(speed=20.0)
    async with websockets.connect(f"{venue.ws}/ws/btcusdt@depth@100ms") as socket:
        buffered = [json.loads(await socket.recv())]
        snapshot = (await venue.anonymous().public("GET", "/api/v3/depth", symbol="BTCUSDT", limit=5000)).body
        last = snapshot["lastUpdateId"]
        bids = dict(snapshot["bids"])
        asks = dict(snapshot["asks"])
        assert buffered[0]["U"] <= last + 1, "the snapshot must not be older than the first event"
        previous: int | None = None
        for index in range(15):
            event = buffered.pop(0) if buffered else json.loads(await asyncio.wait_for(socket.recv(), 5))
            if index == 14:
                # Stop the market, then drain what was already on its way.
                venue.exchange.clock.set_speed(0)
            if event["u"] <= last:
                continue
            if previous is None:
                assert event["U"] <= last + 1 <= event["u"]
            else:
                assert event["U"] == previous + 1
            previous = event["u"]
            apply_diff(bids, event["b"])
            apply_diff(asks, event["a"])
        with contextlib.suppress(TimeoutError):
            while True:
                event = json.loads(await asyncio.wait_for(socket.recv(), 0.5))
                assert previous is None or event["U"] == previous + 1
                previous = event["u"]
                apply_diff(bids, event["b"])
                apply_diff(asks, event["a"])
        assert previous is not None
        final = (await venue.anonymous().public("GET", "/api/v3/depth", symbol="BTCUSDT", limit=5000)).body
        assert bids == dict(final["bids"])
        assert asks == dict(final["asks"])


def apply_diff(side: dict[str, str], changes: list[list[str]]) -> None:
    for price, quantity in changes:
        if Decimal(quantity) == 0:
            side.pop(price, None)
        else:
            side[price] = quantity


@pytest.mark.long
async def test_client_that_does_not_read_is_dropped_and_others_keep_receiving(venue: Venue) -> None:
    async with websockets.connect(f"{venue.ws}/ws/btcusdt@trade", max_queue=1) as slow:
        connection = next(iter(venue.server.service._hub.clients))
        text = json.dumps({"padding": "x" * 4000})
        for _ in range(12_000):
            connection.send(text)
        await asyncio.sleep(0.05)
        assert connection.closed
        with pytest.raises(websockets.ConnectionClosed):
            await read_to_the_end(slow)
    async with websockets.connect(f"{venue.ws}/ws/btcusdt@trade") as quick:
        await asyncio.sleep(0.05)
        await venue.advance(5_000)
        assert json.loads(await asyncio.wait_for(quick.recv(), 5))["e"] == "trade"


async def read_to_the_end(socket: Any) -> None:
    while True:
        await asyncio.wait_for(socket.recv(), 5)
