# ruff: noqa: T201  (an example talks to a person)
"""ccxt.pro on the paper exchange: watch prices and one's own orders, and trade over the same sockets.

python testnet/examples/ccxt_pro.py
"""

from __future__ import annotations

import asyncio

import ccxt.pro
from account import api_key
from ccxt_addresses import urls

SYMBOL = "BTC/USDT"


async def main() -> None:
    key, secret = api_key()
    options = {"fetchMarkets": {"types": ["spot", "linear"]}}
    binance = ccxt.pro.binance({"apiKey": key, "secret": secret, "urls": urls(), "options": options})
    try:
        await binance.load_markets()
        book = await binance.watch_order_book(SYMBOL)
        print("spot book", book["bids"][0], book["asks"][0])
        fills = asyncio.create_task(binance.watch_my_trades(SYMBOL))
        await asyncio.sleep(1)  # until its subscription stands
        order = await binance.create_order_ws(SYMBOL, "market", "buy", 0.01)
        print("spot order", order["id"], order["status"])
        for fill in await asyncio.wait_for(fills, 10):
            print("spot fill", fill["amount"], "at", fill["price"])
        future = await binance.create_order_ws("BTC/USDT:USDT", "market", "buy", 0.01)
        print("futures order", future["id"])
        for position in await binance.fetch_positions(["BTC/USDT:USDT"]):
            print("futures position", position["side"], position["contracts"])
    finally:
        await binance.close()


asyncio.run(main())
