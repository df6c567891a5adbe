"""python-binance over WebSockets on USD-M futures: market streams, user stream, orders over the WS-API."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from binance import AsyncClient, BinanceSocketManager
from steps import API_KEY, API_SECRET, URL, WS, Steps

S = "BTCUSDT"
steps = Steps()


class LocalClient(AsyncClient):
    API_URL = f"{URL}/api"
    FUTURES_URL = f"{URL}/fapi"
    WS_API_URL = f"{WS}/ws-api/v3"
    WS_FUTURES_URL = f"{WS}/ws-fapi/v1"


class LocalSockets(BinanceSocketManager):
    STREAM_URL = f"{WS}/"
    FSTREAM_URL = f"{WS}/"


async def first_of(name: str, socket: Any) -> None:
    with steps(name) as out:
        async with socket as stream:
            out.value = await asyncio.wait_for(stream.recv(), 30)


async def orders(client: AsyncClient, sockets: BinanceSocketManager) -> None:
    events: list[dict[str, Any]] = []
    async with sockets.futures_user_socket() as stream:

        async def until(kind: str, status: str | None = None) -> None:
            while True:
                event = await asyncio.wait_for(stream.recv(), 30)
                events.append(event)
                if event["e"] == kind and status in (None, event.get("o", {}).get("X")):
                    return

        with steps("ws_limit") as out:
            bid = Decimal((await client.futures_orderbook_ticker(symbol=S))["bidPrice"])
            at = str((bid * Decimal("0.9")).quantize(Decimal("1")))
            placed = out.value = await client.ws_futures_create_order(
                symbol=S, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.010", price=at
            )
            await until("ORDER_TRADE_UPDATE", "NEW")
        with steps("ws_edit") as out:
            out.value = await client.ws_futures_edit_order(
                symbol=S, side="BUY", orderId=placed["orderId"], quantity="0.020", price=at
            )
        with steps("ws_query") as out:
            out.value = await client.ws_futures_get_order(symbol=S, orderId=placed["orderId"])
        with steps("ws_cancel") as out:
            out.value = await client.ws_futures_cancel_order(symbol=S, orderId=placed["orderId"])
            await until("ORDER_TRADE_UPDATE", "CANCELED")
        with steps("ws_market") as out:
            out.value = await client.ws_futures_create_order(
                symbol=S, side="SELL", type="MARKET", quantity="0.015"
            )
            await until("ORDER_TRADE_UPDATE", "FILLED")
        with steps("algo_events") as out:
            algo = await client.futures_create_order(
                symbol=S,
                side="BUY",
                type="STOP_MARKET",
                quantity="0.015",
                stopPrice=str(int(bid * Decimal("1.1"))),
            )
            await until("ALGO_UPDATE")
            await client.futures_cancel_algo_order(algoId=algo["algoId"])
            await until("ALGO_UPDATE")
            out.value = algo
        with steps("leverage_event") as out:
            await client.futures_change_leverage(symbol=S, leverage=7)
            await until("ACCOUNT_CONFIG_UPDATE")
        with steps("ws_book") as out:
            out.value = await client.ws_futures_get_order_book(symbol=S)
        with steps("ws_position") as out:
            out.value = await client.ws_futures_v2_account_position(symbol=S)
        with steps("ws_balance") as out:
            out.value = await client.ws_futures_v2_account_balance()
        with steps("ws_account") as out:
            out.value = await client.ws_futures_v2_account_status()
        with steps("ws_refused") as out:
            await client.ws_futures_create_order(
                symbol=S, side="BUY", type="LIMIT", timeInForce="GTC", quantity="200", price=at
            )
    with steps("user_events") as out:
        out.value = events
    with steps("orders") as out:
        out.value = await client.futures_get_all_orders(symbol=S)
    with steps("fills") as out:
        out.value = await client.futures_account_trades(symbol=S)
    with steps("positions") as out:
        out.value = await client.futures_position_information(symbol=S)
    with steps("balances") as out:
        out.value = await client.futures_account_balance()


async def main() -> None:
    client = await LocalClient.create(API_KEY, API_SECRET)
    sockets = LocalSockets(client)
    try:
        await asyncio.gather(
            first_of("mark_socket", sockets.symbol_mark_price_socket(S)),
            first_of("all_marks_socket", sockets.all_mark_price_socket()),
            first_of("kline_socket", sockets.kline_futures_socket(S)),
            first_of("agg_trade_socket", sockets.aggtrade_futures_socket(S)),
            first_of(
                "book_ticker_socket",
                sockets.futures_multiplex_socket(["btcusdt@bookTicker"], category="public"),
            ),
            first_of("depth_socket", sockets.futures_depth_socket(S)),
            first_of("ticker_socket", sockets.individual_symbol_ticker_futures_socket(S)),
            orders(client, sockets),
        )
    finally:
        await client.close_connection()


asyncio.run(main())
steps.report()
