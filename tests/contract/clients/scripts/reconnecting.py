"""One client watching spot trades while the exchange cuts every stream: does it go on by itself?

reconnecting.py python-binance | ccxt
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from steps import API_KEY, API_SECRET, URL, WS, Steps, control

steps = Steps()
CUT = {"match": {"path": "*"}, "effect": {"disconnect": True}}


async def python_binance(before: list[Any], after: list[Any], told: list[Any]) -> None:
    from binance import AsyncClient, BinanceSocketManager

    class LocalClient(AsyncClient):
        API_URL = f"{URL}/api"

    class LocalSockets(BinanceSocketManager):
        STREAM_URL = f"{WS}/"

    client = await LocalClient.create(API_KEY, API_SECRET)
    try:
        async with LocalSockets(client).trade_socket("BTCUSDT") as stream:
            before.append((await stream.recv())["t"])
            control("/faults", CUT)
            while not told or not after:
                event = await stream.recv()
                # It hands errors over as events and connects again meanwhile.
                (told if event["e"] == "error" else after if told else before).append(
                    event.get("t", event.get("type"))
                )
    finally:
        await client.close_connection()


async def by_ccxt(before: list[Any], after: list[Any], told: list[Any]) -> None:
    import ccxt.pro
    from ccxt_settings import LEAN, settings

    binance = ccxt.pro.binance(settings(**LEAN))
    try:
        before.extend(trade["id"] for trade in await binance.watch_trades("BTC/USDT"))
        control("/faults", CUT)
        while not told or not after:
            try:
                trades = await binance.watch_trades("BTC/USDT")
            except ccxt.NetworkError as error:
                told.append(type(error).__name__)
            else:
                (after if told else before).extend(trade["id"] for trade in trades)
    finally:
        await binance.close()


async def main() -> None:
    walk = {"python-binance": python_binance, "ccxt": by_ccxt}[sys.argv[1]]
    before: list[Any] = []
    after: list[Any] = []
    told: list[Any] = []
    with steps("resumed"):
        await asyncio.wait_for(walk(before, after, told), 60)
    with steps("seen") as out:
        out.value = {"before": before, "after": after, "told": told}


asyncio.run(main())
steps.report()
