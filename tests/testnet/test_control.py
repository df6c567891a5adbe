"""The control API: accounts, time, market, symbols, faults."""

from __future__ import annotations

import asyncio
import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import websockets

from testnet.account_setup import load_accounts_file
from testnet.klines import MINUTE_MS

from .conftest import START_MS, Answer, StartVenue, Venue


async def control(venue: Venue, method: str, path: str, body: Any = None) -> Answer:
    return await venue.anonymous().raw(
        method, "/testnet/v1" + path, body=json.dumps(body) if body is not None else ""
    )


def limit_order(venue: Venue, offset: int = 300) -> dict[str, str]:
    return {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01",
        "price": venue.price(venue.best()[0] - offset),
    }


async def test_control_api_is_absent_unless_asked_for(start_venue: StartVenue) -> None:
    venue = await start_venue(control=False)
    assert (await control(venue, "GET", "/ledger")).status == 404


async def test_control_api_with_a_token_refuses_requests_without_it(start_venue: StartVenue) -> None:
    venue = await start_venue(token="let-me-in")
    assert (await control(venue, "GET", "/clock")).status == 401
    async with venue.session.get(
        venue.url + "/testnet/v1/clock", headers={"X-Testnet-Control": "let-me-in"}
    ) as answer:
        assert answer.status == 200


async def test_created_account_trades_and_its_transfers_reach_its_user_stream(venue: Venue) -> None:
    made = (await control(venue, "POST", "/accounts", {"balances": {"USDT": "10000"}})).body
    client = venue.anonymous()
    client.api_key, client.secret = made["api_key"], made["api_secret"]
    assert (await client.signed("GET", "/api/v3/account")).body["balances"][0]["free"] == "10000.00000000"
    moved = await control(
        venue, "POST", f"/accounts/{made['account_id']}/transfer", {"asset": "USDT", "amount": "-400.5"}
    )
    assert moved.status == 200
    assert (await client.signed("GET", "/api/v3/account")).body["balances"][0]["free"] == "9599.50000000"
    too_much = await control(
        venue, "POST", f"/accounts/{made['account_id']}/transfer", {"asset": "USDT", "amount": "-9999"}
    )
    assert too_much.code == -2010


async def test_transfers_reach_the_futures_wallet_and_leave_it(venue: Venue) -> None:
    made = (await control(venue, "POST", "/accounts", {"futures_balances": {"USDT": "500"}})).body
    client = venue.anonymous()
    client.api_key, client.secret = made["api_key"], made["api_secret"]
    path = f"/accounts/{made['account_id']}/transfer"

    async def wallet() -> Decimal:
        rows = (await client.signed("GET", "/fapi/v3/balance")).body
        return Decimal(next(row["balance"] for row in rows if row["asset"] == "USDT"))

    assert await wallet() == 500
    moved = await control(venue, "POST", path, {"market": "usdm", "asset": "USDT", "amount": "-120.5"})
    assert moved.status == 200
    assert await wallet() == Decimal("379.5")
    for body in (
        {"market": "usdm", "asset": "USDT", "amount": "-379.51"},
        {"market": "usdm", "asset": "BTC", "amount": "1"},
        {"market": "moon", "asset": "USDT", "amount": "1"},
    ):
        assert (await control(venue, "POST", path, body)).status == 400
    assert await wallet() == Decimal("379.5")


async def test_accounts_file_is_applied_once_and_its_keys_are_used_verbatim(
    start_venue: StartVenue, tmp_path: Path
) -> None:
    venue = await start_venue()
    file = tmp_path / "accounts.json"
    key = {"api_key": "K" * 64, "api_secret": "S" * 64, "permissions": {"trade": False}}
    file.write_text(json.dumps([{"name": "demo", "balances": {"USDT": "500"}, "keys": [key]}]))
    assert load_accounts_file(venue.exchange, file) == 1
    assert load_accounts_file(venue.exchange, file) == 0
    client = venue.anonymous()
    client.api_key, client.secret = "K" * 64, "S" * 64
    account = (await client.signed("GET", "/api/v3/account")).body
    assert account["balances"] == [{"asset": "USDT", "free": "500.00000000", "locked": "0.00000000"}]
    assert account["canTrade"] is False


