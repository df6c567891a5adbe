"""ccxt over REST on USD-M futures, with its default options or the lean ones."""

from __future__ import annotations

import sys

import ccxt
from ccxt_settings import LEAN, settings
from steps import Steps

steps = Steps()
S = "BTC/USDT:USDT"
options = {} if sys.argv[1:] == ["default"] else LEAN
binance = ccxt.binance(settings(defaultType="swap", **options))

with steps("markets") as out:
    markets = binance.load_markets()
    out.value = {"names": sorted(markets), "btc": markets[S]}
with steps("ticker") as out:
    ticker = out.value = binance.fetch_ticker(S)


def price(factor: float) -> float:
    return float(binance.price_to_precision(S, ticker["last"] * factor))


with steps("tickers") as out:
    out.value = sorted(binance.fetch_tickers([S, "ETH/USDT:USDT"]))
with steps("bids_asks") as out:
    out.value = sorted(binance.fetch_bids_asks([S, "ETH/USDT:USDT"]))
with steps("order_book") as out:
    out.value = binance.fetch_order_book(S, 10)
with steps("ohlcv") as out:
    out.value = [
        binance.fetch_ohlcv(S, "1m", limit=20),
        binance.fetch_ohlcv(S, "1m", limit=20, params={"price": "mark"}),
        binance.fetch_ohlcv(S, "1m", limit=20, params={"price": "index"}),
    ]
with steps("trades") as out:
    out.value = binance.fetch_trades(S, limit=5)
with steps("funding_rate") as out:
    out.value = binance.fetch_funding_rate(S)
with steps("funding_rates") as out:
    out.value = sorted(binance.fetch_funding_rates([S, "ETH/USDT:USDT"]))
with steps("funding_history") as out:
    out.value = binance.fetch_funding_rate_history(S, limit=3)
with steps("open_interest") as out:
    out.value = binance.fetch_open_interest(S)
with steps("fee") as out:
    out.value = binance.fetch_trading_fee(S)
with steps("tiers") as out:
    out.value = binance.fetch_leverage_tiers([S])[S]
with steps("leverage") as out:
    out.value = binance.set_leverage(10, S)
with steps("read_leverage") as out:
    out.value = binance.fetch_leverage(S)
with steps("margin_mode") as out:
    out.value = binance.set_margin_mode("isolated", "ETH/USDT:USDT")
with steps("position_mode") as out:
    out.value = binance.fetch_position_mode(S)
with steps("hedge_mode") as out:
    out.value = [binance.set_position_mode(True), binance.set_position_mode(False)]
with steps("balance_at_first") as out:
    out.value = binance.fetch_balance()["total"]

with steps("limit") as out:
    limit = out.value = binance.create_order(S, "limit", "buy", 0.01, price(0.9))
with steps("market") as out:
    out.value = binance.create_order(S, "market", "buy", 0.05)
with steps("reduce_only") as out:
    out.value = binance.create_order(S, "market", "sell", 0.02, None, {"reduceOnly": True})
with steps("stop_market") as out:
    stop = out.value = binance.create_order(
        S, "market", "sell", 0.03, None, {"stopLossPrice": price(0.9), "reduceOnly": True}
    )
with steps("take_profit") as out:
    out.value = binance.create_order(
        S, "limit", "sell", 0.01, price(1.1), {"takeProfitPrice": price(1.09), "reduceOnly": True}
    )
with steps("trailing") as out:
    out.value = binance.create_order(
        S, "market", "sell", 0.01, None, {"trailingPercent": 2, "reduceOnly": True}
    )
with steps("open_stops") as out:
    out.value = [order["id"] for order in binance.fetch_open_orders(S, params={"trigger": True})]
with steps("cancel_stop") as out:
    out.value = binance.cancel_order(stop["id"], S, {"trigger": True})
with steps("cancel_stops") as out:
    binance.cancel_all_orders(S, {"trigger": True})
    out.value = binance.fetch_open_orders(S, params={"trigger": True})
with steps("batch") as out:
    out.value = binance.create_orders([
        {"symbol": S, "type": "limit", "side": "buy", "amount": 0.01, "price": price(0.91)},
        {"symbol": S, "type": "limit", "side": "buy", "amount": 0.01, "price": price(0.92)},
    ])  # fmt: skip
with steps("edit") as out:
    out.value = binance.edit_order(limit["id"], S, "limit", "buy", 0.02, price(0.89))
with steps("query") as out:
    out.value = binance.fetch_order(limit["id"], S)
with steps("open_orders") as out:
    out.value = [order["id"] for order in binance.fetch_open_orders(S)]
with steps("cancel") as out:
    out.value = binance.cancel_order(limit["id"], S)
with steps("cancel_batch") as out:
    ids = [order["id"] for order in binance.fetch_open_orders(S)]
    out.value = binance.cancel_orders(ids, S)

with steps("too_large") as out:
    binance.create_order(S, "limit", "buy", 200, price(0.99))
with steps("unknown_order") as out:
    binance.fetch_order("987654321", S)

with steps("positions") as out:
    out.value = binance.fetch_positions([S])
with steps("position_risk") as out:
    out.value = binance.fetch_positions_risk([S])
with steps("close") as out:
    binance.create_order(S, "market", "sell", 1, None, {"reduceOnly": True})
    out.value = binance.fetch_positions([S])
with steps("orders") as out:
    out.value = binance.fetch_orders(S)
with steps("fills") as out:
    out.value = binance.fetch_my_trades(S)
with steps("balance") as out:
    out.value = binance.fetch_balance()
with steps("ledger") as out:
    out.value = binance.fetch_ledger("USDT")
with steps("income") as out:
    out.value = binance.fetch_funding_history(S)
steps.report()
