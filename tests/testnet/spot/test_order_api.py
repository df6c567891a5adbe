"""Conditional orders, lists, replacements and prevented matches over REST and the WebSocket API."""

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


def shape(body: dict[str, Any]) -> dict[str, str]:
    return {name: type(value).__name__ for name, value in body.items()}


async def test_stop_order_waits_triggers_and_tells_its_story(venue: Venue) -> None:
    client = venue.client(BTC="1")
    bid, _ = venue.best()
    stop = venue.price(bid - 100)
    async with subscribed(venue, client) as events:
        placed = await client.order(
            symbol="BTCUSDT",
            side="SELL",
            type="STOP_LOSS_LIMIT",
            timeInForce="GTC",
            quantity="0.01",
            price=venue.price(bid - 5_000),
            stopPrice=stop,
        )
        assert set(placed.body) == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
        order_id = placed.body["orderId"]
        which = {"symbol": "BTCUSDT", "orderId": order_id}
        waiting = (await client.signed("GET", "/api/v3/order", **which)).body
        assert (waiting["status"], waiting["isWorking"], waiting["workingTime"]) == ("NEW", False, -1)
        assert waiting["stopPrice"] == f"{stop}"
        listing = venue.exchange.listing("BTCUSDT")
        venue.exchange.spot.background_take(listing, "SELL", bid - 200, 10**9)
        filled = (await client.signed("GET", "/api/v3/order", **which)).body
        assert (filled["status"], filled["isWorking"]) == ("FILLED", True)
        reports = await told(events, "executionReport", until="FILLED")
    first, second = reports[:2]
    assert (first["x"], first["X"], first["w"], first["P"], "W" in first) == (
        "NEW",
        "NEW",
        False,
        stop,
        False,
    )
    assert (second["x"], second["X"], second["W"]) == ("NEW", "NEW", filled["workingTime"])
    assert {report["x"] for report in reports[2:]} == {"TRADE"}


async def test_oco_over_rest_from_placement_to_cancel(venue: Venue) -> None:
    client = venue.client(BTC="1")
    bid, ask = venue.best()
    oco = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "quantity": "0.01",
        "aboveType": "LIMIT_MAKER",
        "abovePrice": venue.price(ask + 1_000),
        "belowType": "STOP_LOSS_LIMIT",
        "belowStopPrice": venue.price(bid - 1_000),
        "belowPrice": venue.price(bid - 1_100),
        "belowTimeInForce": "GTC",
        "listClientOrderId": "my-list",
    }
    async with subscribed(venue, client) as events:
        placed = await client.signed("POST", "/api/v3/orderList/oco", **oco)
        assert placed.status == 200, placed.body
        assert placed.headers["X-MBX-ORDER-COUNT-10S"] == "2"
        body = placed.body
        assert {k: body[k] for k in ("contingencyType", "listStatusType", "listOrderStatus")} == {
            "contingencyType": "OCO",
            "listStatusType": "EXEC_STARTED",
            "listOrderStatus": "EXECUTING",
        }
        assert [report["type"] for report in body["orderReports"]] == ["STOP_LOSS_LIMIT", "LIMIT_MAKER"]
        assert [report["workingTime"] for report in body["orderReports"]] == [
            -1,
            body["orderReports"][1]["transactTime"],
        ]
        assert {report["orderListId"] for report in body["orderReports"]} == {body["orderListId"]}
        by_name = await client.signed("GET", "/api/v3/orderList", origClientOrderId="my-list")
        assert by_name.body == {k: v for k, v in body.items() if k != "orderReports"}
        assert (await client.signed("GET", "/api/v3/openOrderList")).body == [by_name.body]
        again = await client.signed("POST", "/api/v3/orderList/oco", **oco)
        assert again.body == {"code": -2010, "msg": "Duplicate order sent."}
        gone = await client.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
        assert [row["listOrderStatus"] for row in gone.body] == ["ALL_DONE"]
        assert [row["status"] for row in gone.body[0]["orderReports"]] == ["CANCELED"] * 2
        assert (await client.signed("GET", "/api/v3/openOrderList")).body == []
        everything = (await client.signed("GET", "/api/v3/allOrderList")).body
        assert [row["listStatusType"] for row in everything] == ["ALL_DONE"]
        which = {"symbol": "BTCUSDT", "orderListId": body["orderListId"]}
        twice = await client.signed("DELETE", "/api/v3/orderList", **which)
        assert twice.body == {"code": -2011, "msg": "Unknown order list sent."}
        statuses = await told(events, "listStatus", until="ALL_DONE", member="L")
    assert [(event["l"], event["L"], event["c"]) for event in statuses] == [
        ("EXEC_STARTED", "EXECUTING", "OCO"),
        ("ALL_DONE", "ALL_DONE", "OCO"),
    ]
    for event in statuses:
        assert [row["i"] for row in event["O"]] == [o["orderId"] for o in body["orders"]]


