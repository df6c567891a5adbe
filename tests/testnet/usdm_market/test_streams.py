"""The futures streams: roots, members, pace, and a book kept by their rules."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import websockets

from testnet.account_setup import create_account
from testnet.klines import MINUTE_MS
from testnet.market.synthetic import SyntheticFeed
from tests.testnet.conftest import START_MS, StartVenue, Venue

Socket = Any


@asynccontextmanager
async def connected(venue: Venue, path: str) -> AsyncIterator[Socket]:
    async with websockets.connect(venue.ws + path) as socket:
        await asyncio.sleep(0.02)
        yield socket


async def receive(socket: Socket, within_s: float = 5.0) -> Any:
    return json.loads(await asyncio.wait_for(socket.recv(), within_s))


async def first_of(socket: Socket, event: str, within_s: float = 5.0) -> Any:
    while True:
        message = await receive(socket, within_s)
        row = message[0] if isinstance(message, list) else message
        if row.get("e") == event:
            return message


RECORDED = {
    "agg_trade_stream": "btcusdt@aggTrade",
    "trade_stream": "btcusdt@trade",
    "book_ticker_stream": "btcusdt@bookTicker",
    "depth_update_stream": "btcusdt@depth@100ms",
    "kline_stream_open": "btcusdt@kline_1m",
    "mark_price_stream": "btcusdt@markPrice@1s",
    "ticker_stream": "btcusdt@ticker",
}


def kinds(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: kinds(member) for name, member in value.items()}
    return type(value)


@pytest.mark.parametrize("example", RECORDED)
async def test_event_has_every_member_of_the_example_with_the_same_type(
    start_venue: StartVenue, real_data: Path, example: str
) -> None:
    venue = await start_venue(symbols=("BTCUSDT",), speed=1.0)
    path = real_data / "payloads_nautilus_rust" / f"futures__market_data_json__{example}.json"
    theirs = kinds(json.loads(path.read_text()))
    async with connected(venue, f"/fstream/ws/{RECORDED[example]}") as socket:
        ours = kinds(await receive(socket))
    for name, kind in theirs.items():
        if isinstance(kind, dict):
            assert set(kind) == set(ours[name])
            assert {member: ours[name][member] for member in kind} == kind
        else:
            assert ours[name] is kind, name


@pytest.mark.parametrize(
    ("stream", "members"),
    [
        ("btcusdt@miniTicker", {"e", "E", "s", "ps", "c", "o", "h", "l", "v", "q", "st"}),
        ("!miniTicker@arr", {"e", "E", "s", "ps", "c", "o", "h", "l", "v", "q", "st"}),
        ("!markPrice@arr@1s", {"e", "E", "s", "p", "i", "P", "r", "T", "st"}),
        ("btcusdt_perpetual@continuousKline_1m", {"e", "E", "ps", "ct", "k"}),
        ("btcusdt@depth5@500ms", {"e", "E", "T", "s", "ps", "U", "u", "pu", "b", "a", "st"}),
        ("btcusdt@rpiDepth@500ms", {"e", "E", "T", "s", "ps", "U", "u", "pu", "b", "a", "st"}),
        ("!bookTicker", {"e", "u", "E", "T", "s", "ps", "b", "B", "a", "A", "st"}),
    ],
)
async def test_stream_without_an_example_has_the_client_librarys_members(
    start_venue: StartVenue, stream: str, members: set[str]
) -> None:
    venue = await start_venue(symbols=("BTCUSDT",), speed=1.0)
    async with connected(venue, f"/market/ws/{stream}") as socket:
        message = await receive(socket)
    assert set(message[0] if isinstance(message, list) else message) == members


@pytest.mark.parametrize(
    "path",
    [
        "/public/ws/btcusdt@bookTicker",
        "/market/ws/btcusdt@bookTicker",
        "/private/ws/btcusdt@bookTicker",
        "/fstream/ws/btcusdt@bookTicker",
        "/public/stream/ws/btcusdt@bookTicker",
        "/ws/btcusdt@bookTicker/btcusdt@markPrice",
    ],
)
async def test_futures_streams_are_found_under_every_root(start_venue: StartVenue, path: str) -> None:
    venue = await start_venue(symbols=("BTCUSDT",), speed=1.0)
    async with connected(venue, path) as socket:
        event = await first_of(socket, "bookTicker")
    assert event["s"] == "BTCUSDT"
    assert event["b"] == f"{Decimal(event['b']):.2f}"


async def test_bare_root_is_spot_until_a_name_tells_otherwise(start_venue: StartVenue) -> None:
    venue = await start_venue(symbols=("BTCUSDT",), speed=10.0)
    async with connected(venue, "/ws/btcusdt@trade") as socket:
        assert (await first_of(socket, "trade"))["M"] is True
        await socket.send(
            json.dumps({"method": "SUBSCRIBE", "params": ["btcusdt@depth@0ms", "btcusdt@aggTrade"], "id": 1})
        )
        while (await receive(socket)) != {"result": None, "id": 1}:
            continue
        # From now on the trades asked for first are the perpetual's, too.
        assert (await first_of(socket, "trade"))["X"] == "MARKET"
        assert "nq" in await first_of(socket, "aggTrade")
        await socket.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": 2}))
        while "result" not in (answer := await receive(socket)):
            continue
        assert answer["result"] == ["btcusdt@trade", "btcusdt@depth@0ms", "btcusdt@aggTrade"]


@pytest.mark.long
async def test_symbol_listed_only_as_a_perpetual_is_found_on_the_bare_root(start_venue: StartVenue) -> None:
    venue = await start_venue(symbols=("BTCUSDT",), speed=1.0)
    body = {"symbol": "SOLUSDT", "market": "usdm", "action": "list"}
    venue.server.service.desk.request(body, None)
    async with connected(venue, "/stream?streams=solusdt@aggTrade") as socket:
        assert (await receive(socket))["data"]["s"] == "SOLUSDT"


async def test_futures_connections_may_send_ten_messages_a_second_and_spot_ones_five(
    start_venue: StartVenue,
) -> None:
    venue = await start_venue(symbols=("BTCUSDT",), rate_limits=True)
    for path, allowed in (("/market/ws", 10), ("/ws", 5)):
        async with connected(venue, path) as socket:
            for number in range(allowed):
                await socket.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
                assert (await receive(socket))["id"] == number
            await socket.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": 99}))
            with pytest.raises(websockets.ConnectionClosed):
                await receive(socket)


class LocalBook:
    """A book kept by the venue's published rules, from REST depth and diff events."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[Decimal, Decimal]] = {"b": {}, "a": {}}
        self.last_id = 0
        self.applied = 0

    def load(self, snapshot: dict[str, Any]) -> None:
        self.sides = {
            "b": {Decimal(p): Decimal(q) for p, q in snapshot["bids"]},
            "a": {Decimal(p): Decimal(q) for p, q in snapshot["asks"]},
        }
        self.last_id = snapshot["lastUpdateId"]
        self.applied = 0

    def apply(self, event: dict[str, Any]) -> None:
        if not self.applied and event["u"] < self.last_id:
            return
        if self.applied:
            assert event["pu"] == self.last_id
        else:
            assert event["U"] <= self.last_id <= event["u"]
        for side in ("b", "a"):
            for price, quantity in event[side]:
                if Decimal(quantity):
                    self.sides[side][Decimal(price)] = Decimal(quantity)
                else:
                    self.sides[side].pop(Decimal(price), None)
        self.last_id = event["u"]
        self.applied += 1

    def top(self, side: str, count: int) -> list[tuple[Decimal, Decimal]]:
        rows = sorted(self.sides[side].items(), reverse=side == "b")
        return rows[:count]


