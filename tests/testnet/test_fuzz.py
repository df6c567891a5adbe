"""Nothing a client can send breaks the exchange."""

from __future__ import annotations

import asyncio
import json
import random

import websockets

from .conftest import Venue


async def test_fuzzed_parameters_never_break_the_exchange(venue: Venue) -> None:
    rng = random.Random(3)
    client = venue.client(USDT="1000")
    junk = [
        "",
        "0",
        "-1",
        "1e9",
        "9" * 30,
        "NaN",
        "BTCUSDT",
        "%00",
        "\u20ac",
        "[1]",
        "{}",
        "null",
        "' OR 1=1",
        "a" * 300,
    ]
    names = [
        "symbol",
        "limit",
        "interval",
        "startTime",
        "endTime",
        "fromId",
        "orderId",
        "quantity",
        "price",
        "side",
        "type",
        "symbols",
        "recvWindow",
        "timeInForce",
        "origClientOrderId",
        "quoteOrderQty",
    ]
    routes = [
        ("GET", "/api/v3/depth"),
        ("GET", "/api/v3/klines"),
        ("GET", "/api/v3/aggTrades"),
        ("GET", "/api/v3/exchangeInfo"),
        ("GET", "/api/v3/ticker/24hr"),
        ("POST", "/api/v3/order"),
        ("GET", "/api/v3/order"),
        ("DELETE", "/api/v3/order"),
        ("GET", "/api/v3/myTrades"),
        ("GET", "/api/v3/allOrders"),
        ("POST", "/api/v3/order/test"),
    ]
    for _ in range(600):
        method, path = rng.choice(routes)
        params = {name: rng.choice(junk) for name in rng.sample(names, rng.randint(0, 6))}
        if rng.random() < 0.5:
            params["symbol"] = "BTCUSDT"
        answer = await client.signed(method, path, **params)
        assert answer.status < 500, (method, path, params, answer.body)
        if answer.status != 200:
            assert set(answer.body) == {"code", "msg"}
    assert (await client.public("GET", "/api/v3/ping")).status == 200


async def test_fuzzed_frames_never_break_the_exchange(venue: Venue) -> None:
    rng = random.Random(4)
    pieces = [
        "{",
        "}",
        "[",
        "]",
        '"method"',
        ":",
        '"order.place"',
        ",",
        '"params"',
        "null",
        "1e400",
        '"id"',
        "\\u0000",
        '"SUBSCRIBE"',
        '["btcusdt@trade"]',
        "true",
    ]
    fixed = [
        '{"id":{},"method":"ping"}',
        '{"id":1,"method":5}',
        '{"id":1,"method":"order.place","params":[]}',
        '{"id":1,"method":"order.place","params":{"symbol":{}}}',
        "[]",
        "7",
        '"x"',
        '{"id":1}',
        '{"id":1,"method":"userDataStream.unsubscribe","params":{"subscriptionId":[1]}}',
        '{"id":1,"method":"session.logon","params":{}}',
    ]
    for path in ("/ws-api/v3", "/ws"):
        async with websockets.connect(venue.ws + path) as connection:
            for _ in range(150):
                text = rng.choice([*fixed, "".join(rng.choices(pieces, k=rng.randint(1, 9)))])
                await connection.send(text)
                answer = json.loads(await asyncio.wait_for(connection.recv(), 5))
                assert isinstance(answer, dict)
    assert (await venue.anonymous().public("GET", "/api/v3/ping")).status == 200
