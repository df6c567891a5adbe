"""The official spot SDK: REST, WebSocket API, market streams and the user stream."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from decimal import Decimal
from pathlib import Path
from typing import Any

from binance_sdk_spot.spot import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
    Spot,
)
from sdk_plain import answer, first, plain
from steps import API_KEY, API_SECRET, URL, WS, Steps

S = "BTCUSDT"
steps = Steps()
# With an Ed25519 key the secret is a file with the private key; then `session.logon` works too.
key_file = sys.argv[1] if len(sys.argv) > 1 else None
key = {"api_key": API_KEY} | (
    {"private_key": Path(key_file).read_text()} if key_file else {"api_secret": API_SECRET}
)
spot = Spot(
    config_rest_api=ConfigurationRestAPI(**key, base_path=URL),
    config_ws_api=ConfigurationWebSocketAPI(**key, stream_url=f"{WS}/ws-api/v3"),
    config_ws_streams=ConfigurationWebSocketStreams(stream_url=WS),
)
rest = spot.rest_api


def price(factor: str) -> Any:
    """A price relative to the best bid, on the tick; the SDK sends numbers as text."""
    bid = Decimal(answer(rest.ticker_book_ticker(symbol=S))["bidPrice"])
    return str((bid * Decimal(factor)).quantize(Decimal("1")))


def over_rest() -> None:
    with steps("time") as out:
        out.value = answer(rest.time())
    with steps("exchange_info") as out:
        out.value = answer(rest.exchange_info(symbols=[S, "ETHUSDT"]))
    with steps("depth") as out:
        out.value = answer(rest.depth(symbol=S, limit=10))
    with steps("klines") as out:
        out.value = answer(rest.klines(symbol=S, interval="1m", limit=20))
    with steps("trades") as out:
        out.value = [answer(rest.get_trades(symbol=S, limit=5)), answer(rest.agg_trades(symbol=S, limit=5))]
    with steps("ticker") as out:
        out.value = [answer(rest.ticker24hr(symbol=S)), answer(rest.avg_price(symbol=S))]
    with steps("rolling_ticker") as out:
        out.value = answer(rest.ticker(symbol=S))
    with steps("commission") as out:
        out.value = answer(rest.account_commission(symbol=S))
    with steps("limit") as out:
        limit = out.value = answer(
            rest.new_order(
                symbol=S, side="BUY", type="LIMIT", time_in_force="GTC", quantity="0.01", price=price("0.9")
            )
        )
    with steps("market") as out:
        out.value = answer(rest.new_order(symbol=S, side="SELL", type="MARKET", quantity="0.02"))
    with steps("stop_loss_limit") as out:
        stop = out.value = answer(
            rest.new_order(
                symbol=S, side="SELL", type="STOP_LOSS_LIMIT", time_in_force="GTC", quantity="0.01",
                stop_price=price("0.92"), price=price("0.91"), new_order_resp_type="RESULT",
            )
        )  # fmt: skip
    with steps("oco") as out:
        listed = out.value = answer(
            rest.order_list_oco(
                symbol=S, side="SELL", quantity="0.01", above_type="LIMIT_MAKER", above_price=price("1.08"),
                below_type="STOP_LOSS", below_stop_price=price("0.93"),
            )
        )  # fmt: skip
    with steps("order_lists") as out:
        out.value = [
            answer(rest.get_order_list(order_list_id=listed["orderListId"])),
            answer(rest.open_order_list()),
            answer(rest.all_order_list()),
        ]
    with steps("query") as out:
        out.value = answer(rest.get_order(symbol=S, order_id=limit["orderId"]))
    with steps("cancel_replace") as out:
        replaced = out.value = answer(
            rest.order_cancel_replace(
                symbol=S, side="BUY", type="LIMIT", cancel_replace_mode="STOP_ON_FAILURE",
                cancel_order_id=limit["orderId"], time_in_force="GTC", quantity="0.02", price=price("0.89"),
            )
        )  # fmt: skip
    with steps("amend") as out:
        order_id = replaced["newOrderResponse"]["orderId"]
        out.value = answer(rest.order_amend_keep_priority(symbol=S, order_id=order_id, new_qty="0.015"))
    with steps("cancel") as out:
        out.value = answer(rest.delete_order(symbol=S, order_id=stop["orderId"]))
    with steps("cancel_list") as out:
        out.value = answer(rest.delete_order_list(symbol=S, order_list_id=listed["orderListId"]))
    with steps("too_large") as out:
        rest.new_order(
            symbol=S, side="BUY", type="LIMIT", time_in_force="GTC", quantity="50", price=price("0.99")
        )
    with steps("unknown_order") as out:
        rest.get_order(symbol=S, order_id=987654321)
    with steps("bad_key") as out:
        config = ConfigurationRestAPI(api_key="x" * 64, api_secret="y", base_path=URL)
        Spot(config_rest_api=config).rest_api.get_account()


async def over_sockets() -> None:
    connection = await spot.websocket_api.create_connection()
    try:
        if key_file:
            with steps("logon") as out:
                out.value = answer(await connection.session_logon())
            with steps("session") as out:
                out.value = answer(await connection.session_status())
        with steps("ws_time") as out:
            out.value = answer(await connection.time())
        with steps("ws_market_data") as out:
            out.value = [
                answer(await connection.depth(symbol=S, limit=5)),
                answer(await connection.klines(symbol=S, interval="1m", limit=5)),
                answer(await connection.ticker24hr(symbol=S)),
            ]
        events: list[Any] = []
        with steps("ws_subscribe") as out:
            subscribe = connection.user_data_stream_subscribe if key_file else (
                connection.user_data_stream_subscribe_signature
            )  # fmt: skip
            subscribed = await subscribe()
            subscribed.stream.on("message", lambda event: events.append(plain(event)))
            out.value = answer(subscribed.response)
        with steps("ws_limit") as out:
            placed = out.value = answer(
                await connection.order_place(
                    symbol=S, side="BUY", type="LIMIT", time_in_force="GTC", quantity="0.01",
                    price=price("0.9"), new_order_resp_type="FULL",
                )
            )  # fmt: skip
        with steps("ws_market") as out:
            out.value = answer(
                await connection.order_place(symbol=S, side="BUY", type="MARKET", quantity="0.015")
            )
        with steps("ws_query") as out:
            out.value = answer(await connection.order_status(symbol=S, order_id=placed["orderId"]))
        with steps("ws_cancel") as out:
            out.value = answer(await connection.order_cancel(symbol=S, order_id=placed["orderId"]))
        with steps("ws_account") as out:
            out.value = answer(await connection.account_status())["balances"]
        with steps("ws_too_large") as out:
            answer(
                await connection.order_place(
                    symbol=S, side="BUY", type="LIMIT", time_in_force="GTC", quantity="50",
                    price=price("0.99"),
                )
            )  # fmt: skip
        with steps("user_events") as out:
            for _ in range(50):
                if any(event.get("X") == "CANCELED" for event in events):
                    break
                await asyncio.sleep(0.1)
            out.value = events
    finally:
        await connection.close_connection(close_session=True)


async def watch(name: str, subscribing: Awaitable[Any]) -> None:
    with steps(name) as out:
        out.value = await first(await subscribing)


async def streams() -> None:
    connection = await spot.websocket_streams.create_connection()
    try:
        await asyncio.gather(
            watch("stream_trade", connection.trade(symbol="btcusdt")),
            watch("stream_kline", connection.kline(symbol="btcusdt", interval="1m")),
            watch("stream_book_ticker", connection.book_ticker(symbol="btcusdt")),
            watch("stream_depth", connection.diff_book_depth(symbol="btcusdt", update_speed="100ms")),
            watch("stream_partial_depth", connection.partial_book_depth(symbol="btcusdt", levels=10)),
            watch("stream_agg_trade", connection.agg_trade(symbol="btcusdt")),
        )
    finally:
        await connection.close_connection(close_session=True)


async def sockets() -> None:
    await asyncio.gather(over_sockets(), streams())


over_rest()
asyncio.run(sockets())
with steps("orders") as out:
    out.value = answer(rest.all_orders(symbol=S))
with steps("fills") as out:
    out.value = answer(rest.my_trades(symbol=S))
with steps("balances") as out:
    out.value = answer(rest.get_account())["balances"]
steps.report()