def served(venue: Venue, count: int) -> dict[str, list[tuple[Decimal, Decimal]]]:
    listing = venue.exchange.listing("BTCUSDT", "usdm")
    instrument = listing.instrument
    return {
        name: [
            (Decimal(instrument.price_text(p)), Decimal(instrument.qty_text(q))) for p, q in side.top(count)
        ]
        for name, side in (("b", listing.book.bids), ("a", listing.book.asks))
    }


@pytest.mark.parametrize("pace", ["@0ms", "@100ms", "", "@500ms"])
async def test_book_kept_by_the_published_rules_equals_the_exchanges_while_it_trades(
    start_venue: StartVenue, pace: str
) -> None:
    venue = await start_venue(symbols=("BTCUSDT",))
    book, client = LocalBook(), venue.anonymous()
    async with connected(venue, f"/public/ws/btcusdt@depth{pace}") as socket:
        for attempt in range(3):
            # Take the snapshot at different moments: before, between and after events.
            await venue.advance(700 + 300 * attempt)
            book.load((await client.public("GET", "/fapi/v1/depth", symbol="BTCUSDT", limit=1000)).body)
            for _ in range(4):
                await venue.advance(1_000)
                await asyncio.sleep(0.15)
            deadline = asyncio.get_running_loop().time() + 10
            while asyncio.get_running_loop().time() < deadline:
                if book.applied and {side: book.top(side, 20) for side in "ba"} == served(venue, 20):
                    break
                book.apply(await receive(socket))
            else:
                pytest.fail("the book never agreed")
            assert book.applied >= 1


