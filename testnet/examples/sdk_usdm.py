# ruff: noqa: T201  (an example talks to a person)
"""The official USD-M futures SDK on the paper exchange: leverage, orders, a conditional order, mark price.

python testnet/examples/sdk_usdm.py
"""

from __future__ import annotations

import asyncio
from typing import Any

from account import URL, WS, api_key
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
    DerivativesTradingUsdsFutures,
)

SYMBOL = "BTCUSDT"
key, secret = api_key()
futures = DerivativesTradingUsdsFutures(
    config_rest_api=ConfigurationRestAPI(api_key=key, api_secret=secret, base_path=URL),
    config_ws_api=ConfigurationWebSocketAPI(api_key=key, api_secret=secret, stream_url=f"{WS}/ws-fapi/v1"),
    config_ws_streams=ConfigurationWebSocketStreams(stream_url=WS),
)
rest = futures.rest_api


async def main() -> None:
    print("leverage", rest.change_initial_leverage(symbol=SYMBOL, leverage=5).data().leverage)
    order = rest.new_order(
        symbol=SYMBOL, side="BUY", type="MARKET", quantity=0.01, new_order_resp_type="RESULT"
    ).data()
    print("futures order", order.order_id, order.status)
    mark = float(rest.mark_price(symbol=SYMBOL).data().actual_instance.mark_price)
    stop = rest.new_algo_order(
        algo_type="CONDITIONAL", symbol=SYMBOL, side="SELL", type="STOP_MARKET", quantity=0.01,
        trigger_price=round(mark * 0.9), reduce_only="true",
    ).data()  # fmt: skip
    print("stop", stop.algo_id, stop.algo_status)
    for position in rest.position_information_v3(symbol=SYMBOL).data():
        print("futures position", position.position_amt, "at", position.entry_price)

    streams = await futures.websocket_streams.create_connection()
    arrived: asyncio.Queue[Any] = asyncio.Queue()
    marks = await streams.mark_price_stream(symbol=SYMBOL.lower(), update_speed="1s")
    marks.on("message", arrived.put_nowait)
    print("mark price", (await asyncio.wait_for(arrived.get(), 30)).p)
    await streams.close_connection(close_session=True)


asyncio.run(main())
