"""Malformed input on every wire: the exchange answers each with a code, and goes on."""

from __future__ import annotations

import asyncio
import json
import random
import string
import time
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
import websockets

from testnet.api.gate import BY_WS_METHOD, ENDPOINTS

from ..conftest import Answer, Client, Venue

JUNK = [
    "",
    "0",
    "-1",
    "1e5",
    "NaN",
    "true",
    "null",
    "[]",
    "{}",
    "9" * 25,
    "0.000000001",
    "\x00",
    "é",
    "٣",
    "a" * 300,
    "BTCUSDT",
    "btcusdt",
    '["BTCUSDT"]',
    '["NOPE"]',
    "[" * 50,
    "%",
    "'; DROP TABLE orders;--",
    "LIMIT",
    "MARKET",
    "STOP_LOSS",
    "BUY",
    "GTC",
    "1m",
    "64000",
    "0.01",
]
NAMES = [
    *("symbol", "symbols", "side", "type", "timeInForce", "quantity", "quoteOrderQty", "price", "stopPrice"),
    *("trailingDelta", "icebergQty", "newClientOrderId", "orderId", "origClientOrderId", "limit", "interval"),
    *("startTime", "endTime", "fromId", "newOrderRespType", "selfTradePreventionMode", "strategyType"),
    *("aboveType", "belowType", "abovePrice", "belowPrice", "aboveStopPrice", "workingType", "pendingType"),
    *("pendingSide", "workingSide", "newQty", "cancelReplaceMode", "cancelOrderId", "windowSize", "timeZone"),
    *("orderListId", "preventedMatchId", "timestamp", "recvWindow", "signature", "listenKey", "leverage"),
    *("batchOrders", "positionSide", "reduceOnly", "countdownTime", "algoType", "triggerPrice", "pair"),
]
GOOD = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "60000",
    "interval": "1m",
    "limit": "5",
}


def guess(rng: random.Random) -> dict[str, str]:
    """A request that is partly right."""
    values = {name: value for name, value in GOOD.items() if rng.random() < 0.6}
    for _ in range(rng.randint(0, 4)):
        values[rng.choice(NAMES)] = rng.choice(JUNK)
    if rng.random() < 0.1:
        values["".join(rng.choices(string.printable, k=5))] = rng.choice(JUNK)
    return values


def assert_answered(answer: Answer, asked: object) -> None:
    assert answer.status < 500 or answer.status in (503, 504), (asked, answer.status, answer.body)
    assert isinstance(answer.body, dict | list), (asked, answer.body)
    if answer.status >= 400:
        assert isinstance(answer.body["code"], int), (asked, answer.body)
        assert isinstance(answer.body["msg"], str), (asked, answer.body)


async def test_rest_answers_every_mutated_request_with_json_and_a_code(venue: Venue) -> None:
    rng = random.Random(1)
    client = venue.client(USDT="100000", BTC="10")
    codes: set[int] = set()
    for endpoint in ENDPOINTS:
        for _ in range(14):
            values = guess(rng)
            if "timestamp" in values or rng.random() < 0.1:
                answer = await client.raw(endpoint.method, endpoint.path, urlencode(values))
            else:
                in_body = endpoint.method != "GET" and rng.random() < 0.5
                answer = await client.signed(endpoint.method, endpoint.path, in_body=in_body, **values)
            assert_answered(answer, (endpoint.method, endpoint.path, values))
            if answer.status != 200:
                codes.add(answer.code)
    assert codes >= {-1100, -1102, -1104, -1121}
    assert (await client.raw("GET", "/api/v3/ping")).body == {}


async def test_rest_answers_raw_bytes_that_are_no_parameters(venue: Venue) -> None:
    rng = random.Random(2)
    client = venue.client(USDT="100000")
    for _ in range(150):
        text = quote_plus(bytes(rng.randrange(256) for _ in range(rng.randint(0, 60))), safe="&=%+")
        method = rng.choice(["GET", "POST", "PUT", "DELETE", "PATCH"])
        path = rng.choice(
            ["/api/v3/order", "/api/v3/klines", "/api/v3/nothing", "/sapi/v1/x", "/fapi/v1/order"]
        )
        assert_answered(await client.raw(method, path, text, text if method != "GET" else ""), (method, path))
    assert (await client.raw("GET", "/api/v3/ping")).body == {}


