# ruff: noqa: T201  (an example talks to a person)
"""python-binance on the paper exchange: market data, orders on both markets, a user stream.

python testnet/examples/python_binance.py
"""

from __future__ import annotations

import asyncio

from account import URL, WS, api_key
from binance import AsyncClient, BinanceSocketManager


class LocalClient(AsyncClient):
    """The addresses are class attributes, read when a client is made."""

    API_URL = f"{URL}/api"
    MARGIN_API_URL = f"{URL}/sapi"
    FUTURES_URL = f"{URL}/fapi"
    FUTURES_DATA_URL = f"{URL}/futures/data"
    WS_API_URL = f"{WS}/ws-api/v3"
    WS_FUTURES_URL = f"{WS}/ws-fapi/v1"


class LocalSockets(BinanceSocketManager):
    STREAM_URL = f"{WS}/"  # the slash at the end matters
    FSTREAM_URL = f"{WS}/"


async def main() -> None:
    client = await LocalClient.create(*api_key())
    sockets = LocalSockets(client)
    try:
        async with sockets.user_socket() as user:
            order = await client.order_market_buy(symbol="BTCUSDT", quantity="0.01")
            print("spot order", order["orderId"], order["status"])
            event = await user.recv()
            while event.get("X") != "FILLED":
                event = await user.recv()
            print("spot fill", event["t"], event["l"], "at", event["L"])
        async with sockets.kline_socket("BTCUSDT") as bars:
            print("spot bar", (await bars.recv())["k"]["c"])
        future = await client.futures_create_order(
            symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.010", newOrderRespType="RESULT"
        )
        print("futures order", future["orderId"], future["status"])
        for position in await client.futures_position_information(symbol="BTCUSDT"):
            print("futures position", position["positionAmt"], "at", position["entryPrice"])
    finally:
        await client.close_connection()


asyncio.run(main())
