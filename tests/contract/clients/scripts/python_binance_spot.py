"""python-binance over REST on the spot market."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path

from binance import Client
from steps import API_KEY, API_SECRET, URL, Steps


class LocalClient(Client):
    API_URL = f"{URL}/api"
    MARGIN_API_URL = f"{URL}/sapi"


steps = Steps()
S = "BTCUSDT"
private_key = Path(sys.argv[1]) if len(sys.argv) > 1 else None
client = LocalClient(API_KEY, None if private_key else API_SECRET, private_key=private_key)


def price(factor: str) -> str:
    """A price relative to the best bid, on the tick."""
    bid = Decimal(client.get_orderbook_ticker(symbol=S)["bidPrice"])
    return str((bid * Decimal(factor)).quantize(Decimal("1")))


with steps("server") as out:
    out.value = [client.ping(), client.get_server_time()["serverTime"]]
with steps("microseconds") as out:
    fine = LocalClient(time_unit="MICROSECOND")
    out.value = [fine.get_server_time()["serverTime"], fine.get_recent_trades(symbol=S, limit=1)[0]["time"]]
with steps("symbol") as out:
    out.value = client.get_symbol_info(S)
with steps("exchange_info") as out:
    out.value = [row["symbol"] for row in client.get_exchange_info()["symbols"]]
with steps("order_book") as out:
    out.value = client.get_order_book(symbol=S, limit=10)
with steps("klines") as out:
    out.value = client.get_klines(symbol=S, interval="1m", limit=20)
with steps("historical_klines") as out:
    last = client.get_klines(symbol=S, interval="1m", limit=1)[0][0]
    rows = client.get_historical_klines_generator(S, "1m", last - 1199 * 60_000, last)
    out.value = [row[0] for row in rows]
with steps("trades") as out:
    out.value = [client.get_recent_trades(symbol=S, limit=5), client.get_aggregate_trades(symbol=S, limit=5)]
with steps("tickers") as out:
    out.value = [
        client.get_ticker(symbol=S),
        client.get_all_tickers(),
        client.get_orderbook_tickers(),
        client.get_avg_price(symbol=S),
    ]
with steps("rolling_ticker") as out:
    out.value = client.get_symbol_ticker_window(symbol=S, windowSize="1h")
with steps("account_at_first") as out:
    out.value = client.get_account()["balances"]
with steps("fee") as out:
    out.value = client.get_trade_fee(symbol=S)
with steps("commission") as out:
    out.value = client._get("account/commission", True, data={"symbol": S})

with steps("limit") as out:
    limit = out.value = client.order_limit_buy(symbol=S, quantity="0.01", price=price("0.9"))
with steps("market_sell") as out:
    out.value = client.order_market_sell(symbol=S, quantity="0.02")
with steps("market_quote") as out:
    out.value = client.order_market_buy(symbol=S, quoteOrderQty="500")
with steps("maker") as out:
    out.value = client.create_order(
        symbol=S, side="SELL", type="LIMIT_MAKER", quantity="0.01", price=price("1.1")
    )
with steps("stop_loss_limit") as out:
    stop = out.value = client.create_order(
        symbol=S,
        side="SELL",
        type="STOP_LOSS_LIMIT",
        timeInForce="GTC",
        quantity="0.01",
        stopPrice=price("0.92"),
        price=price("0.91"),
    )
with steps("oco") as out:
    oco = out.value = client.order_oco_sell(
        symbol=S,
        quantity="0.01",
        aboveType="LIMIT_MAKER",
        abovePrice=price("1.08"),
        belowType="STOP_LOSS_LIMIT",
        belowStopPrice=price("0.93"),
        belowPrice=price("0.92"),
        belowTimeInForce="GTC",
    )
with steps("open_oco") as out:
    out.value = client.get_open_oco_orders()
with steps("test_order") as out:
    out.value = client.create_test_order(
        symbol=S, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.01", price=price("0.9")
    )
with steps("query") as out:
    out.value = client.get_order(symbol=S, orderId=limit["orderId"])
with steps("open_orders") as out:
    out.value = [row["orderId"] for row in client.get_open_orders(symbol=S)]
with steps("cancel_replace") as out:
    replaced = out.value = client.cancel_replace_order(
        symbol=S,
        cancelReplaceMode="STOP_ON_FAILURE",
        cancelOrderId=limit["orderId"],
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="0.02",
        price=price("0.89"),
    )
with steps("amend") as out:
    order_id = replaced["newOrderResponse"]["orderId"]
    out.value = client._put(
        "order/amend/keepPriority", True, data={"symbol": S, "orderId": order_id, "newQty": "0.015"}
    )
with steps("cancel") as out:
    out.value = client.cancel_order(symbol=S, orderId=stop["orderId"])
with steps("order_count") as out:
    out.value = client.get_current_order_count()

with steps("too_large") as out:
    client.order_limit_buy(symbol=S, quantity="50", price=price("0.99"))
with steps("off_the_tick") as out:
    client.order_limit_buy(symbol=S, quantity="0.01", price="50000.001")
with steps("float_quantity") as out:
    client.order_limit_buy(symbol=S, quantity=0.00001, price=price("0.9"))
with steps("unknown_order") as out:
    client.get_order(symbol=S, orderId=987654321)
with steps("unknown_symbol") as out:
    client.get_klines(symbol="NOSUCHUSDT", interval="1m")

with steps("cancel_all") as out:
    out.value = client.cancel_all_open_orders(symbol=S)
with steps("nothing_open") as out:
    out.value = client.get_open_orders()
with steps("left_open") as out:
    out.value = client.order_limit_buy(symbol=S, quantity="0.01", price=price("0.9"))
with steps("orders") as out:
    out.value = client.get_all_orders(symbol=S)
with steps("fills") as out:
    out.value = client.get_my_trades(symbol=S)
with steps("balances") as out:
    out.value = client.get_account()["balances"]
steps.report()