OCO_REFUSALS = [
    ({"aboveType": "MARKET"}, -1158, "Order type not supported in OCO."),
    (
        {"aboveType": "LIMIT_MAKER", "belowType": "LIMIT_MAKER"},
        -1168,
        "At least one OCO order must be contingent.",
    ),
    ({"side": "BUY", "aboveType": "LIMIT_MAKER"}, -1165, "A limit order in a buy OCO must be below."),
    (
        {"belowType": "LIMIT_MAKER", "aboveType": "TAKE_PROFIT"},
        -1166,
        "A limit order in a sell OCO must be above.",
    ),
    (
        {"side": "BUY", "aboveType": "STOP_LOSS"},
        -1196,
        "A stop loss order in a buy OCO must be above.",
    ),
    ({"aboveType": "STOP_LOSS"}, -1197, "A stop loss order in a sell OCO must be below."),
    (
        {"side": "BUY", "aboveType": "TAKE_PROFIT", "belowType": "TAKE_PROFIT"},
        -1198,
        "A take profit order in a buy OCO must be below.",
    ),
    ({"belowType": "TAKE_PROFIT"}, -1199, "A take profit order in a sell OCO must be above."),
    (
        {"belowTimeInForce": "IOC", "belowIcebergQty": "0.001"},
        -1160,
        "Parameter 'belowIcebergQty' is not supported if 'belowTimeInForce' is not GTC.",
    ),
    (
        {"belowPrice": ""},
        -1102,
        "Mandatory parameter 'belowPrice' was not sent, was empty/null, or malformed.",
    ),
    ({"belowStopPrice": "x"}, -1100, None),
    ({"colour": "blue"}, -1104, None),
]


async def test_each_wrong_oco_is_refused_with_its_own_code(venue: Venue) -> None:
    client = venue.client(BTC="1", USDT="100000")
    bid, ask = venue.best()
    good = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "quantity": "0.01",
        "aboveType": "LIMIT_MAKER",
        "abovePrice": venue.price(ask + 1_000),
        "belowType": "STOP_LOSS_LIMIT",
        "belowStopPrice": venue.price(bid - 1_000),
        "belowPrice": venue.price(bid - 1_100),
        "belowTimeInForce": "GTC",
    }
    for change, code, message in OCO_REFUSALS:
        answer = await client.signed("POST", "/api/v3/orderList/oco", **{**good, **change})
        assert (answer.status, answer.code) == (400, code), (change, answer.body)
        assert message in (None, answer.body["msg"])
    assert venue.exchange.spot.order_id == 0


async def test_deprecated_oco_oto_and_otoco_are_understood(venue: Venue) -> None:
    client = venue.client(BTC="1", USDT="100000")
    bid, ask = venue.best()
    up, down = venue.price(ask + 1_000), venue.price(bid - 1_000)
    old = await client.signed(
        "POST",
        "/api/v3/order/oco",
        symbol="BTCUSDT",
        side="SELL",
        quantity="0.01",
        price=up,
        stopPrice=down,
        limitClientOrderId="the-limit",
        stopClientOrderId="the-stop",
    )
    assert [(r["type"], r["clientOrderId"]) for r in old.body["orderReports"]] == [
        ("STOP_LOSS", "the-stop"),
        ("LIMIT_MAKER", "the-limit"),
    ]
    working = {
        "symbol": "BTCUSDT",
        "workingType": "LIMIT",
        "workingSide": "BUY",
        "workingPrice": venue.price(bid - 300),
        "workingQuantity": "0.01",
        "workingTimeInForce": "GTC",
        "pendingSide": "SELL",
        "pendingQuantity": "0.01",
    }
    oto = await client.signed("POST", "/api/v3/orderList/oto", **working, pendingType="MARKET")
    assert [(r["type"], r["status"]) for r in oto.body["orderReports"]] == [
        ("LIMIT", "NEW"),
        ("MARKET", "PENDING_NEW"),
    ]
    otoco = await client.signed(
        "POST",
        "/api/v3/orderList/otoco",
        **working,
        pendingAboveType="LIMIT_MAKER",
        pendingAbovePrice=up,
        pendingBelowType="STOP_LOSS",
        pendingBelowStopPrice=down,
    )
    assert otoco.body["contingencyType"] == "OTO"
    assert [r["status"] for r in otoco.body["orderReports"]] == ["NEW", "PENDING_NEW", "PENDING_NEW"]
    assert otoco.headers["X-MBX-ORDER-COUNT-10S"] == "7"
    refused = await client.signed(
        "POST", "/api/v3/orderList/oto", **{**working, "workingType": "MARKET"}, pendingType="MARKET"
    )
    assert refused.body == {"code": -1014, "msg": "Unsupported order combination."}


