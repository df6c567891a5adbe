"""Symbols of both markets while the exchange runs: listing, delisting, halts, filters, over a restart."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import websockets

from testnet.account_setup import create_account
from testnet.klines import MINUTE_MS
from tests.testnet.conftest import START_MS, Answer, StartVenue, Venue


async def control(venue: Venue, method: str, path: str, body: Any = None) -> Answer:
    text = json.dumps(body) if body is not None else ""
    return await venue.anonymous().raw(method, "/testnet/v1" + path, body=text)


async def contract(venue: Venue, symbol: str) -> dict[str, Any] | None:
    info = (await venue.anonymous().public("GET", "/fapi/v1/exchangeInfo")).body
    return next((row for row in info["symbols"] if row["symbol"] == symbol), None)


async def test_perpetual_listed_at_a_price_trades_round_it_with_new_contract_terms(venue: Venue) -> None:
    body = {"symbol": "NEWUSDT", "market": "usdm", "action": "list", "price": "2.5"}
    assert (await control(venue, "POST", "/symbols", body)).body == {
        "symbol": "NEWUSDT",
        "market": "usdm",
        "action": "list",
        "status": "TRADING",
    }
    await venue.advance(5 * MINUTE_MS)
    row = await contract(venue, "NEWUSDT")
    assert row is not None
    assert row["onboardDate"] == START_MS
    price = (await venue.anonymous().public("GET", "/fapi/v1/ticker/price", symbol="NEWUSDT")).body["price"]
    assert 2.0 < float(price) < 3.0
    assert (await venue.anonymous().public("GET", "/api/v3/ticker/price", symbol="NEWUSDT")).code == -1121


async def test_perpetual_of_a_new_spot_symbol_follows_it(venue: Venue) -> None:
    for market in ("spot", "usdm"):
        body = {"symbol": "NEWUSDT", "market": market, "action": "list"}
        if market == "spot":
            body["price"] = "0.75"
        assert (await control(venue, "POST", "/symbols", body)).status == 200
    await venue.advance(5 * MINUTE_MS)
    spot = (await venue.anonymous().public("GET", "/api/v3/ticker/price", symbol="NEWUSDT")).body["price"]
    row = (await venue.anonymous().public("GET", "/fapi/v1/premiumIndex", symbol="NEWUSDT")).body
    assert abs(float(row["markPrice"]) / float(spot) - 1) < 0.005


async def test_announced_delisting_shows_its_date_then_settles_then_disappears(venue: Venue) -> None:
    at = START_MS + 10 * MINUTE_MS
    async with websockets.connect(f"{venue.ws}/market/ws/!contractInfo") as socket:
        await asyncio.sleep(0.05)
        body = {"symbol": "ETHUSDT", "market": "usdm", "action": "delist", "at": at}
        assert (await control(venue, "POST", "/symbols", body)).body["at"] == at
        row = await contract(venue, "ETHUSDT")
        assert row is not None
        assert (row["status"], row["deliveryDate"]) == ("TRADING", at)
        await venue.advance(10 * MINUTE_MS + 30_000)
        row = await contract(venue, "ETHUSDT")
        assert row is not None
        assert row["status"] == "SETTLING"
        await venue.advance(MINUTE_MS)
        assert await contract(venue, "ETHUSDT") is None
        events = [json.loads(await asyncio.wait_for(socket.recv(), 5)) for _ in range(2)]
    assert [(event["cs"], event["dt"]) for event in events] == [("TRADING", at), ("SETTLING", at)]
    spot = (await venue.anonymous().public("GET", "/api/v3/exchangeInfo", symbol="ETHUSDT")).body["symbols"][
        0
    ]
    assert spot["status"] == "TRADING"


async def test_announced_spot_delisting_expires_orders_at_its_time(venue: Venue) -> None:
    client = venue.client(USDT="1000")
    price = venue.price(venue.best("ETHUSDT")[0] // 2, "ETHUSDT")
    placed = await client.order(
        symbol="ETHUSDT", side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.1", price=price
    )
    assert placed.status == 200
    body = {"symbol": "ETHUSDT", "action": "delist", "at": START_MS + MINUTE_MS}
    assert (await control(venue, "POST", "/symbols", body)).status == 200
    await venue.advance(MINUTE_MS + 1_000)
    info = (await client.public("GET", "/api/v3/exchangeInfo", symbol="ETHUSDT")).body["symbols"][0]
    assert info["status"] == "BREAK"
    ledger = (await control(venue, "GET", "/ledger")).body
    order = next(row for row in ledger["orders"] if row["order_id"] == placed.body["orderId"])
    assert order["status"] == "EXPIRED"
    await venue.advance(MINUTE_MS)
    assert (await client.public("GET", "/api/v3/depth", symbol="ETHUSDT")).code == -1121


async def test_halted_perpetual_stops_trading_and_resumes(venue: Venue) -> None:
    halt = {"symbol": "BTCUSDT", "market": "usdm", "action": "halt"}
    assert (await control(venue, "POST", "/symbols", halt)).body["status"] == "HALT"
    listing = venue.exchange.listing("BTCUSDT", "usdm")
    before, spot_before = listing.tape.trade_id, venue.exchange.listing("BTCUSDT").tape.trade_id
    await venue.advance(2 * MINUTE_MS)
    assert listing.tape.trade_id == before
    assert venue.exchange.listing("BTCUSDT").tape.trade_id > spot_before
    await control(venue, "POST", "/symbols", {**halt, "action": "resume"})
    await venue.advance(MINUTE_MS)
    assert listing.tape.trade_id > before


@pytest.mark.parametrize("market", ["spot", "usdm"])
async def test_changed_filters_are_announced_and_outlive_a_restart(
    start_venue: StartVenue, tmp_path: Path, market: str
) -> None:
    venue = await start_venue(data_dir=tmp_path / "state")
    filters = {"minNotional": "25", "minQty": "0.01", "maxQty": "50"}
    body = {"symbol": "BTCUSDT", "market": market, "action": "filters", "filters": filters}
    assert (await control(venue, "POST", "/symbols", body)).status == 200
    await venue.advance(MINUTE_MS)
    venue.exchange.journal.flush()

    async def announced(running: Venue) -> tuple[str, str, str]:
        path = "/api/v3/exchangeInfo" if market == "spot" else "/fapi/v1/exchangeInfo"
        info = (await running.anonymous().public("GET", path)).body
        row = next(row for row in info["symbols"] if row["symbol"] == "BTCUSDT")
        by_type = {row["filterType"]: row for row in row["filters"]}
        lot = by_type["LOT_SIZE"]
        notional = (
            by_type["NOTIONAL"]["minNotional"] if market == "spot" else by_type["MIN_NOTIONAL"]["notional"]
        )
        return notional, lot["minQty"], lot["maxQty"]

    first = await announced(venue)
    assert [float(text) for text in first] == [25, 0.01, 50]
    await venue.server.stop()
    again = await start_venue(data_dir=tmp_path / "state")
    assert await announced(again) == first


async def test_coarser_tick_and_step_bind_new_orders_and_leave_resting_ones(venue: Venue) -> None:
    client = venue.client(USDT="100000")
    price = venue.best()[0] // 100 * 99 // 50 * 50 + 7  # seven cents off any half dollar
    order: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
    }
    resting = await client.order(**order, quantity="0.01003", price=venue.price(price))
    assert resting.status == 200
    filters = {"tickSize": "0.5", "stepSize": "0.0001"}
    body = {"symbol": "BTCUSDT", "action": "filters", "filters": filters}
    assert (await control(venue, "POST", "/symbols", body)).status == 200
    info = (await client.public("GET", "/api/v3/exchangeInfo", symbol="BTCUSDT")).body["symbols"][0]
    by_type = {row["filterType"]: row for row in info["filters"]}
    assert by_type["PRICE_FILTER"]["tickSize"] == "0.50000000"
    assert by_type["LOT_SIZE"]["stepSize"] == "0.00010000"
    off_tick = await client.order(**order, quantity="0.01", price=venue.price(price))
    assert (off_tick.code, off_tick.body["msg"]) == (-1013, "Filter failure: PRICE_FILTER")
    off_step = await client.order(**order, quantity="0.01003", price=venue.price(price - 7))
    assert (off_step.code, off_step.body["msg"]) == (-1013, "Filter failure: LOT_SIZE")
    assert (await client.order(**order, quantity="0.0101", price=venue.price(price - 7))).status == 200
    open_orders = (await client.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")).body
    assert [row["origQty"] for row in open_orders] == ["0.01003000", "0.01010000"]


async def test_coarser_tick_and_step_bind_orders_of_a_perpetual(venue: Venue) -> None:
    account, keys = create_account(venue.exchange, {"futures_balances": {"USDT": "10000"}})
    client = venue.with_key(account, keys[0])
    filters = {"tickSize": "1", "stepSize": "0.01"}
    body = {"symbol": "BTCUSDT", "market": "usdm", "action": "filters", "filters": filters}
    assert (await control(venue, "POST", "/symbols", body)).status == 200
    row = await contract(venue, "BTCUSDT")
    assert row is not None
    by_type = {row["filterType"]: row for row in row["filters"]}
    assert (by_type["PRICE_FILTER"]["tickSize"], by_type["LOT_SIZE"]["stepSize"]) == ("1.00", "0.010")
    best = venue.exchange.listing("BTCUSDT", "usdm").book.bids.best()
    assert best is not None
    price = best // 100 * 99 // 10  # in whole dollars
    order: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
    }
    for quantity, text, code in (("0.01", f"{price}.1", -4014), ("0.015", f"{price}", -4023)):
        answer = await client.signed("POST", "/fapi/v1/order", **order, quantity=quantity, price=text)
        assert answer.code == code
    placed = await client.signed("POST", "/fapi/v1/order", **order, quantity="0.02", price=f"{price}")
    assert placed.status == 200


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"filters": {"tickSize": "0.05"}}, "must be a multiple of the one the symbol was listed with (0.1"),
        ({"filters": {"stepSize": "0"}}, "must be a multiple"),
        ({"filters": {"minQty": "60", "maxQty": "50"}}, "smallest value lies above the largest"),
        ({"filters": {"minPrice": "0.001"}}, "multiples of the tick"),
        ({"filters": {"colour": "1"}}, "filters: expected"),
        ({"filters": {}}, "at least one"),
        ({"market": "moon"}, "market: expected spot or usdm"),
        ({"action": "remove"}, "expected symbol and action"),
        ({"symbol": 5}, "expected symbol and action"),
    ],
)
async def test_impossible_symbol_action_is_refused_with_a_reason(
    venue: Venue, change: dict[str, Any], sentence: str
) -> None:
    body = {
        "symbol": "BTCUSDT",
        "market": "usdm",
        "action": "filters",
        "filters": {"minQty": "0.01"},
        **change,
    }
    answer = await control(venue, "POST", "/symbols", body)
    assert answer.status == 400
    assert sentence in answer.body["msg"]


async def test_action_of_an_unknown_or_listed_symbol_is_refused(venue: Venue) -> None:
    unknown = {"symbol": "NOUSDT", "market": "usdm", "action": "halt"}
    assert (await control(venue, "POST", "/symbols", unknown)).code == -1121
    twice = {"symbol": "BTCUSDT", "market": "usdm", "action": "list"}
    assert "listed already" in (await control(venue, "POST", "/symbols", twice)).body["msg"]
    nowhere = {"symbol": "NOUSDT", "market": "usdm", "action": "list"}
    assert "neither" in (await control(venue, "POST", "/symbols", nowhere)).body["msg"]


async def test_waiting_listing_outlives_a_restart(start_venue: StartVenue, tmp_path: Path) -> None:
    venue = await start_venue(data_dir=tmp_path / "state")
    body = {
        "symbol": "SOLUSDT",
        "market": "usdm",
        "action": "list",
        "at": START_MS + 10 * MINUTE_MS,
    }
    assert (await control(venue, "POST", "/symbols", body)).status == 200
    await venue.advance(5 * MINUTE_MS)
    await venue.server.stop()
    again = await start_venue(data_dir=tmp_path / "state")
    assert await contract(again, "SOLUSDT") is None
    await again.advance(6 * MINUTE_MS)
    row = await contract(again, "SOLUSDT")
    assert row is not None
    assert row["status"] == "TRADING"


async def test_market_control_reaches_the_perpetual(venue: Venue) -> None:
    listing = venue.exchange.listing("BTCUSDT", "usdm")
    price = venue.exchange.marks.index_of(listing) / 10**8 * 1.01
    path = {"symbol": "BTCUSDT", "market": "usdm", "path": [[60, f"{price:.1f}"], [120, f"{price:.1f}"]]}
    assert (await control(venue, "POST", "/market", path)).body == {"symbol": "BTCUSDT", "market": "usdm"}
    await venue.advance(90_000)
    mid = listing.book.mid_ticks()
    assert mid is not None
    assert mid / 10 == pytest.approx(price, rel=1e-4)
    await control(venue, "POST", "/market", {"symbol": "BTCUSDT", "market": "usdm", "regime": "turbulent"})
    await venue.advance(2 * MINUTE_MS)
    truths = [
        (await venue.anonymous().public("GET", "/testnet/v1/truth", symbol="BTCUSDT", market=market)).body
        for market in ("spot", "usdm")
    ]
    assert truths[0] == truths[1]
    assert truths[0]["states"][truths[0]["rows"][-1][1]] == "turbulent"
    bad = await control(venue, "POST", "/market", {"symbol": "BTCUSDT", "market": "moon", "regime": "calm"})
    assert "market: expected" in bad.body["msg"]


async def test_halt_fault_halts_the_symbol_on_both_markets_until_it_is_lifted(venue: Venue) -> None:
    made = await control(venue, "POST", "/faults", {"effect": {"halt_symbol": "BTCUSDT"}})
    listings = [venue.exchange.listing("BTCUSDT", market) for market in ("spot", "usdm")]
    assert [listing.status for listing in listings] == ["HALT", "HALT"]
    await control(venue, "DELETE", f"/faults/{made.body['id']}")
    assert [listing.status for listing in listings] == ["TRADING", "TRADING"]
