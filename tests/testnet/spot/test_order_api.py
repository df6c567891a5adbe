"""Conditional orders, replacements, amendments and prevented matches over REST and the WebSocket API."""

from __future__ import annotations

from typing import Any

import websockets

from ..conftest import Venue
from .wire import ask_ws, subscribed, told


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
