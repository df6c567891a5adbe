"""A funded USD-M account over REST, and the orders tests place with it."""

from __future__ import annotations

from typing import Any

from testnet.account_setup import create_account
from tests.testnet.conftest import Client, Venue


def futures_client(venue: Venue, usdt: str = "100000", **balances: str) -> Client:
    account, keys = create_account(venue.exchange, {"balances": balances, "futures_balances": {"USDT": usdt}})
    return venue.with_key(account, keys[0])


def mark(venue: Venue, symbol: str = "BTCUSDT") -> int:
    listing = venue.exchange.listing(symbol, "usdm")
    return venue.exchange.marks.mark_of(listing) // listing.instrument.tick


def price(venue: Venue, ticks: int, symbol: str = "BTCUSDT") -> str:
    return venue.exchange.listing(symbol, "usdm").instrument.price_text(ticks)


async def limit(client: Client, side: str, quantity: str, at: str, **extra: Any) -> Any:
    return await client.signed(
        "POST",
        "/fapi/v1/order",
        symbol="BTCUSDT",
        side=side,
        type="LIMIT",
        timeInForce=extra.pop("timeInForce", "GTC"),
        quantity=quantity,
        price=at,
        **extra,
    )


async def market(client: Client, side: str, quantity: str, **extra: Any) -> Any:
    return await client.signed(
        "POST", "/fapi/v1/order", symbol="BTCUSDT", side=side, type="MARKET", quantity=quantity, **extra
    )