async def test_advancing_closes_every_bar_exactly_once(venue: Venue) -> None:
    async with websockets.connect(f"{venue.ws}/ws/btcusdt@kline_1m") as socket:
        await asyncio.sleep(0.05)
        assert (await control(venue, "POST", "/clock", {"advance_ms": 30 * MINUTE_MS})).status == 200
        closed = []
        while len(closed) < 30:
            kline = json.loads(await asyncio.wait_for(socket.recv(), 5))["k"]
            if kline["x"]:
                closed.append(kline)
    assert [k["t"] for k in closed] == [START_MS + i * MINUTE_MS for i in range(30)]
    rows = (
        await venue.anonymous().public(
            "GET", "/api/v3/klines", symbol="BTCUSDT", interval="1m", startTime=START_MS, limit=30
        )
    ).body
    assert [[r[0], r[1], r[2], r[3], r[4], r[5]] for r in rows] == [
        [k["t"], k["o"], k["h"], k["l"], k["c"], k["v"]] for k in closed
    ]


async def test_market_time_runs_at_its_speed_and_server_time_does_not(start_venue: StartVenue) -> None:
    venue = await start_venue(speed=100.0)
    first = (await control(venue, "GET", "/clock")).body
    await asyncio.sleep(0.6)
    second = (await control(venue, "GET", "/clock")).body
    wall = second["server_ms"] - first["server_ms"]
    assert 500 <= wall <= 5_000
    ratio = (second["market_ms"] - first["market_ms"]) / wall
    assert 60 <= ratio <= 140  # one step of 100 ms more or less on either side
    assert (await control(venue, "POST", "/clock", {"speed": 0})).status == 200
    paused = (await control(venue, "GET", "/clock")).body["market_ms"]
    await asyncio.sleep(0.3)
    assert (await control(venue, "GET", "/clock")).body["market_ms"] == paused


async def test_longer_candles_are_made_of_the_minutes_they_cover(venue: Venue) -> None:
    await venue.advance(150 * MINUTE_MS)
    client = venue.anonymous()
    minutes = (await client.public("GET", "/api/v3/klines", symbol="ETHUSDT", interval="1m", limit=1000)).body
    for interval, length in (("5m", 5), ("15m", 15), ("1h", 60)):
        rows = (
            await client.public("GET", "/api/v3/klines", symbol="ETHUSDT", interval=interval, limit=6)
        ).body
        for row in rows:
            inside = [m for m in minutes if row[0] <= m[0] < row[0] + length * MINUTE_MS]
            assert Decimal(row[1]) == Decimal(inside[0][1])
            assert Decimal(row[2]) == max(Decimal(m[2]) for m in inside)
            assert Decimal(row[3]) == min(Decimal(m[3]) for m in inside)
            assert Decimal(row[4]) == Decimal(inside[-1][4])
            assert Decimal(row[5]) == sum(Decimal(m[5]) for m in inside)
            assert row[8] == sum(m[8] for m in inside)


async def test_truth_names_a_regime_for_every_minute_and_obeys_a_forced_one(venue: Venue) -> None:
    await control(venue, "POST", "/market", {"symbol": "BTCUSDT", "regime": "turbulent"})
    await venue.advance(3 * MINUTE_MS)
    truth = (await venue.anonymous().public("GET", "/testnet/v1/truth", symbol="BTCUSDT")).body
    times = [row[0] for row in truth["rows"]]
    assert times == list(range(times[0], START_MS + 3 * MINUTE_MS, MINUTE_MS))
    first = next(state for at, state in truth["rows"] if at == START_MS)
    assert truth["states"][first] == "turbulent"


