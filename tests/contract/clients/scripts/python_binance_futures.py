"""python-binance over REST on USD-M futures."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from binance import Client
from steps import API_KEY, API_SECRET, URL, Steps


class LocalClient(Client):
    API_URL = f"{URL}/api"
    MARGIN_API_URL = f"{URL}/sapi"
    FUTURES_URL = f"{URL}/fapi"
    FUTURES_DATA_URL = f"{URL}/futures/data"


steps = Steps()
S = "BTCUSDT"
client = LocalClient(API_KEY, API_SECRET)


def price(factor: str) -> str:
    """A price relative to the best bid, on the tick."""
    bid = Decimal(client.futures_orderbook_ticker(symbol=S)["bidPrice"])
    return str((bid * Decimal(factor)).quantize(Decimal("1")))


def limit_order(side: str, quantity: str, at: str, **extra: Any) -> Any:
    return client.futures_create_order(
        symbol=S, side=side, type="LIMIT", timeInForce="GTC", quantity=quantity, price=at, **extra
    )


with steps("server") as out:
    out.value = [client.futures_ping(), client.futures_time()["serverTime"]]
with steps("exchange_info") as out:
    out.value = client.futures_exchange_info()
with steps("order_book") as out:
    out.value = client.futures_order_book(symbol=S, limit=10)
with steps("trades") as out:
    out.value = [
        client.futures_recent_trades(symbol=S, limit=5),
        client.futures_aggregate_trades(symbol=S, limit=5),
    ]
with steps("klines") as out:
    out.value = {
        "last": client.futures_klines(symbol=S, interval="1m", limit=20),
        "mark": client.futures_mark_price_klines(symbol=S, interval="1m", limit=20),
        "index": client.futures_index_price_klines(pair=S, interval="1m", limit=20),
        "continuous": client.futures_continuous_klines(
            pair=S, contractType="PERPETUAL", interval="1m", limit=20
        ),
    }
with steps("mark_price") as out:
    out.value = client.futures_mark_price(symbol=S)
with steps("funding_rate") as out:
    out.value = client.futures_funding_rate(symbol=S, limit=5)
with steps("funding_info") as out:
    out.value = client.futures_v1_get_funding_info()
with steps("tickers") as out:
    out.value = [
        client.futures_ticker(symbol=S),
        client.futures_symbol_ticker(),
        client.futures_orderbook_ticker(),
    ]
with steps("open_interest") as out:
    out.value = client.futures_open_interest(symbol=S)
with steps("position_mode") as out:
    out.value = client.futures_get_position_mode()
with steps("position_mode_no_change") as out:
    client.futures_change_position_mode(dualSidePosition="false")
with steps("multi_assets_mode") as out:
    out.value = client.futures_get_multi_assets_mode()
with steps("leverage") as out:
    out.value = client.futures_change_leverage(symbol=S, leverage=10)
with steps("margin_type") as out:
    out.value = client.futures_change_margin_type(symbol="ETHUSDT", marginType="ISOLATED")
with steps("margin_type_no_change") as out:
    client.futures_change_margin_type(symbol=S, marginType="CROSSED")
with steps("brackets") as out:
    out.value = client.futures_leverage_bracket(symbol=S)
with steps("symbol_config") as out:
    out.value = client.futures_symbol_config(symbol=S)
with steps("account_config") as out:
    out.value = client.futures_account_config()
with steps("commission_rate") as out:
    out.value = client.futures_commission_rate(symbol=S)

with steps("hedged") as out:
    client.futures_change_position_mode(dualSidePosition="true")
    legs = [("BUY", "LONG"), ("SELL", "SHORT"), ("SELL", "LONG"), ("BUY", "SHORT")]
    both = {"symbol": "ETHUSDT", "type": "MARKET", "quantity": "0.100"}
    for side, position_side in legs[:2]:
        client.futures_create_order(side=side, positionSide=position_side, **both)
    out.value = client.futures_position_information(symbol="ETHUSDT")
    for side, position_side in legs[2:]:
        client.futures_create_order(side=side, positionSide=position_side, **both)
    client.futures_change_position_mode(dualSidePosition="false")
with steps("limit") as out:
    limit = out.value = limit_order("BUY", "0.010", price("0.9"))
with steps("market") as out:
    out.value = client.futures_create_order(
        symbol=S, side="BUY", type="MARKET", quantity="0.050", newOrderRespType="RESULT"
    )
with steps("position") as out:
    out.value = client.futures_position_information(symbol=S)
with steps("reduce_only") as out:
    out.value = client.futures_create_order(
        symbol=S, side="SELL", type="MARKET", quantity="0.020", reduceOnly="true", newOrderRespType="RESULT"
    )
with steps("stop_market") as out:
    stop = out.value = client.futures_create_order(
        symbol=S, side="SELL", type="STOP_MARKET", quantity="0.030", stopPrice=price("0.9"), reduceOnly="true"
    )
with steps("take_profit") as out:
    take = out.value = client.futures_create_order(
        symbol=S, side="SELL", type="TAKE_PROFIT_MARKET", stopPrice=price("1.1"), closePosition="true"
    )
with steps("open_algo_orders") as out:
    out.value = client.futures_get_open_algo_orders(symbol=S)
with steps("query_algo") as out:
    out.value = client.futures_get_algo_order(algoId=stop["algoId"])
with steps("cancel_algo") as out:
    out.value = client.futures_cancel_algo_order(algoId=stop["algoId"])
with steps("post_only") as out:
    out.value = client.futures_create_order(
        symbol=S, side="SELL", type="LIMIT", timeInForce="GTX", quantity="0.010", price=price("1.05")
    )
with steps("batch") as out:
    batch = out.value = client.futures_place_batch_order(
        batchOrders=[
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
        + [{"symbol": S, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0", "price": "1"}]
    )
with steps("modify") as out:
    out.value = client.futures_modify_order(
        symbol=S, side="BUY", orderId=limit["orderId"], quantity="0.020", price=price("0.89")
    )
with steps("query") as out:
    out.value = client.futures_get_order(symbol=S, orderId=limit["orderId"])
with steps("open_orders") as out:
    out.value = [row["orderId"] for row in client.futures_get_open_orders(symbol=S)]
with steps("cancel") as out:
    out.value = client.futures_cancel_order(symbol=S, orderId=limit["orderId"])
with steps("countdown") as out:
    out.value = client.futures_countdown_cancel_all(symbol=S, countdownTime=60000)
    client.futures_countdown_cancel_all(symbol=S, countdownTime=0)
with steps("listen_key") as out:
    key = client.futures_stream_get_listen_key()
    client.futures_stream_keepalive(key)
    out.value = [key, client.futures_stream_get_listen_key()]

with steps("too_large") as out:
    limit_order("BUY", "200", price("0.99"))
with steps("too_small") as out:
    limit_order("BUY", "0.001", price("0.001"))
with steps("off_the_tick") as out:
    limit_order("BUY", "0.010", "50000.00001")
with steps("reduce_only_refused") as out:
    limit_order("BUY", "0.010", price("0.95"), reduceOnly="true")
with steps("stop_on_order_endpoint") as out:
    client._request_futures_api(
        "post", "order", True,
        data={"symbol": S, "side": "SELL", "type": "STOP_MARKET", "quantity": "0.01", "stopPrice": price("0.9")},
    )  # fmt: skip
with steps("unknown_order") as out:
    client.futures_get_order(symbol=S, orderId=987654321)
with steps("cancel_unknown") as out:
    client.futures_cancel_order(symbol=S, orderId=987654321)

with steps("cancel_all") as out:
    out.value = client.futures_cancel_all_open_orders(symbol=S)
with steps("nothing_open") as out:
    out.value = client.futures_get_open_orders()
with steps("left_open") as out:
    out.value = limit_order("BUY", "0.010", price("0.9"))
with steps("orders") as out:
    out.value = client.futures_get_all_orders(symbol=S) + client.futures_get_all_orders(symbol="ETHUSDT")
with steps("fills") as out:
    out.value = client.futures_account_trades(symbol=S) + client.futures_account_trades(symbol="ETHUSDT")
with steps("balances") as out:
    out.value = client.futures_account_balance()
with steps("account") as out:
    out.value = client.futures_account()
with steps("positions") as out:
    out.value = client.futures_position_information()
with steps("income") as out:
    out.value = client.futures_income_history()
steps.report()
