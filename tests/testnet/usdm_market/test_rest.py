"""The public futures REST: members, values, weights and refusals."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from testnet.klines import MINUTE_MS
from tests.testnet.conftest import SHARES, START_MS, Answer, StartVenue, Venue

# Members as the venue's own client library (18.0.1) names them.
MEMBERS: dict[str, tuple[dict[str, str], list[str]]] = {
    "depth": ({"symbol": "BTCUSDT"}, ["lastUpdateId", "E", "T", "bids", "asks"]),
    "trades": (
        {"symbol": "BTCUSDT"},
        ["id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isRPITrade"],
    ),
    "aggTrades": ({"symbol": "BTCUSDT"}, ["a", "p", "q", "nq", "f", "l", "T", "m"]),
    "premiumIndex": (
        {"symbol": "BTCUSDT"},
        [
            "symbol",
            "markPrice",
            "indexPrice",
            "estimatedSettlePrice",
            "lastFundingRate",
            "interestRate",
            "nextFundingTime",
            "time",
        ],
    ),
    "fundingRate": ({"symbol": "BTCUSDT"}, ["symbol", "fundingRate", "fundingTime", "markPrice", "rateType"]),
    "fundingInfo": (
        {},
        [
            "symbol",
            "adjustedFundingRateCap",
            "adjustedFundingRateFloor",
            "fundingIntervalHours",
            "disclaimer",
        ],
    ),
    "ticker/24hr": (
        {"symbol": "BTCUSDT"},
        [
            *("symbol", "priceChange", "priceChangePercent", "weightedAvgPrice", "lastPrice", "lastQty"),
            *("openPrice", "highPrice", "lowPrice", "volume", "quoteVolume", "openTime", "closeTime"),
            *("firstId", "lastId", "count"),
        ],
    ),
    "ticker/price": ({"symbol": "BTCUSDT"}, ["symbol", "price", "time"]),
    "ticker/bookTicker": (
        {"symbol": "BTCUSDT"},
        ["symbol", "bidPrice", "bidQty", "askPrice", "askQty", "time"],
    ),
    "openInterest": ({"symbol": "BTCUSDT"}, ["openInterest", "symbol", "time"]),
    "constituents": ({"symbol": "BTCUSDT"}, ["symbol", "time", "constituents"]),
}
INTEGERS = {
    *("lastUpdateId", "E", "T", "id", "time", "a", "f", "l", "nextFundingTime", "fundingTime", "openTime"),
    *("closeTime", "firstId", "lastId", "count", "fundingIntervalHours"),
}
FLAGS = {"isBuyerMaker", "isRPITrade", "m", "disclaimer"}
LISTS = {"bids", "asks", "constituents"}


async def ask(venue: Venue, path: str, **params: Any) -> Answer:
    root = "/futures/data/" if path.startswith("data/") else "/fapi/v1/"
    return await venue.anonymous().public("GET", root + path.removeprefix("data/"), **params)


@SHARES
@pytest.mark.parametrize("path", MEMBERS)
async def test_answer_has_the_documented_members_with_numbers_as_text(shared_venue: Venue, path: str) -> None:
    await shared_venue.advance(60_000)
    params, members = MEMBERS[path]
    answer = await ask(shared_venue, path, **params)
    assert answer.status == 200
    row = answer.body[-1] if isinstance(answer.body, list) else answer.body
    assert sorted(row) == sorted(members)
    for name, value in row.items():
        kind = int if name in INTEGERS else bool if name in FLAGS else list if name in LISTS else str
        assert type(value) is kind, (name, value)


@SHARES
@pytest.mark.parametrize(
    ("path", "params", "weight"),
    [
        ("ping", {}, 1),
        ("exchangeInfo", {}, 1),
        ("depth", {"symbol": "BTCUSDT", "limit": 50}, 2),
        ("depth", {"symbol": "BTCUSDT", "limit": 100}, 5),
        ("depth", {"symbol": "BTCUSDT"}, 10),
        ("depth", {"symbol": "BTCUSDT", "limit": 1000}, 20),
        ("trades", {"symbol": "BTCUSDT"}, 5),
        ("aggTrades", {"symbol": "BTCUSDT"}, 20),
        ("klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 99}, 1),
        ("klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 499}, 2),
        ("klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 1000}, 5),
        ("markPriceKlines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 1500}, 10),
        ("premiumIndex", {"symbol": "BTCUSDT"}, 1),
        ("premiumIndex", {}, 10),
        ("ticker/24hr", {"symbol": "BTCUSDT"}, 1),
        ("ticker/24hr", {}, 40),
        ("ticker/bookTicker", {"symbol": "BTCUSDT"}, 2),
        ("ticker/bookTicker", {}, 5),
    ],
)
async def test_request_weighs_what_the_venue_says(
    shared_venue: Venue, path: str, params: dict[str, Any], weight: int
) -> None:
    before = int((await ask(shared_venue, "ping")).headers["X-MBX-USED-WEIGHT-1M"])
    answer = await ask(shared_venue, path, **params)
    assert answer.status == 200
    assert int(answer.headers["X-MBX-USED-WEIGHT-1M"]) - before == weight


async def test_futures_weight_is_counted_apart_from_spot_and_limited_at_2400(start_venue: StartVenue) -> None:
    venue = await start_venue(rate_limits=True)
    await venue.anonymous().public("GET", "/api/v3/ticker/24hr")
    assert int((await ask(venue, "ping")).headers["X-MBX-USED-WEIGHT-1M"]) < 80
    for _ in range(120):
        answer = await ask(venue, "depth", symbol="BTCUSDT", limit=1000)
    assert (answer.status, answer.code) == (429, -1003)
    assert int(answer.headers["Retry-After"]) >= 1
    assert (await venue.anonymous().public("GET", "/api/v3/ping")).status == 200


@SHARES
@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("depth", {"symbol": "NOUSDT"}, -1121),
        ("depth", {}, -1102),
        ("depth", {"symbol": "BTCUSDT", "limit": 7}, -4021),
        ("klines", {"symbol": "BTCUSDT", "interval": "7m"}, -1120),
        ("klines", {"symbol": "BTCUSDT", "interval": "1s"}, -1120),
        ("continuousKlines", {"pair": "BTCUSDT", "contractType": "NEXT_QUARTER", "interval": "1m"}, -4144),
        ("trades", {"symbol": "BTCUSDT", "limit": 0}, -1130),
        ("premiumIndex", {"symbol": "btc usdt"}, -1100),
        ("data/openInterestHist", {"symbol": "BTCUSDT", "period": "7m"}, -1130),
        ("nothing", {}, -5000),
    ],
)
async def test_bad_request_is_refused_with_its_code(
    shared_venue: Venue, path: str, params: dict[str, Any], code: int
) -> None:
    answer = await ask(shared_venue, path, **params)
    assert answer.status in (400, 404)
    assert answer.code == code


@SHARES
async def test_exchange_info_announces_futures_limits_and_both_contracts(shared_venue: Venue) -> None:
    info = (await ask(shared_venue, "exchangeInfo")).body
    limits = {(row["rateLimitType"], row["interval"]): row["limit"] for row in info["rateLimits"]}
    assert limits == {
        ("REQUEST_WEIGHT", "MINUTE"): 2400,
        ("ORDERS", "SECOND"): 300,
        ("ORDERS", "MINUTE"): 1200,
    }
    assert [row["symbol"] for row in info["symbols"]] == ["BTCUSDT", "ETHUSDT"]
    assert {row["deliveryDate"] for row in info["symbols"]} == {4133404800000}


async def test_candles_of_every_kind_cover_the_same_minutes(venue: Venue) -> None:
    await venue.advance(10 * MINUTE_MS)
    times = {"interval": "1m", "startTime": START_MS, "limit": 10}
    answers = [
        await ask(venue, "klines", symbol="BTCUSDT", **times),
        await ask(venue, "continuousKlines", pair="BTCUSDT", contractType="PERPETUAL", **times),
        await ask(venue, "markPriceKlines", symbol="BTCUSDT", **times),
        await ask(venue, "indexPriceKlines", pair="BTCUSDT", **times),
        await ask(venue, "premiumIndexKlines", symbol="BTCUSDT", **times),
    ]
    trades, continuous, marks, index, premium = (answer.body for answer in answers)
    assert trades == continuous
    for rows in (trades, marks, index, premium):
        assert [row[0] for row in rows] == [START_MS + i * MINUTE_MS for i in range(10)]
        assert [row[6] for row in rows] == [START_MS + (i + 1) * MINUTE_MS - 1 for i in range(10)]
        assert {len(row) for row in rows} == {12}
        for row in rows:
            low, high = Decimal(row[3]), Decimal(row[2])
            assert (
                low <= min(Decimal(row[1]), Decimal(row[4])) <= max(Decimal(row[1]), Decimal(row[4])) <= high
            )
    for mark, traded in zip(marks, trades, strict=True):
        assert abs(Decimal(mark[4]) / Decimal(traded[4]) - 1) < Decimal("0.005")


async def test_premium_index_repeats_the_last_candle_and_names_the_next_funding_time(venue: Venue) -> None:
    await venue.advance(5 * MINUTE_MS)
    row = (await ask(venue, "premiumIndex", symbol="BTCUSDT")).body
    mark = (await ask(venue, "markPriceKlines", symbol="BTCUSDT", interval="1m", limit=1)).body[0]
    assert row["markPrice"] == mark[4]
    assert row["nextFundingTime"] == START_MS // 28_800_000 * 28_800_000 + 28_800_000
    assert row["time"] == START_MS + 5 * MINUTE_MS


async def test_funding_history_is_ascending_and_selected_by_time(venue: Venue) -> None:
    await venue.advance(MINUTE_MS)
    every = (await ask(venue, "fundingRate", symbol="ETHUSDT", limit=1000)).body
    times = [row["fundingTime"] for row in every]
    assert times == sorted(times)
    assert {b - a for a, b in pairwise(times)} == {28_800_000}
    newest = (await ask(venue, "fundingRate", symbol="ETHUSDT", limit=2)).body
    assert newest == every[-2:]
    oldest = (await ask(venue, "fundingRate", symbol="ETHUSDT", startTime=times[1], limit=2)).body
    assert oldest == every[1:3]
    both = (await ask(venue, "fundingRate", limit=1000)).body
    assert len(both) == 2 * len(every)


async def test_statistics_are_computed_from_the_candles(venue: Venue) -> None:
    await venue.advance(12 * MINUTE_MS)
    ratio = (await ask(venue, "data/takerlongshortRatio", symbol="BTCUSDT", period="5m", limit=1)).body[0]
    bar = (
        await ask(venue, "klines", symbol="BTCUSDT", interval="5m", startTime=ratio["timestamp"], limit=1)
    ).body[0]
    assert (ratio["buyVol"], Decimal(ratio["sellVol"])) == (bar[9], Decimal(bar[5]) - Decimal(bar[9]))
    assert abs(Decimal(ratio["buySellRatio"]) - Decimal(bar[9]) / Decimal(ratio["sellVol"])) < Decimal(
        "0.0001"
    )
    basis = (
        await ask(venue, "data/basis", pair="BTCUSDT", contractType="PERPETUAL", period="5m", limit=1)
    ).body[0]
    assert Decimal(basis["basis"]) == Decimal(basis["futuresPrice"]) - Decimal(basis["indexPrice"])
    history = (await ask(venue, "data/openInterestHist", symbol="BTCUSDT", period="5m", limit=3)).body
    assert [sorted(row) for row in history] == [
        ["sumOpenInterest", "sumOpenInterestValue", "symbol", "timestamp"]
    ] * 3
    longs = (
        await ask(venue, "data/globalLongShortAccountRatio", symbol="BTCUSDT", period="5m", limit=1)
    ).body[0]
    assert Decimal(longs["longAccount"]) + Decimal(longs["shortAccount"]) == 1
    assert (await ask(venue, "data/delivery-price", pair="BTCUSDT")).body == []


async def test_historical_and_aggregate_trades_can_be_read_from_an_id_on(venue: Venue) -> None:
    await venue.advance(MINUTE_MS)
    newest = (await ask(venue, "historicalTrades", symbol="BTCUSDT", limit=20)).body
    from_id = newest[5]["id"]
    rows = (await ask(venue, "historicalTrades", symbol="BTCUSDT", fromId=from_id, limit=5)).body
    assert [row["id"] for row in rows] == list(range(from_id, from_id + 5))
    aggregates = (await ask(venue, "aggTrades", symbol="BTCUSDT", limit=50)).body
    for first, second in pairwise(aggregates):
        assert (second["a"], second["f"]) == (first["a"] + 1, first["l"] + 1)
    again = (await ask(venue, "aggTrades", symbol="BTCUSDT", fromId=aggregates[3]["a"], limit=4)).body
    assert again == aggregates[3:7]


@SHARES
async def test_spot_and_futures_of_a_symbol_are_told_apart_by_the_members_clients_look_at(
    shared_venue: Venue,
) -> None:
    client = shared_venue.anonymous()
    spot_best = (await client.public("GET", "/api/v3/ticker/bookTicker", symbol="BTCUSDT")).body
    assert "time" not in spot_best
    day = (await ask(shared_venue, "ticker/24hr", symbol="BTCUSDT")).body
    assert "bidPrice" not in day
    assert "bidQty" not in day


@SHARES
async def test_websocket_api_answers_prices_best_prices_and_depth(shared_venue: Venue) -> None:
    async with shared_venue.session.ws_connect(shared_venue.ws + "/ws-fapi/v1") as socket:
        for number, (method, members) in enumerate(
            (
                ("ticker.price", {"symbol", "price", "time"}),
                ("ticker.book", {"symbol", "bidPrice", "bidQty", "askPrice", "askQty", "time"}),
                ("depth", {"lastUpdateId", "E", "T", "bids", "asks"}),
            )
        ):
            params = {"symbol": "BTCUSDT", **({"limit": 5} if method == "depth" else {})}
            await socket.send_json({"id": number, "method": method, "params": params})
            answer = await socket.receive_json(timeout=5)
            assert (answer["id"], answer["status"]) == (number, 200)
            assert set(answer["result"]) == members
            limits = {row["rateLimitType"]: row["limit"] for row in answer["rateLimits"]}
            assert limits["REQUEST_WEIGHT"] == 2400