async def test_listed_symbol_trades_and_delisted_symbol_expires_its_orders(venue: Venue) -> None:
    listing = {"symbol": "NEWUSDT", "market": "spot", "action": "list", "price": "2.5"}
    assert (await control(venue, "POST", "/symbols", listing)).status == 200
    client = venue.client(USDT="1000")
    resting = await client.order(
        symbol="NEWUSDT", side="BUY", type="LIMIT", timeInForce="GTC", quantity="10", price="2"
    )
    assert resting.body["status"] == "NEW"
    bought = await client.order(symbol="NEWUSDT", side="BUY", type="MARKET", quoteOrderQty="20")
    assert bought.body["status"] == "FILLED"
    await control(venue, "POST", "/symbols", {"symbol": "NEWUSDT", "action": "delist"})
    assert (await client.public("GET", "/api/v3/klines", symbol="NEWUSDT", interval="1m")).code == -1121
    ledger = (await control(venue, "GET", "/ledger")).body
    assert (
        next(o for o in ledger["orders"] if o["order_id"] == resting.body["orderId"])["status"] == "EXPIRED"
    )


async def test_symbol_listed_for_later_appears_when_market_time_gets_there(venue: Venue) -> None:
    later = {
        "symbol": "NEWUSDT",
        "action": "list",
        "price": "1",
        "at": START_MS + 90_000,
    }
    await control(venue, "POST", "/symbols", later)
    await venue.advance(60_000)
    assert (await venue.anonymous().public("GET", "/api/v3/avgPrice", symbol="NEWUSDT")).code == -1121
    await venue.advance(60_000)
    assert (await venue.anonymous().public("GET", "/api/v3/avgPrice", symbol="NEWUSDT")).status == 200


async def test_lost_answer_after_execution_leaves_the_order_placed(venue: Venue) -> None:
    client = venue.client(USDT="10000")
    match = {"path": "/api/v3/order", "method": "POST", "count": 1}
    await control(venue, "POST", "/faults", {"match": match, "effect": {"error_after": "drop"}})
    with pytest.raises(aiohttp.ClientError):
        await client.order(**limit_order(venue), newClientOrderId="lost")
    found = await client.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="lost")
    assert found.body["status"] == "NEW"


async def test_error_before_execution_leaves_no_order(venue: Venue) -> None:
    client = venue.client(USDT="10000")
    effect = {"error_before": {"status": 503}}
    await control(
        venue, "POST", "/faults", {"match": {"path": "/api/v3/order", "count": 1}, "effect": effect}
    )
    answer = await client.order(**limit_order(venue))
    assert (answer.status, answer.body["msg"]) == (503, "Service Unavailable.")
    assert venue.exchange.spot.order_id == 0


async def test_late_execution_answers_unknown_first(venue: Venue) -> None:
    client = venue.client(USDT="10000")
    await control(
        venue, "POST", "/faults", {"match": {"path": "/api/v3/order", "count": 1}, "effect": {"late_ms": 300}}
    )
    answer = await client.order(**limit_order(venue), newClientOrderId="late")
    assert answer.code == -1007
    which = {"symbol": "BTCUSDT", "origClientOrderId": "late"}
    assert (await client.signed("GET", "/api/v3/order", **which)).code == -2013
    for _ in range(50):
        await asyncio.sleep(0.05)
        if (await client.signed("GET", "/api/v3/order", **which)).status == 200:
            break
    else:
        pytest.fail("the late order never executed")


async def test_late_request_outside_its_receive_window_is_never_executed(venue: Venue) -> None:
    client = venue.client(USDT="10000")
    await control(
        venue, "POST", "/faults", {"match": {"path": "/api/v3/order", "count": 1}, "effect": {"late_ms": 400}}
    )
    await client.order(**limit_order(venue), recvWindow="200")
    await asyncio.sleep(0.8)
    assert venue.exchange.spot.order_id == 0


