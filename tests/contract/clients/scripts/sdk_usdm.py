"""The official USD-M futures SDK: REST, algo orders, WebSocket API, market streams and the user stream."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from decimal import Decimal
from typing import Any

from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
    DerivativesTradingUsdsFutures,
)
from sdk_plain import answer, first, plain
from steps import API_KEY, API_SECRET, URL, WS, Steps

S = "BTCUSDT"
steps = Steps()
key = {"api_key": API_KEY, "api_secret": API_SECRET}
futures = DerivativesTradingUsdsFutures(
    config_rest_api=ConfigurationRestAPI(**key, base_path=URL),
    config_ws_api=ConfigurationWebSocketAPI(**key, stream_url=f"{WS}/ws-fapi/v1"),
    config_ws_streams=ConfigurationWebSocketStreams(stream_url=WS),
)
rest = futures.rest_api


def price(factor: str) -> Any:
    """A price relative to the best bid, on the tick; the SDK sends numbers as text."""
    bid = Decimal(answer(rest.symbol_order_book_ticker(symbol=S))["bidPrice"])
    return str((bid * Decimal(factor)).quantize(Decimal("1")))


def market_data() -> None:
    with steps("time") as out:
        out.value = answer(rest.check_server_time())
    with steps("exchange_info") as out:
        out.value = answer(rest.exchange_information())
    with steps("depth") as out:
        out.value = answer(rest.order_book(symbol=S, limit=10))
    with steps("klines") as out:
        out.value = answer(rest.kline_candlestick_data(symbol=S, interval="1m", limit=20))
    with steps("trades") as out:
        out.value = [
            answer(rest.recent_trades_list(symbol=S, limit=5)),
            answer(rest.compressed_aggregate_trades_list(symbol=S, limit=5)),
        ]
    with steps("mark_price") as out:
        out.value = answer(rest.mark_price(symbol=S))
    with steps("funding") as out:
        out.value = [
            answer(rest.get_funding_rate_history(symbol=S, limit=3)), answer(rest.get_funding_rate_info())
        ]  # fmt: skip
    with steps("ticker") as out:
        out.value = [
            answer(rest.ticker24hr_price_change_statistics(symbol=S)),
            answer(rest.open_interest(symbol=S)),
        ]


def settings() -> None:
    with steps("leverage") as out:
        out.value = answer(rest.change_initial_leverage(symbol=S, leverage=10))
    with steps("margin_type") as out:
        out.value = answer(rest.change_margin_type(symbol="ETHUSDT", margin_type="ISOLATED"))
    with steps("margin_type_no_change") as out:
        rest.change_margin_type(symbol=S, margin_type="CROSSED")
    with steps("position_mode") as out:
        out.value = answer(rest.get_current_position_mode())
    with steps("brackets") as out:
        out.value = answer(rest.notional_and_leverage_brackets(symbol=S))
    with steps("configuration") as out:
        out.value = [
            answer(rest.symbol_configuration(symbol=S)), answer(rest.futures_account_configuration()),
            answer(rest.user_commission_rate(symbol=S)),
        ]  # fmt: skip


def orders() -> None:
    with steps("limit") as out:
        limit = out.value = answer(
            rest.new_order(
                symbol=S, side="BUY", type="LIMIT", time_in_force="GTC", quantity="0.010", price=price("0.9")
            )
        )
    with steps("market") as out:
        out.value = answer(
            rest.new_order(
                symbol=S, side="BUY", type="MARKET", quantity="0.050", new_order_resp_type="RESULT"
            )
        )
    with steps("reduce_only") as out:
        out.value = answer(
            rest.new_order(
                symbol=S, side="SELL", type="MARKET", quantity="0.020", reduce_only="true",
                new_order_resp_type="RESULT",
            )
        )  # fmt: skip
    with steps("stop_market") as out:
        stop = out.value = answer(
            rest.new_algo_order(
                algo_type="CONDITIONAL", symbol=S, side="SELL", type="STOP_MARKET", quantity="0.030",
                trigger_price=price("0.9"), reduce_only="true", working_type="MARK_PRICE",
            )
        )  # fmt: skip
    with steps("algo_orders") as out:
        out.value = [
            answer(rest.query_algo_order(algo_id=stop["algoId"])),
            answer(rest.current_all_algo_open_orders(symbol=S)),
        ]
    with steps("cancel_algo") as out:
        out.value = answer(rest.cancel_algo_order(algo_id=stop["algoId"]))
    with steps("batch") as out:
        legs = [
            {
                "symbol": S,
                "side": "BUY",
                "type": "LIMIT",
                "timeInForce": "GTC",
                "quantity": "0.010",
                "price": price(f),
            }
            for f in ("0.91", "0.92")
        ]
        batch = out.value = answer(rest.place_multiple_orders(batch_orders=legs))
    with steps("cancel_batch") as out:
        out.value = answer(
            rest.cancel_multiple_orders(symbol=S, order_id_list=[leg["orderId"] for leg in batch])
        )
    with steps("modify") as out:
        out.value = answer(
            rest.modify_order(
                symbol=S, side="BUY", quantity="0.020", price=price("0.89"), order_id=limit["orderId"]
            )
        )
    with steps("query") as out:
        out.value = answer(rest.query_order(symbol=S, order_id=limit["orderId"]))
    with steps("open_orders") as out:
        out.value = [row["orderId"] for row in answer(rest.current_all_open_orders(symbol=S))]
    with steps("cancel") as out:
        out.value = answer(rest.cancel_order(symbol=S, order_id=limit["orderId"]))
    with steps("countdown") as out:
        out.value = answer(rest.auto_cancel_all_open_orders(symbol=S, countdown_time=60_000))
        rest.auto_cancel_all_open_orders(symbol=S, countdown_time=0)
    with steps("too_large") as out:
        rest.new_order(
            symbol=S, side="BUY", type="LIMIT", time_in_force="GTC", quantity="200", price=price("0.99")
        )
    with steps("stop_on_order_endpoint") as out:
        rest.new_order(symbol=S, side="SELL", type="STOP_MARKET", quantity="0.010")


async def over_sockets(user: Any) -> None:
    connection = await futures.websocket_api.create_connection()
    events: list[Any] = []
    try:
        with steps("listen_key") as out:
            listen_key = out.value = answer(await connection.start_user_data_stream())["listenKey"]
        with steps("listen_key_over_rest") as out:
            out.value = answer(rest.start_user_data_stream())["listenKey"]
            rest.keepalive_user_data_stream()
        with steps("user_stream") as out:
            handle = await user.user_data(listen_key)
            handle.on("message", lambda event: events.append(plain(event)))
        with steps("ws_limit") as out:
            placed = out.value = answer(
                await connection.new_order(
                    symbol=S,
                    side="BUY",
                    type="LIMIT",
                    time_in_force="GTC",
                    quantity="0.010",
                    price=price("0.9"),
                )
            )
        with steps("ws_modify") as out:
            out.value = answer(
                await connection.modify_order(
                    symbol=S, side="BUY", quantity="0.020", price=price("0.88"), order_id=placed["orderId"]
                )
            )
        with steps("ws_query") as out:
            out.value = answer(await connection.query_order(symbol=S, order_id=placed["orderId"]))
        with steps("ws_cancel") as out:
            out.value = answer(await connection.cancel_order(symbol=S, order_id=placed["orderId"]))
        with steps("ws_algo") as out:
            algo = out.value = answer(
                await connection.new_algo_order(
                    algo_type="CONDITIONAL", symbol=S, side="SELL", type="STOP_MARKET", quantity="0.010",
                    trigger_price=price("0.9"), reduce_only="true",
                )
            )  # fmt: skip
        with steps("ws_cancel_algo") as out:
            out.value = answer(await connection.cancel_algo_order(algo_id=algo["algoId"]))
        with steps("ws_market") as out:
            out.value = answer(
                await connection.new_order(symbol=S, side="BUY", type="MARKET", quantity="0.015")
            )
        with steps("ws_reads") as out:
            out.value = [
                answer(await connection.order_book(symbol=S, limit=5)),
                answer(await connection.position_information_v2(symbol=S)),
                answer(await connection.futures_account_balance_v2()),
                answer(await connection.account_information_v2()),
            ]
        with steps("ws_too_large") as out:
            answer(
                await connection.new_order(
                    symbol=S,
                    side="BUY",
                    type="LIMIT",
                    time_in_force="GTC",
                    quantity="200",
                    price=price("0.99"),
                )
            )
        with steps("user_events") as out:
            for _ in range(50):
                if any(event.get("o", {}).get("X") == "FILLED" for event in events):
                    break
                await asyncio.sleep(0.1)
            out.value = events
    finally:
        await connection.close_connection(close_session=True)


async def watch(name: str, subscribing: Awaitable[Any]) -> None:
    with steps(name) as out:
        out.value = await first(await subscribing)


async def streams(connection: Any) -> None:
    btc = {"symbol": "btcusdt"}
    await asyncio.gather(
        watch("stream_mark", connection.mark_price_stream(**btc, update_speed="1s")),
        watch("stream_kline", connection.kline_candlestick_streams(**btc, interval="1m")),
        watch("stream_agg_trade", connection.aggregate_trade_streams(**btc)),
        watch("stream_book_ticker", connection.individual_symbol_book_ticker_streams(**btc)),
        watch("stream_depth", connection.diff_book_depth_streams(**btc, update_speed="100ms")),
        watch("stream_partial_depth", connection.partial_book_depth_streams(**btc, levels=10)),
    )


async def sockets() -> None:
    # One for both: the SDK keeps its connections together, and closing one would close the other.
    connection = await futures.websocket_streams.create_connection()
    try:
        await asyncio.gather(over_sockets(connection), streams(connection))
    finally:
        await connection.close_connection(close_session=True)


market_data()
settings()
orders()
asyncio.run(sockets())
with steps("orders") as out:
    out.value = answer(rest.all_orders(symbol=S))
with steps("fills") as out:
    out.value = answer(rest.account_trade_list(symbol=S))
with steps("positions") as out:
    out.value = answer(rest.position_information_v3(symbol=S))
with steps("balances") as out:
    out.value = answer(rest.futures_account_balance_v3())
with steps("account") as out:
    out.value = [answer(rest.account_information_v3()), answer(rest.account_information_v2())]
with steps("income") as out:
    out.value = answer(rest.get_income_history())
steps.report()
