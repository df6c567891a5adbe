"""Private events under listen keys, on both markets, and orders over the futures WebSocket API."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from testnet.values import SCALE
from tests.testnet.conftest import Client, Venue
from tests.testnet.usdm.rest import futures_client, limit, mark, market, price
from tests.testnet.usdm.shapes import covers, shape

pytestmark = pytest.mark.asyncio


class Stream:
    """Reads one socket and keeps everything it said."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.seen: list[dict[str, Any]] = []

    async def until(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        """Read until an event has come this often; return those."""
        while True:
            found = [row for row in self.seen if row["e"] == event]
            if len(found) >= count:
                return found
            message = await asyncio.wait_for(self.socket.receive_json(), 5)
            self.seen.append(message.get("data", message))


async def private(venue: Venue, client: Client, path: str = "/private/ws?listenKey={}") -> Stream:
    key = (await client.raw("POST", "/fapi/v1/listenKey")).body["listenKey"]
    stream = Stream(await venue.session.ws_connect(venue.ws + path.format(key)))
    # Subscribed once the hub knows it.
    while not venue.server.exchange.private["usdm"] or not _followed(venue, key):
        await asyncio.sleep(0.01)
    return stream


def _followed(venue: Venue, key: str) -> bool:
    return any(key in client.streams for client in venue.server.service._hub.clients)


def example(folder: Path, name: str) -> Any:
    return json.loads(
        (folder / "payloads_nautilus_rust" / f"futures__user_data_json__{name}.json").read_text()
    )


@pytest.mark.parametrize("path", ["/private/ws?listenKey={}", "/private/stream?streams={}", "/ws/{}"])
async def test_a_trade_is_told_in_the_shapes_of_the_recorded_events(
    venue: Venue, real_data: Path, path: str
) -> None:
    client = futures_client(venue)
    stream = await private(venue, client, path)
    placed = (await market(client, "BUY", "0.010")).body
    updates = await stream.until("ORDER_TRADE_UPDATE", 2)
    lite = (await stream.until("TRADE_LITE"))[0]
    account = (await stream.until("ACCOUNT_UPDATE"))[0]
    assert (updates[0]["o"]["x"], updates[0]["o"]["X"]) == ("NEW", "NEW")
    assert updates[-1]["o"]["i"] == lite["i"] == placed["orderId"]
    theirs = example(real_data, "order_update_trade")
    # The venue sends these two with trailing orders only, whatever the example has.
    for name in ("AP", "cr"):
        del theirs["o"][name]
    assert covers(shape(updates[-1]), shape(theirs)) == []
    assert covers(shape(lite), shape(example(real_data, "trade_lite"))) == []
    assert covers(shape(account), shape(example(real_data, "account_update"))) == []
    assert account["a"]["m"] == "ORDER"
    assert account["a"]["P"][0]["pa"] == "0.010"
    assert set(lite) == set(example(real_data, "trade_lite"))


async def test_algo_updates_have_exactly_the_recorded_members(venue: Venue, real_data: Path) -> None:
    client = futures_client(venue)
    stream = await private(venue, client)
    placed = await client.signed(
        "POST",
        "/fapi/v1/algoOrder",
        algoType="CONDITIONAL",
        symbol="BTCUSDT",
        side="SELL",
        type="TAKE_PROFIT",
        timeInForce="GTC",
        quantity="0.010",
        price=price(venue, mark(venue) * 11 // 10),
        triggerPrice=price(venue, mark(venue) * 11 // 10),
        clientAlgoId="far",
    )
    assert placed.status == 200, placed.body
    twice = await client.signed("DELETE", "/fapi/v1/algoOrder", clientAlgoId="far")
    assert twice.body["code"] == "200"
    new, canceled = await stream.until("ALGO_UPDATE", 2)
    for ours, name in ((new, "algo_update_new"), (canceled, "algo_update_canceled")):
        theirs = example(real_data, name)
        assert set(ours["o"]) == set(theirs["o"])
        assert covers(shape(ours), shape(theirs)) == []
    assert (new["o"]["X"], canceled["o"]["X"]) == ("NEW", "CANCELED")


async def test_liquidation_is_told_as_calculated(venue: Venue, real_data: Path) -> None:
    client = futures_client(venue, "700")
    stream = await private(venue, client)
    await client.signed("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=20)
    assert (await stream.until("ACCOUNT_CONFIG_UPDATE"))[0]["ac"] == {"s": "BTCUSDT", "l": 20}
    opened = await market(client, "BUY", "0.150")
    assert opened.status == 200, opened.body
    listing = venue.exchange.listing("BTCUSDT", "usdm")
    sunk = venue.exchange.marks.mark_of(listing) * 90 // 100
    venue.exchange.marks.sheet("usdm:BTCUSDT").mark = sunk
    venue.exchange.usdm_market.marked(listing, sunk, sunk, venue.exchange.now_ms())
    while True:
        rows = await stream.until("ORDER_TRADE_UPDATE")
        told = [row for row in rows if row["o"]["x"] == "CALCULATED"]
        if told:
            break
        stream.seen.append(await asyncio.wait_for(stream.socket.receive_json(), 5))
    theirs = example(real_data, "order_update_calculated")
    for name in ("AP", "cr"):
        del theirs["o"][name]
    assert covers(shape(told[0]), shape(theirs)) == []
    assert told[0]["o"]["c"].startswith("autoclose-")
    orders = (await client.signed("GET", "/fapi/v1/forceOrders", symbol="BTCUSDT")).body
    assert all(row["clientOrderId"].startswith("autoclose-") for row in orders)
    assert orders


async def test_funding_is_told_with_the_balance_only_in_cross_margin(venue: Venue) -> None:
    client = futures_client(venue)
    await market(client, "BUY", "0.010")
    stream = await private(venue, client)
    listing = venue.exchange.listing("BTCUSDT", "usdm")
    venue.exchange.usdm_market.funding_due(listing, 10_000, 50_000 * SCALE, venue.exchange.now_ms())
    event = (await stream.until("ACCOUNT_UPDATE"))[0]
    # 0.01 * 50000 * 0.0001
    assert event["a"]["m"] == "FUNDING_FEE"
    assert (event["a"]["B"][0]["bc"], event["a"]["P"]) == ("-0.05000000", [])


async def test_faults_drop_and_duplicate_private_events_of_one_account(venue: Venue) -> None:
    client, other = futures_client(venue), futures_client(venue)
    assert client.account is not None
    venue.server.faults.add(
        {
            "match": {"account_id": client.account.account_id, "event": "TRADE_LITE"},
            "effect": {"drop_event": True},
        }
    )
    venue.server.faults.add(
        {
            "match": {"account_id": client.account.account_id, "event": "ACCOUNT_UPDATE"},
            "effect": {"duplicate_event": True},
        }
    )
    stream, untouched = await private(venue, client), await private(venue, other)
    for who in (client, other):
        assert (await market(who, "BUY", "0.010")).status == 200
    await stream.until("ACCOUNT_UPDATE", 2)
    await untouched.until("TRADE_LITE")
    assert not [row for row in stream.seen if row["e"] == "TRADE_LITE"]


async def test_listen_key_is_kept_extended_and_announces_its_end(venue: Venue) -> None:
    client = futures_client(venue)
    first = await client.raw("POST", "/fapi/v1/listenKey")
    assert (await client.raw("POST", "/fapi/v1/listenKey")).body == first.body
    key = first.body["listenKey"]
    assert (await client.raw("PUT", "/fapi/v1/listenKey")).body == {"listenKey": key}
    stream = await private(venue, client)
    found = venue.exchange.listen_keys.of("usdm", client.account.account_id if client.account else "")
    assert found is not None
    assert found.expires_ms == pytest.approx(time.time() * 1000 + 3_600_000, abs=5_000)
    found.expires_ms = 0
    event = (await stream.until("listenKeyExpired"))[0]
    assert event["listenKey"] == key
    gone = await client.raw("PUT", "/fapi/v1/listenKey")
    assert (gone.status, gone.body) == (400, {"code": -1125, "msg": "This listenKey does not exist."})
    assert (await venue.anonymous().raw("POST", "/fapi/v1/listenKey")).code == -2014


async def test_old_spot_listen_key_carries_execution_reports(venue: Venue) -> None:
    client = venue.client(USDT="10000")
    key = (await client.raw("POST", "/api/v3/userDataStream")).body["listenKey"]
    socket = await venue.session.ws_connect(f"{venue.ws}/stream?streams={key}")
    while not _followed(venue, key):
        await asyncio.sleep(0.01)
    bid, _ = venue.best()
    await client.order(
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="0.01",
        price=venue.price(bid * 9 // 10),
    )
    message = await asyncio.wait_for(socket.receive_json(), 5)
    assert message["stream"] == key
    assert (message["data"]["e"], message["data"]["x"]) == ("executionReport", "NEW")
    assert (await client.raw("DELETE", "/api/v3/userDataStream", f"listenKey={key}")).status == 200


async def test_orders_over_the_futures_websocket_api(venue: Venue) -> None:
    client = futures_client(venue)
    socket = await venue.session.ws_connect(venue.ws + "/ws-fapi/v1")

    async def ask(method: str, **params: Any) -> dict[str, Any]:
        params = {"apiKey": client.api_key, "timestamp": int(time.time() * 1000), **params}
        text = "&".join(f"{name}={params[name]}" for name in sorted(params))
        await socket.send_json(
            {"id": method, "method": method, "params": {**params, "signature": client.sign(text)}}
        )
        answer: dict[str, Any] = await asyncio.wait_for(socket.receive_json(), 5)
        return answer

    at = price(venue, mark(venue) * 95 // 100)
    placed = await ask(
        "order.place",
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="0.010",
        price=at,
    )
    assert placed["status"] == 200, placed
    assert {row["rateLimitType"] for row in placed["rateLimits"]} == {"REQUEST_WEIGHT", "ORDERS"}
    order_id = placed["result"]["orderId"]
    changed = await ask(
        "order.modify", symbol="BTCUSDT", side="BUY", orderId=order_id, quantity="0.020", price=at
    )
    assert changed["result"]["origQty"] == "0.020"
    assert (await ask("order.status", symbol="BTCUSDT", orderId=order_id))["result"]["status"] == "NEW"
    assert (await ask("order.cancel", symbol="BTCUSDT", orderId=order_id))["result"]["status"] == "CANCELED"
    for method in (
        "account.balance",
        "v2/account.balance",
        "account.position",
        "v2/account.status",
        "account.status",
    ):
        assert (await ask(method))["status"] == 200, method
    await socket.send_json({"id": 1, "method": "userDataStream.start", "params": {"apiKey": client.api_key}})
    assert len((await socket.receive_json())["result"]["listenKey"]) == 64


async def test_gtx_that_would_take_is_accepted_and_expires(venue: Venue) -> None:
    client = futures_client(venue)
    stream = await private(venue, client)
    at = price(venue, mark(venue) * 101 // 100)
    placed = await limit(client, "BUY", "0.010", at, timeInForce="GTX", newOrderRespType="RESULT")
    assert (placed.status, placed.body["status"]) == (200, "EXPIRED")
    _, expired = await stream.until("ORDER_TRADE_UPDATE", 2)
    assert (expired["o"]["x"], expired["o"]["X"]) == ("EXPIRED", "EXPIRED")


async def test_disconnect_fault_cuts_the_private_stream_of_one_account(venue: Venue) -> None:
    client, other = futures_client(venue), futures_client(venue)
    cut, kept = await private(venue, client), await private(venue, other)
    assert client.account is not None
    async with venue.session.post(
        venue.url + "/testnet/v1/faults",
        json={"match": {"account_id": client.account.account_id}, "effect": {"disconnect": True}},
    ) as answer:
        assert answer.status == 200
    message = await asyncio.wait_for(cut.socket.receive(), 5)
    assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.ERROR)
    assert (await market(other, "BUY", "0.010")).status == 200
    await kept.until("TRADE_LITE")
