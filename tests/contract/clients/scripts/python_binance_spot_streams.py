"""python-binance over WebSockets on the spot market: market streams, WS-API orders, user stream, depth cache."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from decimal import Decimal
from typing import Any

from binance import AsyncClient, BinanceSocketManager, DepthCacheManager, ThreadedWebsocketManager
from steps import API_KEY, API_SECRET, URL, WS, Steps, control

# The classes themselves are given the address: ThreadedWebsocketManager and DepthCacheManager make their own.
for owner in (AsyncClient,):
    owner.API_URL = f"{URL}/api"
    owner.WS_API_URL = f"{WS}/ws-api/v3"
BinanceSocketManager.STREAM_URL = f"{WS}/"

S = "BTCUSDT"
STREAMS = [
    "btcusdt@trade",
    "btcusdt@kline_1m",
    "btcusdt@bookTicker",
    "btcusdt@depth@100ms",
    "btcusdt@aggTrade",
]
steps = Steps()


async def market(client: AsyncClient) -> None:
    sockets = BinanceSocketManager(client)
    with steps("multiplex") as out:
        seen: dict[str, Any] = {}
        async with sockets.multiplex_socket(STREAMS) as stream:
            while len(seen) < len(STREAMS):
                message = await asyncio.wait_for(stream.recv(), 30)
                seen.setdefault(message["stream"], message["data"])
        out.value = seen


async def first_of(name: str, socket: Any) -> None:
    with steps(name) as out:
        async with socket as stream:
            out.value = await asyncio.wait_for(stream.recv(), 30)


async def single_sockets(client: AsyncClient) -> None:
    sockets = BinanceSocketManager(client)
    await asyncio.gather(
        first_of("trade_socket", sockets.trade_socket(S)),
        first_of("kline_socket", sockets.kline_socket(S)),
        first_of("depth_socket", sockets.depth_socket(S, depth="10")),
        first_of("miniticker_socket", sockets.symbol_miniticker_socket(S)),
        first_of("ticker_socket", sockets.symbol_ticker_socket(S)),
    )


async def depth_cache(client: AsyncClient) -> None:
    """Follow the book for a while, stop the market, and read both copies of the book that stands still."""
    with steps("depth_cache") as out:
        async with DepthCacheManager(client, S, conv_type=Decimal, ws_interval=100) as cache:
            for _ in range(20):
                book = await asyncio.wait_for(cache.recv(), 30)
            control("/clock", {"speed": 0})
            try:
                with contextlib.suppress(TimeoutError):
                    while True:
                        book = await asyncio.wait_for(cache.recv(), 1)
                exact = await client.get_order_book(symbol=S, limit=1000)
            finally:
                control("/clock", {"speed": 5})
            out.value = {"bids": book.get_bids(), "asks": book.get_asks(), "exact": exact}


async def orders(client: AsyncClient) -> None:
    events: list[dict[str, Any]] = []
    async with BinanceSocketManager(client).user_socket() as stream:

        async def until(kind: str, status: str | None = None) -> None:
            while True:
                event = await asyncio.wait_for(stream.recv(), 30)
                events.append(event)
                if event["e"] == kind and status in (None, event.get("X")):
                    return

        with steps("ws_limit") as out:
            bid = Decimal((await client.get_orderbook_ticker(symbol=S))["bidPrice"])
            price = str((bid * Decimal("0.9")).quantize(Decimal("1")))
            placed = out.value = await client.ws_order_limit_buy(symbol=S, quantity="0.01", price=price)
            await until("executionReport", "NEW")
        with steps("ws_query") as out:
            out.value = await client.ws_get_order(symbol=S, orderId=placed["orderId"])
        with steps("ws_open_orders") as out:
            out.value = await client.ws_get_open_orders(symbol=S)
        with steps("ws_cancel") as out:
            out.value = await client.ws_cancel_order(symbol=S, orderId=placed["orderId"])
            await until("executionReport", "CANCELED")
        with steps("ws_market") as out:
            out.value = await client.ws_order_market_buy(symbol=S, quantity="0.015")
            await until("executionReport", "FILLED")
            await until("outboundAccountPosition")
        with steps("ws_cancel_replace") as out:
            resting = await client.ws_order_limit_buy(symbol=S, quantity="0.01", price=price)
            out.value = await client.ws_cancel_and_replace_order(
                symbol=S, cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=resting["orderId"], side="BUY",
                type="LIMIT", timeInForce="GTC", quantity="0.02", price=price,
            )  # fmt: skip
            await until("executionReport", "NEW")
        with steps("ws_oco") as out:
            out.value = await client.ws_create_oco_order(
                symbol=S, side="SELL", quantity="0.01", aboveType="LIMIT_MAKER",
                abovePrice=str((bid * Decimal("1.1")).quantize(Decimal("1"))), belowType="STOP_LOSS",
                belowStopPrice=str((bid * Decimal("0.92")).quantize(Decimal("1"))),
            )  # fmt: skip
            await until("listStatus")
        with steps("ws_account") as out:
            out.value = (await client.ws_get_account())["balances"]
        with steps("ws_refused") as out:
            await client.ws_order_limit_buy(symbol=S, quantity="100", price=price)
    with steps("user_events") as out:
        out.value = events
    with steps("orders") as out:
        out.value = await client.get_all_orders(symbol=S)
    with steps("fills") as out:
        out.value = await client.get_my_trades(symbol=S)
    with steps("balances") as out:
        out.value = (await client.get_account())["balances"]


def threaded() -> None:
    with steps("threaded_manager") as out:
        manager = ThreadedWebsocketManager(API_KEY, API_SECRET)
        arrived: queue.Queue[Any] = queue.Queue()
        manager.start()
        try:
            manager.start_trade_socket(arrived.put, symbol=S)
            out.value = arrived.get(timeout=30)
        finally:
            manager.stop()
            manager.join(15)


async def main() -> None:
    client = await AsyncClient.create(API_KEY, API_SECRET)
    try:
        await asyncio.gather(market(client), single_sockets(client), orders(client))
        await depth_cache(client)
    finally:
        await client.close_connection()


threaded()
asyncio.run(main())
steps.report()
