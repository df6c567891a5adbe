"""Malformed requests and frames never kill the exchange: every answer is JSON with a code."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest
import websockets

from testnet.usdm.api import prices, public, statistics, tickers
from tests.testnet.conftest import SHARES, Venue

PATHS = [endpoint.path for module in (public, tickers, prices, statistics) for endpoint in module.ENDPOINTS]
NAMES = ("symbol", "pair", "interval", "period", "limit", "startTime", "endTime", "fromId", "contractType")
VALUES = (
    *("BTCUSDT", "ETHUSDT", "NOUSDT", "btcusdt", "", "[]", "1m", "1M", "1w", "5m", "7x", "PERPETUAL"),
    *(
        "0",
        "1",
        "-1",
        "1500",
        "99999999999999999999",
        "1e5",
        "1.5",
        "\u00e9",
        "%00",
        "\x00",
        "'",
        '"',
        "9" * 300,
    ),
    *("1750000020000", "1750000020000000", "true", "null", "{}"),
)


@SHARES
@pytest.mark.parametrize("path", PATHS)
async def test_any_parameters_get_json_and_no_server_error(shared_venue: Venue, path: str) -> None:
    client, rng = shared_venue.anonymous(), random.Random(path)
    for _ in range(25):
        params = {name: rng.choice(VALUES) for name in rng.sample(NAMES, rng.randint(0, 6))}
        answer = await client.public("GET", path, **params)
        assert answer.status in (200, 400), (params, answer.body)
        assert isinstance(answer.body, list | dict), (params, answer.body)
        if answer.status == 400:
            assert set(answer.body) == {"code", "msg"}


def frame(rng: random.Random) -> str | bytes:
    """A control frame with something wrong in it, or nothing of one."""
    kind = rng.randrange(6)
    if kind == 0:
        return "".join(chr(rng.randrange(32, 0x2FF)) for _ in range(rng.randrange(60)))
    if kind == 1:
        return "[" * rng.randrange(1, 5_000)
    if kind == 2:
        return json.dumps(rng.choice([None, 5, [], {}, "x", {"method": None}, {"id": {}}]))
    message: dict[str, Any] = {
        "method": rng.choice(["SUBSCRIBE", "UNSUBSCRIBE", "SET_PROPERTY", "GET_PROPERTY", "LIST", 7]),
        "params": rng.choice(
            [
                [],
                ["btcusdt@trade"],
                [5],
                "x",
                None,
                ["combined", 1],
                ["a" * 5_000],
                ["!", "@", "@@", "@markPrice"],
            ]
        ),
        "id": rng.choice([1, "x", None, True, "y" * 50, -3, 1.5]),
    }
    text = json.dumps(message)
    return text if kind < 5 else text[: rng.randrange(len(text))]


@SHARES
@pytest.mark.parametrize("path", ["/ws", "/stream", "/market/stream", "/private/ws/" + "k" * 64])
async def test_any_frame_gets_json_and_the_next_one_too(shared_venue: Venue, path: str) -> None:
    rng = random.Random(path)
    async with websockets.connect(shared_venue.ws + path) as socket:
        for _ in range(120):
            await socket.send(frame(rng))
            answer = json.loads(await asyncio.wait_for(socket.recv(), 5))
            assert "result" in answer or {"code", "msg"} <= set(answer)
        await socket.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": 77}))
        while json.loads(await asyncio.wait_for(socket.recv(), 5)).get("id") != 77:
            continue
