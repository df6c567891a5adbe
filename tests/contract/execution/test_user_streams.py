"""The user streams of both markets, against the paper exchange run as a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.factories.exchange import Exchange, FuturesExchange
from trading.adapters.binance.parse import parse_execution_report
from trading.adapters.binance.parse_usdm_events import parse_algo_update, parse_order_update
from trading.adapters.binance.user_links import ListenKeys, SpotLink, UsdmLink
from trading.adapters.binance.user_stream import UserLink, UserStream
from trading.domain.ports import OrderReport
from trading.domain.values import OrderService, OrderType, Side, WorkingType
from universe.adapters.binance import UsdmClient
from universe.adapters.binance.events import Connected, Disconnected

ONE = Decimal(1)


@pytest.fixture(params=["spot", "usdm"])
def exchange(request: pytest.FixtureRequest, url: str) -> Iterator[Exchange]:
    running = Exchange(url) if request.param == "spot" else FuturesExchange(url)
    yield running
    running.control("DELETE", "/faults")


@pytest.fixture
def futures(url: str) -> Iterator[FuturesExchange]:
    running = FuturesExchange(url)
    yield running
    running.control("DELETE", "/faults")


def keys_of(exchange: Exchange) -> ListenKeys:
    assert isinstance(exchange.client, UsdmClient)
    return ListenKeys(exchange.client.keyed_request)


def stream_of(exchange: Exchange, *, keep_alive_s: float = 600, **options: Any) -> UserStream:
    sockets = exchange.url.replace("http", "ws")

    async def connect() -> UserLink:
        if isinstance(exchange, FuturesExchange):
            return await UsdmLink.open(sockets, keys_of(exchange), keep_alive_s=keep_alive_s)
        return await SpotLink.open(f"{sockets}/ws-api/v3", **exchange.key)

    return UserStream(connect, **options)


@asynccontextmanager
async def following(stream: UserStream) -> AsyncIterator[list[Any]]:
    """What the stream has told so far, from the moment it is connected."""
    told: list[Any] = []

    async def read() -> None:
        async for item in stream.events():
            told.append(item)

    task = asyncio.create_task(read())
    try:
        await until(lambda: any(isinstance(item, Connected) for item in told))
        yield told
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


def reports(told: list[Any]) -> list[OrderReport]:
    parsers = {
        "executionReport": parse_execution_report,
        "ORDER_TRADE_UPDATE": parse_order_update,
        "ALGO_UPDATE": parse_algo_update,
    }
    return [
        parsers[event["e"]](event)
        for event in list(told)
        if isinstance(event, dict) and event.get("e") in parsers
    ]


async def test_the_stream_tells_the_same_of_an_order_and_its_fills_as_the_lists(exchange: Exchange) -> None:
    async with following(stream_of(exchange)) as told:
        _, ask = await asyncio.to_thread(exchange.touch)
        order = await asyncio.to_thread(exchange.order, price=(ask * Decimal("1.005")).quantize(ONE))
        await asyncio.to_thread(exchange.place, order)
        await until(lambda: any(report.status == "FILLED" for report in reports(told)))
        found = await asyncio.to_thread(
            exchange.venue.query, "BTCUSDT", client_order_id=order.client_order_id
        )
        last = reports(told)[-1]
        assert replace(last, fills=(), cumulative_quote=found.cumulative_quote, time_ms=0) == replace(
            found, time_ms=0
        )
        streamed = [fill for report in reports(told) for fill in report.fills]
        listed = await asyncio.to_thread(exchange.venue.trades, "BTCUSDT", from_id=None, start_ms=None)
        assert [replace(fill, client_order_id=None) for fill in streamed] == listed
        assert {fill.client_order_id for fill in streamed} == {order.client_order_id}


async def test_a_canceled_order_is_told_under_its_own_id(exchange: Exchange) -> None:
    async with following(stream_of(exchange)) as told:
        order = await asyncio.to_thread(exchange.order)
        await asyncio.to_thread(exchange.place, order)
        await asyncio.to_thread(exchange.venue.cancel, "BTCUSDT", client_order_id=order.client_order_id)
        await until(lambda: any(report.status == "CANCELED" for report in reports(told)))
        assert [(r.client_order_id, r.status) for r in reports(told)] == [
            (order.client_order_id, "NEW"),
            (order.client_order_id, "CANCELED"),
        ]


async def test_a_renewal_overlaps_and_loses_nothing(exchange: Exchange) -> None:
    stream = stream_of(exchange, renew_after_s=0.4, linger_s=0.2)
    orders = []
    async with following(stream) as told:
        for _ in range(12):
            order = await asyncio.to_thread(exchange.order)
            await asyncio.to_thread(exchange.place, order)
            await asyncio.to_thread(exchange.venue.cancel, "BTCUSDT", client_order_id=order.client_order_id)
            orders.append(order.client_order_id)
            await asyncio.sleep(0.15)
        await until(lambda: stream.connections >= 3)
        expected = {(name, status) for name in orders for status in ("NEW", "CANCELED")}
        await until(lambda: expected <= {(r.client_order_id, r.status) for r in reports(told)})
        assert not [item for item in told if isinstance(item, Disconnected)]


async def test_a_connection_that_is_cut_is_made_again_and_says_so(exchange: Exchange) -> None:
    async with following(stream_of(exchange)) as told:
        path = "/private/ws" if isinstance(exchange, FuturesExchange) else "/ws-api/v3"
        await asyncio.to_thread(
            exchange.control,
            "POST",
            "/faults",
            {
                "match": {"path": path, "account_id": exchange.account["account_id"]},
                "effect": {"disconnect": True},
            },
        )
        await until(lambda: sum(isinstance(item, Connected) for item in told) == 2)
        assert sum(isinstance(item, Disconnected) for item in told) == 1
        order = await asyncio.to_thread(exchange.order)
        await asyncio.to_thread(exchange.place, order)
        await until(lambda: any(r.client_order_id == order.client_order_id for r in reports(told)))


async def test_a_listen_key_that_is_gone_is_replaced(futures: FuturesExchange) -> None:
    async with following(stream_of(futures, keep_alive_s=0.3)) as told:
        await asyncio.sleep(1)
        assert len(told) == 1, "an extended key goes on"
        await asyncio.to_thread(futures.client.keyed_request, "DELETE", "/fapi/v1/listenKey")
        await asyncio.to_thread(futures.place, await asyncio.to_thread(futures.order))
        await until(lambda: sum(isinstance(item, Connected) for item in told) == 2)
        order = await asyncio.to_thread(futures.order)
        await asyncio.to_thread(futures.place, order)
        await until(lambda: any(r.client_order_id == order.client_order_id for r in reports(told)))


async def test_a_conditional_order_is_told_from_its_placement_to_its_last_fill(
    futures: FuturesExchange,
) -> None:
    async with following(stream_of(futures)) as told:
        bid, ask = await asyncio.to_thread(futures.touch)
        entry = await asyncio.to_thread(futures.order, price=(ask * Decimal("1.005")).quantize(ONE))
        await asyncio.to_thread(futures.place, entry)
        stop = replace(
            entry,
            client_order_id=f"s{entry.client_order_id}"[:30],
            side=Side.SELL,
            type=OrderType.STOP_MARKET,
            time_in_force=None,
            price=None,
            stop_price=(bid * Decimal("0.999")).quantize(ONE),
            reduce_only=True,
            working_type=WorkingType.CONTRACT_PRICE,
        )
        placed = await asyncio.to_thread(futures.place, stop)
        low = bid * Decimal("0.99")
        await asyncio.to_thread(futures.drive, (1, low), (30, low), market="usdm", seconds=8)

        def of_stop() -> list[OrderReport]:
            return [r for r in reports(told) if r.client_order_id == stop.client_order_id]

        await until(lambda: any(r.status == "FILLED" for r in of_stop()))
        waiting = [r for r in of_stop() if r.service is OrderService.ALGO]
        assert {r.algo_id for r in waiting} == {placed.algo_id}
        assert [r.triggered for r in waiting] == sorted(r.triggered for r in waiting)
        filled = [r for r in of_stop() if r.status == "FILLED"][-1]
        assert (filled.type, filled.triggered) == ("STOP_MARKET", True)
        assert {r.venue_order_id for r in waiting if r.triggered} == {filled.venue_order_id}
        assert sum(f.realized or 0 for r in of_stop() for f in r.fills) < 0
        kinds = {item["e"] for item in told if isinstance(item, dict)}
        assert {"ACCOUNT_UPDATE", "ALGO_UPDATE", "ORDER_TRADE_UPDATE"} <= kinds


async def test_a_liquidation_is_told_as_an_order_nobody_placed_with_every_execution(url: str) -> None:
    poor = FuturesExchange(url, funds={"futures_balances": {"USDT": "200"}})
    await asyncio.to_thread(poor.venue.set_leverage, "BTCUSDT", 100)
    async with following(stream_of(poor)) as told:
        bid, ask = await asyncio.to_thread(poor.touch)
        quantity = (Decimal(10_000) / ask).quantize(Decimal("0.001"))
        entry = await asyncio.to_thread(
            poor.order, price=(ask * Decimal("1.005")).quantize(ONE), quantity=str(quantity)
        )
        await asyncio.to_thread(poor.place, entry)
        # The mark follows the index, which is the spot book's.
        low = bid * Decimal("0.95")
        await asyncio.to_thread(poor.drive, (20, low), (400, low), market="usdm", seconds=1)
        await asyncio.to_thread(poor.drive, (20, low), (400, low), market="spot", seconds=60)

        def forced() -> list[OrderReport]:
            return [r for r in reports(told) if r.client_order_id.startswith("autoclose-")]

        await until(lambda: sum((f.quantity for r in forced() for f in r.fills), Decimal(0)) >= quantity)
        assert all(fill.side is Side.SELL for report in forced() for fill in report.fills)
        listed = await asyncio.to_thread(poor.venue.trades, "BTCUSDT", from_id=None, start_ms=None)
        sold = {t.trade_id: t.quantity for t in listed if t.side is Side.SELL}
        assert {f.trade_id: f.quantity for r in forced() for f in r.fills} == sold
        assert await asyncio.to_thread(poor.venue.positions, None) == []
        kinds = [item["e"] for item in told if isinstance(item, dict)]
        assert "MARGIN_CALL" in kinds