@pytest.mark.parametrize(
    ("effect", "status", "code"),
    [
        ({"rate_limit": {"status": 429, "retry_after": 3}}, 429, -1003),
        ({"rate_limit": {"status": 418, "retry_after": 9}}, 418, -1003),
        ({"error_after": {"status": 500, "code": -1006}}, 500, -1006),
        ({"clock_skew_ms": 60_000}, 400, -1021),
    ],
)
async def test_injected_error_reaches_the_client_and_ends_when_removed(
    venue: Venue, effect: dict[str, Any], status: int, code: int
) -> None:
    client = venue.client(USDT="10")
    made = (await control(venue, "POST", "/faults", {"effect": effect})).body
    answer = await client.signed("GET", "/api/v3/account")
    assert (answer.status, answer.code) == (status, code)
    if "rate_limit" in effect:
        assert answer.headers["Retry-After"] == str(effect["rate_limit"]["retry_after"])
    await control(venue, "DELETE", f"/faults/{made['id']}")
    assert (await client.signed("GET", "/api/v3/account")).status == 200


async def test_zero_balances_are_shown_but_not_real(venue: Venue) -> None:
    client = venue.client(USDT="10000")
    await control(venue, "POST", "/faults", {"effect": {"zero_balances": True}})
    shown = (await client.signed("GET", "/api/v3/account")).body["balances"]
    assert [row["free"] for row in shown] == ["0.00000000"]
    assert (await client.order(**limit_order(venue))).status == 200


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        ("drop_event", ["position", "position"]),
        ("duplicate_event", ["NEW", "NEW", "position", "CANCELED", "CANCELED", "position"]),
        # Each matched event changes places with the one after it.
        ("reorder_events", ["position", "NEW", "position", "CANCELED"]),
    ],
)
async def test_user_events_can_be_dropped_doubled_and_reordered(
    venue: Venue, effect: str, expected: list[str]
) -> None:
    client = venue.client(USDT="10000")
    assert client.account is not None
    match = {"event": "executionReport", "account_id": client.account.account_id}
    await control(venue, "POST", "/faults", {"match": match, "effect": {effect: True}})
    async with websockets.connect(f"{venue.ws}/ws-api/v3") as socket:
        values = {"apiKey": client.api_key, "timestamp": int(time.time() * 1000)}
        payload = f"apiKey={values['apiKey']}&timestamp={values['timestamp']}"
        params = {**values, "signature": client.sign(payload)}
        await socket.send(
            json.dumps({"id": 1, "method": "userDataStream.subscribe.signature", "params": params})
        )
        assert json.loads(await socket.recv())["status"] == 200
        await asyncio.sleep(0.02)
        placed = await client.order(**limit_order(venue))
        await client.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=placed.body["orderId"])
        await control(
            venue, "POST", f"/accounts/{client.account.account_id}/transfer", {"asset": "USDT", "amount": "1"}
        )
        seen = []
        while True:
            event = json.loads(await asyncio.wait_for(socket.recv(), 5))["event"]
            if event["e"] == "balanceUpdate":
                break
            seen.append(event["x"] if event["e"] == "executionReport" else "position")
    assert seen == expected


async def test_disconnect_cuts_matching_streams_once(venue: Venue) -> None:
    async with (
        websockets.connect(f"{venue.ws}/ws/btcusdt@trade") as cut,
        websockets.connect(f"{venue.ws}/ws/ethusdt@trade") as kept,
    ):
        await asyncio.sleep(0.05)
        await control(
            venue, "POST", "/faults", {"match": {"symbol": "BTCUSDT"}, "effect": {"disconnect": True}}
        )
        with pytest.raises(websockets.ConnectionClosed):
            await asyncio.wait_for(cut.recv(), 5)
        await venue.advance(5_000)
        assert json.loads(await asyncio.wait_for(kept.recv(), 5))["s"] == "ETHUSDT"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"effect": {}},
        {"effect": {"explode": True}},
        {"effect": {"delay_ms": -1}},
        [],
        {"match": {"probability": 2}, "effect": {"drop_event": True}},
    ],
)
async def test_unknown_fault_is_refused(venue: Venue, body: Any) -> None:
    assert (await control(venue, "POST", "/faults", body)).status == 400
