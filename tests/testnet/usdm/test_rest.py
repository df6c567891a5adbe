"""The REST side of USD-M accounts, over a real socket: shapes, answers and refusals."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from testnet.account_setup import create_account
from tests.testnet.conftest import Client, StartVenue, Venue
from tests.testnet.usdm.conftest import units
from tests.testnet.usdm.rest import futures_client, limit, mark, market, price
from tests.testnet.usdm.shapes import covers, shape

pytestmark = pytest.mark.asyncio


async def test_limit_order_rests_is_modified_and_cancelled(venue: Venue) -> None:
    client = futures_client(venue)
    at = price(venue, mark(venue) * 95 // 100)
    placed = await limit(client, "BUY", "0.010", at, newClientOrderId="mine")
    assert placed.status == 200, placed.body
    assert placed.body["status"] == "NEW"
    assert placed.body["clientOrderId"] == "mine"
    assert placed.headers["X-MBX-ORDER-COUNT-1M"] == "1"
    lower = price(venue, mark(venue) * 94 // 100)
    changed = await client.signed(
        "PUT",
        "/fapi/v1/order",
        symbol="BTCUSDT",
        side="BUY",
        origClientOrderId="mine",
        quantity="0.020",
        price=lower,
    )
    assert (changed.body["price"], changed.body["origQty"]) == (lower, "0.020")
    history = await client.signed(
        "GET", "/fapi/v1/orderAmendment", symbol="BTCUSDT", orderId=placed.body["orderId"]
    )
    assert history.body[0]["amendment"]["price"] == {"before": at, "after": lower}
    open_orders = await client.signed("GET", "/fapi/v1/openOrders")
    assert [row["orderId"] for row in open_orders.body] == [placed.body["orderId"]]
    canceled = await client.signed("DELETE", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="mine")
    assert canceled.body["status"] == "CANCELED"
    again = await client.signed("DELETE", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="mine")
    assert (again.status, again.body) == (400, {"code": -2011, "msg": "Unknown order sent."})


async def test_market_order_opens_a_position_and_closing_realises_it(venue: Venue) -> None:
    client = futures_client(venue)
    opened = await market(client, "BUY", "0.010", newOrderRespType="RESULT")
    assert opened.body["status"] == "FILLED", opened.body
    risk = await client.signed("GET", "/fapi/v3/positionRisk", symbol="BTCUSDT")
    assert risk.body[0]["positionAmt"] == "0.010"
    too_much = await market(client, "SELL", "0.500", reduceOnly="true", newOrderRespType="RESULT")
    assert too_much.body["origQty"] == "0.010"
    trades = await client.signed("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
    income = await client.signed("GET", "/fapi/v1/income")
    wallet = (await client.signed("GET", "/fapi/v3/balance")).body[0]["balance"]
    total = sum(units(row["income"]) for row in income.body)
    assert units(wallet) == total
    assert sum(units(row["realizedPnl"]) for row in trades.body) == sum(
        units(row["income"]) for row in income.body if row["incomeType"] == "REALIZED_PNL"
    )
    nothing = await market(client, "SELL", "0.010", reduceOnly="true")
    assert nothing.body == {"code": -2022, "msg": "ReduceOnly Order is rejected."}


async def test_settings_answer_and_refuse_like_the_venue(venue: Venue) -> None:
    client = futures_client(venue, "1000")

    async def post(path: str, **params: Any) -> Any:
        return (await client.signed("POST", f"/fapi/v1/{path}", **params)).body

    assert await post("leverage", symbol="BTCUSDT", leverage=10) == {
        "symbol": "BTCUSDT",
        "leverage": 10,
        "maxNotionalValue": "40000000",
    }
    assert (await post("leverage", symbol="BTCUSDT", leverage=126))["code"] == -4028
    assert (await post("leverage", symbol="BTCUSDT", leverage=0))["code"] == -4028
    assert (await post("marginType", symbol="BTCUSDT", marginType="CROSSED")) == {
        "code": -4046,
        "msg": "No need to change margin type.",
    }
    assert await post("marginType", symbol="BTCUSDT", marginType="ISOLATED") == {
        "code": 200,
        "msg": "success",
    }
    assert (await post("positionSide/dual", dualSidePosition="false"))["code"] == -4059
    at = price(venue, mark(venue) * 95 // 100)
    order = (await limit(client, "BUY", "0.010", at)).body
    assert (await post("marginType", symbol="BTCUSDT", marginType="CROSSED"))["code"] == -4047
    assert (await post("positionSide/dual", dualSidePosition="true"))["code"] == -4067
    await client.signed("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=order["orderId"])
    assert (await post("positionMargin", symbol="BTCUSDT", amount="1", type=1))["code"] == -4054
    await market(client, "BUY", "0.010")
    assert (await post("marginType", symbol="BTCUSDT", marginType="CROSSED"))["code"] == -4048
    assert (await post("positionSide/dual", dualSidePosition="true"))["code"] == -4068
    assert (await post("leverage", symbol="BTCUSDT", leverage=5))["code"] == -4161
    assert (await post("positionMargin", symbol="BTCUSDT", amount="100000", type=1))["code"] == -4050
    assert (await post("positionMargin", symbol="BTCUSDT", amount="10", type=2))["code"] == -4051
    moved = await post("positionMargin", symbol="BTCUSDT", amount="10.5", type=1)
    assert moved == {
        "amount": 10.5,
        "code": 200,
        "msg": "Successfully modify position margin.",
        "type": 1,
    }
    history = await client.signed("GET", "/fapi/v1/positionMargin/history", symbol="BTCUSDT")
    assert history.body[0]["amount"] == "10.50000000"
    assert (await post("multiAssetsMargin", multiAssetsMargin="true"))["code"] == -4084


async def test_hedge_mode_holds_both_sides_and_needs_a_position_side(venue: Venue) -> None:
    client = futures_client(venue)
    assert (await client.signed("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")).status == 200
    assert (await market(client, "BUY", "0.010")).code == -4061
    assert (await market(client, "BUY", "0.010", positionSide="LONG")).status == 200
    assert (await market(client, "SELL", "0.020", positionSide="SHORT")).status == 200
    assert (await market(client, "SELL", "0.030", positionSide="LONG")).status == 200
    rows = (await client.signed("GET", "/fapi/v3/positionRisk")).body
    assert {(row["positionSide"], row["positionAmt"]) for row in rows} == {("SHORT", "-0.020")}


async def test_batches_answer_item_by_item(venue: Venue) -> None:
    client = futures_client(venue)
    at = price(venue, mark(venue) * 95 // 100)
    good = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01",
        "price": at,
    }
    answer = await client.signed(
        "POST", "/fapi/v1/batchOrders", batchOrders=json.dumps([good, {**good, "side": "UP"}])
    )
    assert answer.body[0]["status"] == "NEW"
    assert answer.body[1] == {"code": -1117, "msg": "Invalid side."}
    too_many = await client.signed("POST", "/fapi/v1/batchOrders", batchOrders=json.dumps([good] * 6))
    assert too_many.code == -4082
    ids = json.dumps([answer.body[0]["orderId"], 999_999], separators=(",", ":"))
    # In lower case, as one widely used client sends it.
    gone = await client.signed("DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", orderidlist=ids)
    assert gone.body[0]["status"] == "CANCELED"
    assert gone.body[1] == {"code": -2011, "msg": "Unknown order sent."}


async def test_transfer_between_spot_and_futures_moves_the_money_once(venue: Venue) -> None:
    client = futures_client(venue, "0", USDT="1000")
    moved = await client.signed(
        "POST", "/sapi/v1/asset/transfer", type="MAIN_UMFUTURE", asset="USDT", amount="400"
    )
    assert moved.status == 200, moved.body
    back = await client.signed("POST", "/sapi/v1/futures/transfer", type="2", asset="USDT", amount="100")
    assert back.status == 200, back.body
    assert (await client.signed("GET", "/fapi/v3/balance")).body[0]["balance"] == "300.00000000"
    spot = (await client.signed("GET", "/api/v3/account")).body["balances"]
    assert next(row["free"] for row in spot if row["asset"] == "USDT") == "700.00000000"
    over = await client.signed("POST", "/sapi/v1/futures/transfer", type="2", asset="USDT", amount="301")
    assert over.code == -2018


async def test_a_key_without_futures_permission_is_refused(venue: Venue) -> None:
    account, keys = create_account(
        venue.exchange, {"futures_balances": {"USDT": "10"}, "permissions": {"futures": False}}
    )
    client = venue.with_key(account, keys[0])
    answer = await client.signed("GET", "/fapi/v3/balance")
    assert (answer.status, answer.code) == (401, -2015)


@pytest.mark.parametrize(
    ("path", "example"),
    [
        ("/fapi/v2/account", "account_info_v2"),
        ("/fapi/v2/balance", "balance"),
        ("/fapi/v3/balance", "balance"),
        ("/fapi/v2/positionRisk", "position_risk"),
        ("/fapi/v1/openAlgoOrders", "open_algo_orders"),
    ],
)
async def test_answers_have_every_member_of_the_recorded_examples(
    venue: Venue, real_data: Path, path: str, example: str
) -> None:
    client = futures_client(venue)
    await market(client, "BUY", "0.010")
    stop = price(venue, mark(venue) * 9 // 10)
    placed = await client.signed(
        "POST",
        "/fapi/v1/algoOrder",
        algoType="CONDITIONAL",
        symbol="BTCUSDT",
        side="SELL",
        type="STOP_MARKET",
        quantity="0.010",
        triggerPrice=stop,
        reduceOnly="true",
    )
    assert placed.status == 200, placed.body
    answer = await client.signed("GET", path)
    file = real_data / "payloads_nautilus_rust" / f"futures__http_json__{example}.json"
    assert covers(shape(answer.body), shape(json.loads(file.read_text()))) == []


async def test_queried_order_has_every_member_of_the_recorded_example(venue: Venue, real_data: Path) -> None:
    client = futures_client(venue)
    placed = await limit(client, "BUY", "0.010", price(venue, mark(venue) * 95 // 100))
    answer = await client.signed("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=placed.body["orderId"])
    file = real_data / "payloads_nautilus_rust" / "futures__http_json__order_response.json"
    assert covers(shape(answer.body), shape(json.loads(file.read_text()))) == []


async def test_dead_mans_switch_cancels_when_it_is_not_renewed(venue: Venue) -> None:
    client = futures_client(venue)
    at = price(venue, mark(venue) * 95 // 100)
    order = (await limit(client, "BUY", "0.010", at)).body
    set_to = await client.signed("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=150)
    assert set_to.body == {"symbol": "BTCUSDT", "countdownTime": "150"}
    for _ in range(60):
        row = (await client.signed("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=order["orderId"])).body
        if row["status"] == "CANCELED":
            break
        await asyncio.sleep(0.05)
    assert row["status"] == "CANCELED"


async def test_every_account_query_answers(venue: Venue) -> None:
    client = futures_client(venue)
    await market(client, "BUY", "0.010")
    for path, params in (
        ("v3/account", {}),
        ("v1/accountConfig", {}),
        ("v1/symbolConfig", {"symbol": "BTCUSDT"}),
        ("v1/leverageBracket", {}),
        ("v1/commissionRate", {"symbol": "BTCUSDT"}),
        ("v1/adlQuantile", {}),
        ("v1/forceOrders", {}),
        ("v1/rateLimit/order", {}),
        ("v1/apiTradingStatus", {}),
        ("v1/feeBurn", {}),
        ("v1/multiAssetsMargin", {}),
        ("v1/positionSide/dual", {}),
        ("v1/allOrders", {"symbol": "BTCUSDT"}),
        ("v1/allAlgoOrders", {"symbol": "BTCUSDT"}),
    ):
        answer = await client.signed("GET", f"/fapi/{path}", **params)
        assert answer.status == 200, (path, answer.body)
    rates = (await client.signed("GET", "/fapi/v1/commissionRate", symbol="BTCUSDT")).body
    assert (rates["makerCommissionRate"], rates["takerCommissionRate"]) == ("0.0002", "0.0005")


async def test_state_survives_a_stop_without_warning(start_venue: StartVenue, tmp_path: Path) -> None:
    first = await start_venue(data_dir=tmp_path)
    client = futures_client(first)
    await market(client, "BUY", "0.010")
    resting = (await limit(client, "BUY", "0.010", price(first, mark(first) * 95 // 100))).body
    key = (await client.raw("POST", "/fapi/v1/listenKey")).body["listenKey"]
    before = await client.signed("GET", "/fapi/v2/balance")
    # Nothing is closed or flushed: only what already reached the file counts.
    for task in first.server.service._tasks:
        task.cancel()
    copy = tmp_path.parent / (tmp_path.name + "-copy")
    copy.mkdir()
    for name in ("journal.jsonl", "snapshot.json"):
        (copy / name).write_bytes((tmp_path / name).read_bytes())
    second = await start_venue(data_dir=copy)
    again = Client(second.url, second.session, client.api_key, client.secret)
    after = await again.signed("GET", "/fapi/v2/balance")
    assert after.body[0]["balance"] == before.body[0]["balance"]
    position = (await again.signed("GET", "/fapi/v3/positionRisk", symbol="BTCUSDT")).body
    assert position[0]["positionAmt"] == "0.010"
    orders = (await again.signed("GET", "/fapi/v1/openOrders")).body
    assert [row["orderId"] for row in orders] == [resting["orderId"]]
    assert (await again.raw("POST", "/fapi/v1/listenKey")).body["listenKey"] == key
