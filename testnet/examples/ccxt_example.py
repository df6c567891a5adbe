# ruff: noqa: T201  (an example talks to a person)
"""ccxt on the paper exchange: spot and perpetual markets of one object.

python testnet/examples/ccxt_example.py
"""

from __future__ import annotations

import ccxt
from account import api_key
from ccxt_addresses import urls

key, secret = api_key()
# Without `fetchMarkets` ccxt asks for coin-M contracts as well, of which there are none.
options = {"fetchMarkets": {"types": ["spot", "linear"]}}
binance = ccxt.binance({"apiKey": key, "secret": secret, "urls": urls(), "options": options})
print("markets", len(binance.load_markets()))

spot = binance.create_order("BTC/USDT", "market", "buy", 0.01)
print("spot order", spot["id"], spot["status"], "at", spot["average"])
price = float(binance.price_to_precision("BTC/USDT", spot["average"] * 0.9))
resting = binance.create_order("BTC/USDT", "limit", "buy", 0.01, price)
print("canceled", binance.cancel_order(resting["id"], "BTC/USDT")["status"])
print("spot balance", binance.fetch_balance()["BTC"]["total"], "BTC")

perpetual = "BTC/USDT:USDT"
binance.set_leverage(5, perpetual)
future = binance.create_order(perpetual, "market", "sell", 0.01)
print("futures order", future["id"], future["status"])
for position in binance.fetch_positions([perpetual]):
    print("futures position", position["side"], position["contracts"], "at", position["entryPrice"])
