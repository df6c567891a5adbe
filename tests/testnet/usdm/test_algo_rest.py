"""Conditional orders over REST: life, queries and every refusal with its code and words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.testnet.conftest import Client, Venue
from tests.testnet.usdm.rest import futures_client, mark, market, price

pytestmark = pytest.mark.asyncio


async def algo(client: Client, **params: Any) -> Any:
    base = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET"}
    return await client.signed("POST", "/fapi/v1/algoOrder", **(base | params))


REFUSALS: list[tuple[dict[str, str], int, str | None]] = [
    ({"algoType": "VP"}, -1130, None),
    ({"type": "LIMIT"}, -1116, "Invalid orderType."),
    ({"type": "STOP"}, -1102, "Mandatory parameter 'price' was not sent, was empty/null, or malformed."),
    (
        {"triggerPrice": ""},
        -1102,
        "Mandatory parameter 'triggerPrice' was not sent, was empty/null, or malformed.",
    ),
    ({"quantity": ""}, -1102, "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed."),
    ({"callbackRate": "1"}, -1106, None),
    ({"closePosition": "true"}, -4137, "Quantity must be zero with closePosition equals true."),
    ({"closePosition": "true", "quantity": "", "type": "STOP", "price": "1"}, -4136, None),
    ({"closePosition": "true", "quantity": "", "reduceOnly": "false"}, -4138, None),
    ({"workingType": "INDEX"}, -4031, "Invalid parameter working type."),
    ({"triggerPrice": "HIGH"}, -2021, "Order would immediately trigger."),
    ({"triggerPrice": "12345.67"}, -4014, "Price not increased by tick size."),
    ({"type": "TRAILING_STOP_MARKET", "triggerPrice": "", "callbackRate": "10.1"}, -2007, None),
    ({"type": "TRAILING_STOP_MARKET", "triggerPrice": ""}, -1102, None),
    ({"positionSide": "SHORT"}, -4061, "Order's position side does not match user's setting."),
    ({"quantity": "0.0001"}, -1111, "Precision is over the maximum defined for this asset."),
    ({"clientAlgoId": "y" * 40}, -4015, "Client order id is not valid."),
    ({"symbol": "NOPEUSDT"}, -1121, "Invalid symbol."),
]


async def test_refusals_have_the_venues_code_and_words(venue: Venue) -> None:
    client = futures_client(venue)
    special = {"HIGH": price(venue, mark(venue) * 2)}
    wrong = []
    for change, code, message in REFUSALS:
        params = {"quantity": "0.010", "triggerPrice": price(venue, mark(venue) * 9 // 10)}
        params |= {name: special.get(value, value) for name, value in change.items()}
        answer = await algo(client, **params)
        words = answer.body.get("msg")
        if (answer.status, answer.body.get("code")) != (400, code) or message not in (None, words):
            wrong.append((change, code, answer.body))
    assert wrong == []


async def test_life_of_a_conditional_order_as_queries_show_it(venue: Venue) -> None:
    client = futures_client(venue)
    assert (await market(client, "BUY", "0.010")).status == 200
    trigger = price(venue, mark(venue) * 9 // 10)
    placed = (await algo(client, closePosition="true", triggerPrice=trigger, workingType="MARK_PRICE")).body
    assert (placed["algoStatus"], placed["orderType"], placed["triggerPrice"]) == (
        "NEW",
        "STOP_MARKET",
        trigger,
    )
    assert len(placed["clientAlgoId"]) == 22
    assert (await client.signed("GET", "/fapi/v1/openOrders")).body == []
    waiting = (await client.signed("GET", "/fapi/v1/openAlgoOrders", symbol="BTCUSDT")).body
    assert [row["algoId"] for row in waiting] == [placed["algoId"]]
    listing = venue.exchange.listing("BTCUSDT", "usdm")
    sunk = venue.exchange.marks.mark_of(listing) * 89 // 100
    venue.exchange.marks.sheet("usdm:BTCUSDT").mark = sunk
    venue.exchange.usdm_market.marked(listing, sunk, sunk, venue.exchange.now_ms())
    found = (await client.signed("GET", "/fapi/v1/algoOrder", algoId=placed["algoId"])).body
    assert found["algoStatus"] == "FINISHED"
    order = (
        await client.signed("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=found["actualOrderId"])
    ).body
    assert (order["status"], order["origType"], order["type"]) == ("FILLED", "STOP_MARKET", "MARKET")
    assert (order["clientOrderId"], order["closePosition"]) == (placed["clientAlgoId"], True)
    assert (await client.signed("GET", "/fapi/v3/positionRisk", symbol="BTCUSDT")).body == []
    gone = await client.signed("DELETE", "/fapi/v1/algoOrder", algoId=placed["algoId"])
    assert gone.body == {"code": -2011, "msg": "Unknown order sent."}
    unknown = await client.signed("GET", "/fapi/v1/algoOrder", clientAlgoId="never")
    assert unknown.body == {"code": -2013, "msg": "Order does not exist."}


async def test_all_conditional_orders_of_a_symbol_are_cancelled_at_once(venue: Venue) -> None:
    client = futures_client(venue)
    for percent in (80, 85, 90):
        at = price(venue, mark(venue) * percent // 100)
        assert (await algo(client, quantity="0.010", triggerPrice=at)).status == 200
    answer = await client.signed("DELETE", "/fapi/v1/algoOpenOrders", symbol="BTCUSDT")
    assert answer.body == {"code": 200, "msg": "The operation of cancel all open order is done."}
    assert (await client.signed("GET", "/fapi/v1/openAlgoOrders")).body == []
    rows = (await client.signed("GET", "/fapi/v1/allAlgoOrders", symbol="BTCUSDT")).body
    assert [row["algoStatus"] for row in rows] == ["CANCELED"] * 3
