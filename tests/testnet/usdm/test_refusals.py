"""The REST side of USD-M accounts refuses with the venue's own code and words."""

from __future__ import annotations

from tests.testnet.conftest import Venue
from tests.testnet.usdm.rest import futures_client, mark, price

REFUSALS = [
    ({"type": "STOP_MARKET", "stopPrice": "1"}, -4120, None),
    ({"type": "NONE"}, -1116, "Invalid orderType."),
    ({"side": "HOLD"}, -1117, "Invalid side."),
    ({"timeInForce": "DAY"}, -1115, "Invalid timeInForce."),
    ({"symbol": "NOPEUSDT"}, -1121, "Invalid symbol."),
    (
        {"quantity": ""},
        -1102,
        "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed.",
    ),
    ({"price": ""}, -1102, "Mandatory parameter 'price' was not sent, was empty/null, or malformed."),
    ({"quantity": "1e-05"}, -1100, None),
    ({"quantity": "0"}, -4003, "Quantity less than or equal to zero."),
    ({"quantity": "0.0001"}, -1111, "Precision is over the maximum defined for this asset."),
    ({"quantity": "99999"}, -4005, "Quantity greater than max quantity."),
    ({"price": "0"}, -4001, "Price less than 0."),
    ({"price": "50000.123"}, -1111, "Precision is over the maximum defined for this asset."),
    ({"price": "99999999"}, -4002, "Price greater than max price."),
    ({"quantity": "0.001", "price": "LOW"}, -4164, None),
    ({"price": "HIGH"}, -4016, None),
    ({"side": "SELL", "price": "DEEP"}, -4024, None),
    ({"quantity": "50"}, -2019, "Margin is insufficient."),
    ({"positionSide": "LONG"}, -4061, "Order's position side does not match user's setting."),
    ({"positionSide": "UP"}, -4060, "Invalid position side."),
    ({"positionSide": "LONG", "reduceOnly": "true"}, -1106, None),
    ({"newClientOrderId": "x" * 37}, -4015, "Client order id is not valid."),
    ({"reduceOnly": "true"}, -2022, "ReduceOnly Order is rejected."),
    ({"timeInForce": "GTD"}, -1102, None),
    ({"timeInForce": "GTD", "goodTillDate": "1000000000000"}, -5040, None),
    ({"priceMatch": "NEAR", "price": ""}, -5037, "Invalid price match"),
    ({"selfTradePreventionMode": "DECREMENT"}, -5039, "Invalid self trade prevention mode"),
    ({"newOrderRespType": "FULL"}, -1136, "Invalid newOrderRespType."),
    ({"closePosition": "true"}, -4136, None),
]


async def test_refusals_have_the_venues_code_and_words(venue: Venue) -> None:
    client = futures_client(venue, "1000")
    now = mark(venue)
    special = {
        "HIGH": price(venue, now * 2),
        "DEEP": price(venue, now // 2),
        "LOW": price(venue, now // 10000 * 10),
    }
    wrong = []
    for change, code, message in REFUSALS:
        params = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.010",
            "price": price(venue, now * 99 // 100),
        } | {name: special.get(value, value) for name, value in change.items()}
        for path in ("order", "order/test"):
            answer = await client.signed("POST", f"/fapi/v1/{path}", **params)
            words = answer.body.get("msg")
            if (answer.status, answer.body.get("code")) != (400, code) or message not in (None, words):
                wrong.append((path, change, code, answer.body))
    assert wrong == []