async def test_event_after_a_snapshot_of_a_quiet_book_begins_at_or_before_it(venue: Venue) -> None:
    client = venue.anonymous()
    async with connected(venue, "/public/ws/btcusdt@depth@0ms") as socket:
        await venue.advance(1_000)
        event = await receive(socket)
        quiet = (await client.public("GET", "/fapi/v1/depth", symbol="BTCUSDT", limit=5)).body
        assert quiet["lastUpdateId"] > event["u"]
        await venue.advance(1_000)
        following = await receive(socket)
        assert following["U"] <= quiet["lastUpdateId"] <= following["u"]
        assert following["pu"] == event["u"]


async def test_every_candle_of_both_markets_closes_once_when_time_is_compressed(
    start_venue: StartVenue,
) -> None:
    venue = await start_venue(symbols=("BTCUSDT",), speed=60.0)
    closed: dict[str, list[int]] = {}
    async with (
        connected(venue, "/ws/btcusdt@kline_1m") as spot,
        connected(venue, "/market/ws/btcusdt@kline_1m") as futures,
        connected(venue, "/market/ws/btcusdt_perpetual@continuousKline_1m") as continuous,
    ):
        for name, socket in (("spot", spot), ("futures", futures), ("continuous", continuous)):
            closed[name] = []
            while len(closed[name]) < 5:
                kline = (await receive(socket, 20))["k"]
                if kline["x"]:
                    closed[name].append(kline["t"])
    for opens in closed.values():
        assert opens == list(range(opens[0], opens[0] + 5 * MINUTE_MS, MINUTE_MS))
        assert opens[0] >= START_MS


async def test_mark_price_stream_repeats_rest(start_venue: StartVenue) -> None:
    venue = await start_venue(symbols=("BTCUSDT",))
    await venue.advance(30_000)
    async with connected(venue, "/market/ws/btcusdt@markPrice@1s") as socket:
        event = await receive(socket)
    row = (await venue.anonymous().public("GET", "/fapi/v1/premiumIndex", symbol="BTCUSDT")).body
    assert (event["p"], event["i"], event["P"], event["r"], event["T"]) == (
        row["markPrice"],
        row["indexPrice"],
        row["estimatedSettlePrice"],
        row["lastFundingRate"],
        row["nextFundingTime"],
    )


async def test_dropped_futures_events_leave_a_gap_the_rules_notice(venue: Venue) -> None:
    venue.server.faults.add({"match": {"event": "depthUpdate", "count": 1}, "effect": {"drop_event": True}})
    async with connected(venue, "/public/ws/btcusdt@depth@0ms") as socket:
        await venue.advance(1_000)
        first_u = venue.exchange.listing("BTCUSDT", "usdm").book.update_id
        await asyncio.sleep(0.15)
        await venue.advance(1_000)
        assert (await receive(socket))["pu"] == 2 * first_u


