"""Whatever is sent to a USD-M endpoint, the answer is JSON with the venue's kind of code, never a failure."""

from __future__ import annotations

import random
import string

import pytest

from testnet.api.call import Endpoint
from testnet.usdm.api import account, algo, history, orders, positions
from testnet.wallet_transfers import ENDPOINTS as TRANSFERS
from tests.testnet.conftest import Venue
from tests.testnet.usdm.rest import futures_client, market

pytestmark = pytest.mark.asyncio

PRIVATE: list[Endpoint] = [
    *orders.ENDPOINTS,
    *history.ENDPOINTS,
    *algo.ENDPOINTS,
    *account.ENDPOINTS,
    *positions.ENDPOINTS,
    *TRANSFERS,
]
VALUES = {
    "symbol": ["BTCUSDT", "btcusdt", "NONE", "", "ETHUSDT", "B" * 40],
    "side": ["BUY", "SELL", "buy", ""],
    "type": [
        "LIMIT",
        "MARKET",
        "STOP_MARKET",
        "STOP",
        "TRAILING_STOP_MARKET",
        "1",
        "2",
        "MAIN_UMFUTURE",
        "x",
    ],
    "timeInForce": ["GTC", "GTX", "GTD", "IOC", "FOK", "X"],
    "quantity": ["0.01", "0", "-1", "1e3", "999999999999", "0.00000000001", "NaN", ""],
    "price": ["50000", "0", "-5", "1e5", "99999999999999999999", "0.000000001", "inf"],
    "triggerPrice": ["40000", "70000", "0", "x"],
    "callbackRate": ["1", "0.1", "10", "11", "-1", "0.05", "x"],
    "activatePrice": ["70000", "0", "x"],
    "algoType": ["CONDITIONAL", "VP", ""],
    "positionSide": ["BOTH", "LONG", "SHORT", "X"],
    "reduceOnly": ["true", "false", "maybe"],
    "closePosition": ["true", "false", "1"],
    "priceMatch": ["QUEUE", "OPPONENT_20", "NONE", "BAD"],
    "newClientOrderId": ["abc", "x" * 50, "\u00e9", " "],
    "clientAlgoId": ["abc", "x" * 50],
    "goodTillDate": ["0", "99999999999999", "99999999999999999999", "x"],
    "orderId": ["1", "0", "-1", "99999999999999999999999", "x"],
    "algoId": ["1", "x"],
    "origClientOrderId": ["abc", "'"],
    "batchOrders": [
        "[]",
        "{}",
        "[1]",
        "[{}]",
        "[null]",
        '[{"symbol":{}}]',
        "[" * 500,
        '[{"symbol":"BTCUSDT"}]',
    ],
    "orderIdList": ["[1,2]", "[null]", "[true]", '["x"]', "{", "[-1]", "[" + "9" * 5000 + "]"],
    "countdownTime": ["0", "100000", "-1", "x", "9" * 25],
    "leverage": ["0", "1", "125", "126", "x", "1.5"],
    "marginType": ["ISOLATED", "CROSSED", "x"],
    "dualSidePosition": ["true", "false", "x", ""],
    "multiAssetsMargin": ["true", "false"],
    "feeBurn": ["true", "x"],
    "amount": ["1", "0", "-1", "1e5", "0.0000000001"],
    "asset": ["USDT", "BNB", "", "x"],
    "incomeType": ["TRANSFER", "X"],
    "limit": ["1", "0", "-5", "99999", "x"],
    "page": ["0", "1", "99999999999", "x"],
    "startTime": ["0", "1", "9999999999999", "99999999999999999999"],
    "endTime": ["0", "1", "9999999999999"],
    "fromId": ["0", "1", "x"],
    "autoCloseType": ["ADL", "x"],
    "workingType": ["MARK_PRICE", "x"],
    "selfTradePreventionMode": ["EXPIRE_BOTH", "x"],
    "newOrderRespType": ["RESULT", "ACK", "FULL"],
    "recvWindow": ["5000", "60000", "60001", "x"],
}


async def test_every_private_endpoint_survives_random_parameters(venue: Venue) -> None:
    client = futures_client(venue)
    assert (await market(client, "BUY", "0.010")).status == 200
    rng = random.Random(1)
    wrong = []
    accepted = 0
    for number in range(2_000):
        endpoint = PRIVATE[number % len(PRIVATE)]
        params = {"symbol": "BTCUSDT"} if rng.random() < 0.8 else {}
        for name in rng.sample(sorted(VALUES), rng.randrange(0, 9)):
            params[name] = rng.choice(VALUES[name])
        if rng.random() < 0.05:
            params[rng.choice(string.ascii_letters)] = rng.choice(("", "\x00", "%", "\u20ac"))
        answer = await client.signed(
            endpoint.method, endpoint.path, in_body=endpoint.method in ("POST", "PUT"), **params
        )
        accepted += answer.status == 200
        fine = answer.status == 200 or (
            400 <= answer.status < 500 and isinstance(answer.body, dict) and answer.body.get("code", 0) < 0
        )
        if not fine:
            wrong.append((endpoint.method, endpoint.path, params, answer.status, answer.body))
    assert wrong == []
    assert accepted > 200
