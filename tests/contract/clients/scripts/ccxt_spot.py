"""ccxt over REST on the spot market.

ccxt_spot.py default | lean [PRIVATE_KEY_FILE]
"""

from __future__ import annotations

import sys
from pathlib import Path

import ccxt
from ccxt_settings import LEAN, settings
from steps import Steps

steps = Steps()
S = "BTC/USDT"
made_from = settings(**({} if sys.argv[1] == "default" else LEAN))
for file in sys.argv[2:]:
    made_from["secret"] = Path(file).read_text()  # a PEM text in place of the secret
binance = ccxt.binance(made_from)

with steps("markets") as out:
    markets = binance.load_markets()
    out.value = {"names": sorted(markets), "btc": markets[S]}
with steps("currencies") as out:
    out.value = sorted(binance.currencies)
with steps("time") as out:
    out.value = binance.fetch_time()
with steps("ticker") as out:
    ticker = out.value = binance.fetch_ticker(S)


def price(factor: float) -> float:
    return float(binance.price_to_precision(S, ticker["last"] * factor))


with steps("tickers") as out:
    out.value = sorted(binance.fetch_tickers([S, "ETH/USDT"]))
with steps("bids_asks") as out:
    out.value = sorted(binance.fetch_bids_asks([S, "ETH/USDT"]))
with steps("order_book") as out:
    out.value = binance.fetch_order_book(S, 10)
with steps("ohlcv") as out:
    out.value = binance.fetch_ohlcv(S, "1m", limit=20)
with steps("trades") as out:
    out.value = binance.fetch_trades(S, limit=5)
with steps("fee") as out:
    out.value = binance.fetch_trading_fee(S)
with steps("balance_at_first") as out:
    out.value = binance.fetch_balance()["total"]

with steps("limit") as out:
    limit = out.value = binance.create_order(S, "limit", "buy", 0.01, price(0.9))
with steps("market") as out:
    out.value = binance.create_order(S, "market", "sell", 0.02)
with steps("market_cost") as out:
    out.value = binance.create_market_buy_order_with_cost(S, 500)
with steps("post_only") as out:
    out.value = binance.create_order(S, "limit", "sell", 0.01, price(1.1), {"postOnly": True})
with steps("stop_loss_limit") as out:
    stop = out.value = binance.create_order(
        S, "limit", "sell", 0.01, price(0.91), {"stopLossPrice": price(0.92)}
    )
with steps("stop_market") as out:
    out.value = binance.create_order(S, "market", "sell", 0.01, None, {"stopLossPrice": price(0.9)})
with steps("take_profit") as out:
    out.value = binance.create_order(S, "limit", "sell", 0.01, price(1.09), {"takeProfitPrice": price(1.08)})
with steps("oco") as out:
    out.value = binance.private_post_orderlist_oco({
        "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.01", "aboveType": "LIMIT_MAKER",
        "abovePrice": binance.price_to_precision(S, price(1.08)), "belowType": "STOP_LOSS_LIMIT",
        "belowStopPrice": binance.price_to_precision(S, price(0.93)), "belowTimeInForce": "GTC",
        "belowPrice": binance.price_to_precision(S, price(0.92)),
    })  # fmt: skip
with steps("query") as out:
    out.value = binance.fetch_order(limit["id"], S)
with steps("open_orders") as out:
    out.value = [order["id"] for order in binance.fetch_open_orders(S)]
with steps("edit") as out:
    out.value = binance.edit_order(limit["id"], S, "limit", "buy", 0.02, price(0.89))
with steps("cancel") as out:
    out.value = binance.cancel_order(stop["id"], S)

with steps("too_large") as out:
    binance.create_order(S, "limit", "buy", 50, price(0.99))
with steps("too_small") as out:
    binance.create_order(S, "limit", "buy", 0.00001, price(0.9))
with steps("unknown_order") as out:
    binance.fetch_order("987654321", S)
with steps("would_take") as out:
    binance.create_order(S, "limit", "sell", 0.01, price(0.99), {"postOnly": True})
with steps("bad_secret") as out:
    ccxt.binance({**settings(**LEAN), "secret": "wrong"}).fetch_balance()

with steps("cancel_all") as out:
    binance.cancel_all_orders(S)
    out.value = binance.fetch_open_orders(S)
with steps("left_open") as out:
    out.value = binance.create_order(S, "limit", "buy", 0.01, price(0.9))
with steps("orders") as out:
    out.value = binance.fetch_orders(S)
with steps("closed_orders") as out:
    out.value = [order["id"] for order in binance.fetch_closed_orders(S)]
with steps("fills") as out:
    out.value = binance.fetch_my_trades(S)
with steps("balance") as out:
    out.value = binance.fetch_balance()
steps.report()
