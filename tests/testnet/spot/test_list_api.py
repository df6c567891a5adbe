"""Order lists over REST, from placement to cancel, and each wrong one refused with its own code."""

from __future__ import annotations

from ..conftest import Venue
from .wire import subscribed, told


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
