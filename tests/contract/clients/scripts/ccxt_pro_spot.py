"""ccxt.pro on the spot market: what `watch_*` yields while orders are placed over its sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import ccxt.pro
from ccxt_settings import LEAN, settings
from steps import Steps, control

S = "BTC/USDT"
steps = Steps()


async def watch(name: str, call: Callable[[], Awaitable[Any]], wanted: int = 2) -> None:
    """The last of several updates: the first may be a snapshot taken over REST."""
    with steps(name) as out:
        for _ in range(wanted):
            out.value = await asyncio.wait_for(call(), 30)


async def market(binance: Any) -> None:
    await asyncio.gather(
        watch("watch_ticker", lambda: binance.watch_ticker(S)),
        watch("watch_trades", lambda: binance.watch_trades(S)),
        watch("watch_ohlcv", lambda: binance.watch_ohlcv(S, "1m")),
        watch("watch_order_book", lambda: binance.watch_order_book(S), 5),
        watch("watch_bids_asks", lambda: binance.watch_bids_asks([S])),
    )


async def orders(binance: Any) -> None:
    seen: list[Any] = []
    fills: list[Any] = []

    async def follow_orders() -> None:
        while len({order["status"] for order in seen}) < 3:
            # Copies: ccxt writes later events into the objects it handed out.
            seen.extend(dict(order) for order in await binance.watch_orders(S))

    async def follow_fills() -> None:
        fills.extend(await binance.watch_my_trades(S))

    async def follow_balance() -> None:
        while "BTC" not in binance.balance.get("spot", {}):  # only a fill touches it
            await binance.watch_balance()

    followers = [asyncio.create_task(follow()) for follow in (follow_orders, follow_fills, follow_balance)]
    await asyncio.sleep(1.5)  # ccxt has no way to say that its subscription stands
    price = float(binance.price_to_precision(S, (await binance.fetch_ticker(S))["last"] * 0.9))
    with steps("limit_over_rest") as out:
        limit = out.value = await binance.create_order(S, "limit", "buy", 0.01, price)
    with steps("limit_over_socket") as out:
        over_socket = out.value = await binance.create_order_ws(S, "limit", "buy", 0.01, price)
    with steps("edit_over_socket") as out:
        out.value = await binance.edit_order_ws(over_socket["id"], S, "limit", "buy", 0.02, price)
    with steps("open_over_socket") as out:
        out.value = await binance.fetch_open_orders_ws(S)
    with steps("cancel") as out:
        out.value = await binance.cancel_order_ws(limit["id"], S)
    with steps("market_over_socket") as out:
        out.value = await binance.create_order_ws(S, "market", "buy", 0.015)
    with steps("watch_orders") as out:
        await asyncio.wait_for(followers[0], 30)
        out.value = seen
    with steps("watch_my_trades") as out:
        await asyncio.wait_for(followers[1], 30)
        out.value = fills
    with steps("watch_balance") as out:
        await asyncio.wait_for(followers[2], 30)
        out.value = binance.balance["spot"]
    with steps("balance_over_socket") as out:
        out.value = await binance.fetch_balance_ws()
    with steps("too_large_over_socket") as out:
        await binance.create_order_ws(S, "limit", "buy", 100, price)
    with steps("orders") as out:
        out.value = await binance.fetch_orders(S)
    with steps("fills") as out:
        out.value = await binance.fetch_my_trades(S)
    with steps("balance") as out:
        out.value = await binance.fetch_balance()


async def still_book(binance: Any) -> None:
    """Both copies of the book after the market was stopped and the last differences have arrived."""
    with steps("still_book") as out:
        control("/clock", {"speed": 0})
        try:
            await asyncio.sleep(1)
            kept, exact = binance.orderbooks[S], await binance.fetch_order_book(S, 1000)
            out.value = {side: [kept[side], exact[side]] for side in ("bids", "asks")}
        finally:
            control("/clock", {"speed": 5})


async def main() -> None:
    binance = ccxt.pro.binance(settings(**LEAN))
    try:
        with steps("markets") as out:
            out.value = sorted(await binance.load_markets())
        await asyncio.gather(market(binance), orders(binance))
        await still_book(binance)
    finally:
        await binance.close()


asyncio.run(main())
steps.report()