async def test_liquidation_is_announced_on_the_force_order_streams(start_venue: StartVenue) -> None:
    venue = await start_venue(symbols=("BTCUSDT",))
    account, keys = create_account(venue.exchange, {"futures_balances": {"USDT": "1000"}})
    client = venue.with_key(account, keys[0])
    bought = await client.signed(
        "POST", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.2"
    )
    assert bought.status == 200
    # 13,000 of notional on 1,000 of margin does not survive a fall of ten percent of index and contract.
    spot = venue.exchange.driver.feed(venue.exchange.listing("BTCUSDT"))
    assert isinstance(spot, SyntheticFeed)
    spot.follow_path(venue.exchange.driver.next_ms, [(60.0, spot.fair * 0.9)])
    async with (
        connected(venue, "/market/ws/!forceOrder@arr") as every,
        connected(venue, "/market/ws/btcusdt@forceOrder") as one,
    ):
        await venue.advance(2 * MINUTE_MS)
        event = await receive(every)
        assert await receive(one) == event
    assert set(event) == {"e", "E", "o"}
    order = event["o"]
    assert set(order) == {"s", "S", "o", "f", "q", "p", "ap", "X", "l", "z", "T"}
    assert (order["s"], order["S"], order["q"]) == ("BTCUSDT", "SELL", "0.200")


def recorded(real_data: Path) -> list[tuple[str, dict[str, Any]]]:
    """Stream name and data of the first recorded futures messages."""
    path = real_data / "streams" / "hftbacktest_usdm_btcusdt_20240808.gz"
    with gzip.open(path, "rt") as lines:
        rows = [json.loads(line.split(" ", 1)[1]) for line in islice(lines, 20_000)]
    return [(row["stream"], row["data"]) for row in rows if "stream" in row]


def test_the_rules_the_book_is_kept_by_hold_for_the_recorded_venue(real_data: Path) -> None:
    events = [data for stream, data in recorded(real_data) if stream == "btcusdt@depth@0ms"]
    book = LocalBook()
    book.load({"bids": [], "asks": [], "lastUpdateId": events[0]["U"]})
    for event in events:
        book.apply(event)
    assert book.applied == len(events) > 1_000


@pytest.mark.parametrize("stream", ["btcusdt@depth@0ms", "btcusdt@bookTicker", "btcusdt@trade"])
async def test_event_has_every_member_the_venue_was_recorded_with(
    start_venue: StartVenue, real_data: Path, stream: str
) -> None:
    theirs = kinds(next(data for name, data in recorded(real_data) if name == stream))
    venue = await start_venue(symbols=("BTCUSDT",), speed=1.0)
    async with connected(venue, f"/public/ws/{stream}") as socket:
        ours = kinds(await receive(socket))
    assert {name: ours.get(name) for name in theirs} == theirs


async def test_futures_connections_are_pinged_rarely_and_every_connection_ends_after_a_day(
    venue: Venue,
) -> None:
    async with (
        connected(venue, "/market/ws/btcusdt@trade") as futures,
        connected(venue, "/ws/btcusdt@trade") as spot,
    ):
        clients = {client.path: client for client in venue.server.hub.clients}
        usdm_client, spot_client = clients["/market/ws/btcusdt@trade"], clients["/ws/btcusdt@trade"]
        assert (usdm_client.ping_every_s, usdm_client.pong_within_s) == (180.0, 600.0)
        assert (spot_client.ping_every_s, spot_client.pong_within_s) == (20.0, 60.0)
        now = time.monotonic()
        # Ninety seconds without a word: too long for spot, nothing to futures.
        await usdm_client.beat(now + 90)
        await spot_client.beat(now + 90)
        assert (usdm_client.closed, spot_client.closed) == (False, True)
        await usdm_client.beat(now + 86_401)
        for socket in (futures, spot):
            with pytest.raises(websockets.ConnectionClosed):
                await receive(socket)
