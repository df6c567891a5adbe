"""python-binance with conditional orders on both markets, and a market that falls through them by hand."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from binance import AsyncClient, BinanceSocketManager
from steps import API_KEY, API_SECRET, URL, WS, Steps, control


class LocalClient(AsyncClient):
    API_URL = f"{URL}/api"
    FUTURES_URL = f"{URL}/fapi"
    WS_API_URL = f"{WS}/ws-api/v3"


class LocalSockets(BinanceSocketManager):
    FSTREAM_URL = f"{WS}/"


S = "BTCUSDT"
steps = Steps()


async def drain(stream: Any, events: list[Any]) -> None:
    """Everything that arrives until nothing has come for a second."""
    while True:
        try:
            events.append(await asyncio.wait_for(stream.recv(), 1))
        except TimeoutError:
            return


async def main() -> None:
    client = await LocalClient.create(API_KEY, API_SECRET)
    bid = Decimal((await client.get_orderbook_ticker(symbol=S))["bidPrice"])

    def price(factor: str) -> str:
        return str((bid * Decimal(factor)).quantize(Decimal(1)))

    spot_events: list[Any] = []
    futures_events: list[Any] = []
    sockets = [LocalSockets(client).user_socket(), LocalSockets(client).futures_user_socket()]
    spot, futures = [await socket.__aenter__() for socket in sockets]
    with steps("spot_stop") as out:
        out.value = await client.create_order(
            symbol=S, side="SELL", type="STOP_LOSS", quantity="0.01", stopPrice=price("0.98")
        )
    with steps("oco") as out:
        out.value = await client.create_oco_order(
            symbol=S, side="SELL", quantity="0.02", aboveType="LIMIT_MAKER", abovePrice=price("1.05"),
            belowType="STOP_LOSS", belowStopPrice=price("0.98"),
        )  # fmt: skip
    with steps("futures_stop") as out:
        await client.futures_create_order(symbol=S, side="BUY", type="MARKET", quantity="0.030")
        stop = out.value = await client.futures_create_order(
            symbol=S, side="SELL", type="STOP_MARKET", stopPrice=price("0.98"), closePosition="true"
        )
    with steps("fall") as out:
        control("/market", {"symbol": S, "path": [[0, float(bid)], [60, float(bid) * 0.95]]})
        control("/clock", {"advance_ms": 180_000})
        await asyncio.gather(drain(spot, spot_events), drain(futures, futures_events))
        out.value = (await client.get_orderbook_ticker(symbol=S))["bidPrice"]
    with steps("algo") as out:
        out.value = await client.futures_get_algo_order(algoId=stop["algoId"])
    with steps("position") as out:
        out.value = await client.futures_position_information(symbol=S)
    # Together, as leaving one takes the ten seconds of the library's receive timeout.
    await asyncio.gather(*(socket.__aexit__(None, None, None) for socket in sockets))
    with steps("events") as out:
        out.value = {"spot": spot_events, "futures": futures_events}
    with steps("spot_reads") as out:
        account = await client.get_account()
        out.value = [
            await client.get_all_orders(symbol=S), await client.get_my_trades(symbol=S), account["balances"]
        ]  # fmt: skip
    with steps("futures_reads") as out:
        account = await client.futures_account()
        out.value = [
            await client.futures_get_all_orders(symbol=S), await client.futures_account_trades(symbol=S),
            account["totalWalletBalance"],
        ]  # fmt: skip
    await client.close_connection()


asyncio.run(main())
steps.report()