async def test_cancel_replace_answers_every_combination_of_success_and_failure(venue: Venue) -> None:
    client = venue.client(USDT="100000")
    bid, ask = venue.best()
    limit = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    path = "/api/v3/order/cancelReplace"

    async def replace(cancel: int, mode: str, **more: str) -> Any:
        order = {**limit, "price": venue.price(bid - 500), **more}
        if more.get("type") == "LIMIT_MAKER":
            order.pop("timeInForce")
        return await client.signed("POST", path, **order, cancelReplaceMode=mode, cancelOrderId=cancel)

    first = await client.order(**limit, price=venue.price(bid - 400))
    both = await replace(first.body["orderId"], "STOP_ON_FAILURE")
    assert both.status == 200
    assert (both.body["cancelResult"], both.body["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    assert both.body["cancelResponse"]["status"] == "CANCELED"
    second = both.body["newOrderResponse"]["orderId"]
    taking = {"type": "LIMIT_MAKER", "price": venue.price(ask)}
    stopped = await replace(first.body["orderId"], "STOP_ON_FAILURE")
    assert (stopped.status, stopped.code) == (400, -2022)
    assert stopped.body["data"] == {
        "cancelResult": "FAILURE",
        "newOrderResult": "NOT_ATTEMPTED",
        "cancelResponse": {"code": -2011, "msg": "Unknown order sent."},
        "newOrderResponse": None,
    }
    neither = await replace(first.body["orderId"], "ALLOW_FAILURE", **taking)
    assert (neither.status, neither.code) == (400, -2022)
    assert neither.body["data"]["newOrderResponse"]["code"] == -2010
    only_new = await replace(first.body["orderId"], "ALLOW_FAILURE")
    assert (only_new.status, only_new.code) == (409, -2021)
    assert only_new.body["data"]["newOrderResult"] == "SUCCESS"
    only_cancel = await replace(second, "STOP_ON_FAILURE", **taking)
    assert (only_cancel.status, only_cancel.code) == (409, -2021)
    assert only_cancel.body["data"]["cancelResult"] == "SUCCESS"
    assert only_cancel.body["data"]["newOrderResponse"] == {
        "code": -2010,
        "msg": "Order would immediately match and take.",
    }
    third = only_new.body["data"]["newOrderResponse"]["orderId"]
    filtered = await replace(third, "ALLOW_FAILURE", quantity="0.000001")
    assert filtered.body == {"code": -1013, "msg": "Filter failure: LOT_SIZE"}
    still = await client.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=third)
    assert still.body["status"] == "NEW"


async def test_amendment_and_prevented_matches_can_be_queried(venue: Venue) -> None:
    client = venue.client(USDT="100000", BTC="1")
    bid, _ = venue.best()
    price = venue.price(bid + 1)
    limit = {"symbol": "BTCUSDT", "type": "LIMIT", "timeInForce": "GTC", "price": price}
    maker = await client.order(**limit, side="BUY", quantity="0.05")
    which = {"symbol": "BTCUSDT", "orderId": maker.body["orderId"]}
    path = "/api/v3/order/amend/keepPriority"
    amended = await client.signed("PUT", path, in_body=True, **which, newQty="0.03", newClientOrderId="less")
    assert amended.status == 200, amended.body
    assert (amended.body["amendedOrder"]["qty"], amended.body["amendedOrder"]["clientOrderId"]) == (
        "0.03000000",
        "less",
    )
    rows = (await client.signed("GET", "/api/v3/order/amendments", **which)).body
    assert [(r["origQty"], r["newQty"], r["newClientOrderId"]) for r in rows] == [
        ("0.05000000", "0.03000000", "less")
    ]
    async with subscribed(venue, client) as events:
        taker = await client.order(**limit, side="SELL", quantity="0.01", selfTradePreventionMode="DECREMENT")
        assert taker.body["status"] == "EXPIRED_IN_MATCH"
        assert taker.body["preventedQuantity"] == "0.01000000"
        assert taker.body["preventedMatches"] == [
            {
                "preventedMatchId": taker.body["preventedMatchId"],
                "makerOrderId": maker.body["orderId"],
                "price": f"{price}",
                "takerPreventedQuantity": "0.01000000",
                "makerPreventedQuantity": "0.01000000",
            }
        ]
        reports = await told(events, "executionReport", until="EXPIRED_IN_MATCH")
    prevented = [report for report in reports if report["x"] == "TRADE_PREVENTION"]
    assert [(r["i"], r["X"], r["A"], r["B"], r["U"]) for r in prevented] == [
        (maker.body["orderId"], "NEW", "0.01000000", "0.01000000", taker.body["orderId"]),
        (taker.body["orderId"], "EXPIRED_IN_MATCH", "0.01000000", "0.01000000", maker.body["orderId"]),
    ]
    found = await client.signed("GET", "/api/v3/myPreventedMatches", **which)
    assert [row["takerOrderId"] for row in found.body] == [taker.body["orderId"]]
    assert found.body[0]["selfTradePreventionMode"] == "DECREMENT"
    refused = await client.order(**limit, side="SELL", quantity="0.01", selfTradePreventionMode="TRANSFER")
    assert refused.body == {
        "code": -1013,
        "msg": "This symbol does not allow the specified self-trade prevention mode.",
    }


async def test_websocket_api_serves_lists_and_replacements_and_says_what_a_partial_failure_did(
    venue: Venue,
) -> None:
    client = venue.client(BTC="1", USDT="100000")
    bid, ask = venue.best()
    async with websockets.connect(venue.ws + "/ws-api/v3") as socket:
        placed = await ask_ws(
            socket,
            client,
            "orderList.place.oco",
            symbol="BTCUSDT",
            side="SELL",
            quantity="0.01",
            aboveType="LIMIT_MAKER",
            abovePrice=venue.price(ask + 1_000),
            belowType="STOP_LOSS",
            belowStopPrice=venue.price(bid - 1_000),
        )
        assert placed["status"] == 200
        assert [row["rateLimitType"] for row in placed["rateLimits"]] == [
            "ORDERS",
            "ORDERS",
            "REQUEST_WEIGHT",
        ]
        assert placed["rateLimits"][0]["count"] == 2
        failed = await ask_ws(
            socket,
            client,
            "order.cancelReplace",
            symbol="BTCUSDT",
            side="BUY",
            type="LIMIT",
            timeInForce="GTC",
            quantity="0.01",
            price=venue.price(bid - 100),
            cancelReplaceMode="ALLOW_FAILURE",
            cancelOrderId=999,
        )
        assert (failed["status"], failed["error"]["code"]) == (409, -2021)
        assert failed["error"]["data"]["newOrderResult"] == "SUCCESS"
        canceled = await ask_ws(
            socket, client, "orderList.cancel", symbol="BTCUSDT", orderListId=placed["result"]["orderListId"]
        )
        assert canceled["result"]["listOrderStatus"] == "ALL_DONE"
        for method in ("openOrderLists.status", "allOrderLists", "account.commission"):
            more = {"symbol": "BTCUSDT"} if method == "account.commission" else {}
            assert (await ask_ws(socket, client, method, **more))["status"] == 200


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


# -- the wire ------------------------------------------------------------------------------------


async def ask_plain(socket: Any, method: str, params: dict[str, Any]) -> Any:
    await socket.send(json.dumps({"id": method, "method": method, "params": params}))
    while True:
        answer = json.loads(await asyncio.wait_for(socket.recv(), 5))
        if answer.get("id") == method:
            return answer


async def ask_ws(socket: Any, client: Client, method: str, **params: Any) -> Any:
    values = {**params, "apiKey": client.api_key, "timestamp": int(time.time() * 1000)}
    payload = "&".join(f"{name}={values[name]}" for name in sorted(values))
    return await ask_plain(socket, method, {**values, "signature": client.sign(payload)})


class Subscribed:
    """An account's private events in the order they came."""

    def __init__(self, venue: Venue, client: Client) -> None:
        self._venue, self._client = venue, client

    async def __aenter__(self) -> Any:
        self._socket = await websockets.connect(self._venue.ws + "/ws-api/v3")
        answer = await ask_ws(self._socket, self._client, "userDataStream.subscribe.signature")
        assert answer["status"] == 200
        return self._socket

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()


def subscribed(venue: Venue, client: Client) -> Subscribed:
    return Subscribed(venue, client)


async def told(socket: Any, name: str, *, until: str, member: str = "X") -> list[dict[str, Any]]:
    """Every event of a name until one says this."""
    found: list[dict[str, Any]] = []
    while not found or found[-1][member] != until:
        event = json.loads(await asyncio.wait_for(socket.recv(), 5))["event"]
        if event["e"] == name:
            found.append(event)
    return found