@pytest.mark.parametrize(("market", "path"), [("spot", "/ws-api/v3"), ("usdm", "/ws-fapi/v1")])
async def test_websocket_api_answers_every_frame_and_stays_open(venue: Venue, market: str, path: str) -> None:
    rng = random.Random(3)
    client = venue.client(USDT="100000", BTC="10")
    methods = [
        *BY_WS_METHOD[market],
        "session.logon",
        "session.status",
        "userDataStream.subscribe",
        "nothing",
    ]
    async with websockets.connect(venue.ws + path) as socket:
        for number in range(400):
            await socket.send(json.dumps(frame(rng, client, rng.choice(methods), number)))
            answer = json.loads(await asyncio.wait_for(socket.recv(), 5))
            assert answer["status"] < 500, answer
            assert "result" in answer or isinstance(answer["error"]["code"], int)
        for text in ("", "{", "[]", "null", '"x"', "1", '{"id":{}}', '{"id":1,"method":7}', "[" * 20_000):
            await socket.send(text)
            answer = json.loads(await asyncio.wait_for(socket.recv(), 5))
            assert (answer["status"], isinstance(answer["error"]["code"], int)) == (400, True), text[:20]
        await socket.send(json.dumps({"id": "alive", "method": "ping"}))
        assert json.loads(await asyncio.wait_for(socket.recv(), 5))["status"] == 200


def frame(rng: random.Random, client: Client, method: str, number: int) -> dict[str, Any]:
    values: dict[str, Any] = dict(guess(rng))
    for name in rng.sample(NAMES, 2):
        if rng.random() < 0.3:
            values[name] = rng.choice([None, True, 1.5, 10**30, [1, [2]], {"a": 1}, [], -7])
    if rng.random() < 0.7:
        values |= {"apiKey": client.api_key, "timestamp": int(time.time() * 1000)}
        try:
            payload = "&".join(f"{name}={values[name]}" for name in sorted(values) if name != "signature")
            values["signature"] = client.sign(payload)
        except UnicodeEncodeError:
            values["signature"] = "x"
    identity: Any = rng.choice([number, f"id-{number}", None])
    return {"id": identity, "method": method, "params": values}


async def test_stream_sockets_survive_every_frame(venue: Venue) -> None:
    rng = random.Random(4)
    texts = ["", "{", "[]", "null", "1", '"x"', "[" * 20_000, '{"method":5}', '{"method":"SUBSCRIBE"}']
    paths = (
        *("/ws", "/stream", "/ws/btcusdt@trade", "/stream?streams=btcusdt@nothing/é", "/ws/7"),
        *("/public/ws", "/market/stream", "/private/ws?listenKey=é", "/fstream/ws/btcusdt@markPrice"),
    )
    for path in paths:
        async with websockets.connect(venue.ws + path) as socket:
            for number in range(4):
                method = rng.choice(
                    ["SUBSCRIBE", "UNSUBSCRIBE", "SET_PROPERTY", "LIST_SUBSCRIPTIONS", "x", ""]
                )
                params = rng.choice([None, 5, "x", [], [5], ["btcusdt@trade"], ["é" * 50], {"a": 1}, [[]]])
                await socket.send(json.dumps({"method": method, "params": params, "id": number}))
                await socket.send(rng.choice(texts))
                await socket.send(bytes(rng.randrange(256) for _ in range(20)))
                await socket.ping()
    assert (await venue.anonymous().raw("GET", "/api/v3/ping")).body == {}
    async with websockets.connect(venue.ws + "/ws") as socket:
        await socket.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": 1}))
        assert json.loads(await asyncio.wait_for(socket.recv(), 5)) == {"result": [], "id": 1}
