"""Keys of every type, times in either unit, and what clients ask for when they start."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import pytest
import websockets
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from testnet.account_setup import create_account

from ..conftest import Client, StartVenue, Venue
from .wire import ask_plain


def shape(body: dict[str, Any]) -> dict[str, str]:
    return {name: type(value).__name__ for name, value in body.items()}


async def test_ed25519_session_places_orders_without_further_signatures(venue: Venue) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    description = {"balances": {"USDT": "1000"}, "key_type": "ED25519", "public_key": pem}
    _, keys = create_account(venue.exchange, description)
    bid, _ = venue.best()
    async with websockets.connect(venue.ws + "/ws-api/v3?timeUnit=MICROSECOND") as socket:
        logon: dict[str, Any] = {"apiKey": keys[0].api_key, "timestamp": int(time.time() * 1000)}
        text = "&".join(f"{name}={logon[name]}" for name in sorted(logon))
        logon["signature"] = base64.b64encode(private.sign(text.encode())).decode()
        answer = await ask_plain(socket, "session.logon", logon)
        assert answer["result"]["apiKey"] == keys[0].api_key
        order = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.001",
            "price": venue.price(bid - 500),
        }
        assert (await ask_plain(socket, "userDataStream.subscribe", {}))["status"] == 200
        placed = await ask_plain(socket, "order.place", order)
        assert placed["result"]["status"] == "NEW"
        assert placed["result"]["transactTime"] == venue.exchange.now_ms() * 1000
        await socket.send(json.dumps({"id": 1, "method": "order.place", "params": order}))
        report: dict[str, Any] = {}
        while report.get("e") != "executionReport":
            report = json.loads(await asyncio.wait_for(socket.recv(), 5)).get("event", {})
        assert report["T"] == report["W"] == venue.exchange.now_ms() * 1000
        await ask_plain(socket, "session.logout", {})
        assert (await ask_plain(socket, "order.place", order))["error"]["code"] == -2014


async def test_rsa_key_signs_rest_requests(venue: Venue) -> None:
    private = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    account, keys = create_account(venue.exchange, {"key_type": "RSA", "public_key": pem})
    client = Client(venue.url, venue.session, keys[0].api_key, "", account)
    query = f"timestamp={int(time.time() * 1000)}"
    signature = base64.b64encode(private.sign(query.encode(), padding.PKCS1v15(), SHA256())).decode()
    quoted = signature.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    good = await client.raw("GET", "/api/v3/account", f"{query}&signature={quoted}")
    assert good.status == 200
    other = query.replace("timestamp=1", "timestamp=01", 1)
    bad = await client.raw("GET", "/api/v3/account", f"{other}&signature={quoted}")
    assert bad.body == {"code": -1022, "msg": "Signature for this request is not valid."}


@pytest.mark.parametrize("unit", ["MICROSECOND", "microsecond"])
async def test_times_come_in_microseconds_when_asked(venue: Venue, unit: str) -> None:
    headers = {"X-MBX-TIME-UNIT": unit}
    async with venue.session.get(venue.url + "/api/v3/time", headers=headers) as answer:
        body = await answer.json()
    assert abs(body["serverTime"] / 1e6 - time.time()) < 5
    url = venue.url + "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1"
    async with venue.session.get(url, headers=headers) as answer:
        rows = await answer.json()
    assert (rows[0][0] % 60_000_000, rows[0][6] - rows[0][0]) == (0, 59_999_000)
    async with venue.session.get(url, headers={"X-MBX-TIME-UNIT": "WEEK"}) as answer:
        assert (await answer.json())["code"] == -1194


async def test_what_clients_ask_at_start_is_there(start_venue: StartVenue) -> None:
    venue = await start_venue(rate_limits=True)
    client = venue.client(USDT="10", BNB="1")
    await venue.advance(5_000)
    signed = (
        ("GET", "/sapi/v1/capital/config/getall"),
        ("POST", "/sapi/v3/asset/getUserAsset"),
        ("GET", "/sapi/v1/asset/tradeFee"),
        ("GET", "/sapi/v1/bnbBurn"),
        ("GET", "/sapi/v1/account/status"),
        ("GET", "/sapi/v1/account/apiRestrictions"),
        ("GET", "/api/v3/rateLimit/order"),
        ("GET", "/api/v3/openOrderList"),
    )
    for method, path in signed:
        assert (await client.signed(method, path)).status == 200, path
    assert (await client.signed("GET", "/api/v3/myAllocations", symbol="BTCUSDT")).body == []
    for path in ("/sapi/v1/margin/allPairs", "/sapi/v1/margin/isolated/allPairs"):
        assert (await client.raw("GET", path)).body == []
    assert (await client.raw("GET", "/dapi/v1/exchangeInfo")).body["symbols"] == []
    none = await client.public("GET", "/api/v3/referencePrice", symbol="BTCUSDT")
    assert none.code == -2043
    burn = await client.signed("POST", "/sapi/v1/bnbBurn", spotBNBBurn="true")
    assert burn.body == {"spotBNBBurn": True, "interestBNBBurn": False}
    commission = await client.signed("GET", "/api/v3/account/commission", symbol="BTCUSDT")
    assert commission.body["discount"] == {
        "enabledForAccount": True,
        "enabledForSymbol": True,
        "discountAsset": "BNB",
        "discount": "0.25000000",
    }
    window = await client.public("GET", "/api/v3/ticker", symbol="BTCUSDT", windowSize="4h")
    day = await client.public("GET", "/api/v3/ticker/tradingDay", symbol="BTCUSDT", timeZone="-3:30")
    assert shape(window.body) == shape(day.body)
    wrong = await client.public("GET", "/api/v3/ticker", symbol="BTCUSDT", windowSize="24h")
    assert wrong.code == -1100
    seconds = await client.public("GET", "/api/v3/klines", symbol="BTCUSDT", interval="1s", limit=3)
    assert [row[6] - row[0] for row in seconds.body] == [999] * len(seconds.body)
