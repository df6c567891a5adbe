# ruff: noqa: T201  (an example talks to a person)
"""The official spot SDK on the paper exchange: REST, WebSocket API and streams.

python testnet/examples/sdk_spot.py
"""

from __future__ import annotations

import asyncio
from typing import Any

from account import URL, WS, api_key
from binance_sdk_spot.spot import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
    Spot,
)

key, secret = api_key()
spot = Spot(
    config_rest_api=ConfigurationRestAPI(api_key=key, api_secret=secret, base_path=URL),
    config_ws_api=ConfigurationWebSocketAPI(api_key=key, api_secret=secret, stream_url=f"{WS}/ws-api/v3"),
    config_ws_streams=ConfigurationWebSocketStreams(stream_url=WS),
)


async def main() -> None:
    order = spot.rest_api.new_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.01).data()
    print("spot order", order.order_id, order.status)

    api = await spot.websocket_api.create_connection()
    sold = await api.order_place(symbol="BTCUSDT", side="SELL", type="MARKET", quantity=0.01)
    print("over the WebSocket API", sold.data().result.status)
    await api.close_connection(close_session=True)

    streams = await spot.websocket_streams.create_connection()
    arrived: asyncio.Queue[Any] = asyncio.Queue()
    trades = await streams.trade(symbol="btcusdt")
    trades.on("message", arrived.put_nowait)
    print("spot trade at", (await asyncio.wait_for(arrived.get(), 30)).p)
    await streams.close_connection(close_session=True)


asyncio.run(main())
