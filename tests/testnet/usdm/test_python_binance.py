"""An unmodified python-binance on the USD-M market: orders, conditional orders, settings, user stream."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from binance import AsyncClient, BinanceSocketManager
from binance.exceptions import BinanceAPIException

from tests.testnet.conftest import Client, Venue
from tests.testnet.usdm.rest import futures_client, mark, price

pytestmark = pytest.mark.asyncio


@contextlib.asynccontextmanager
async def connected(venue: Venue, owner: Client) -> AsyncIterator[AsyncClient]:
    class LocalClient(AsyncClient):  # type: ignore[misc]
        API_URL = f"{venue.url}/api"
        MARGIN_API_URL = f"{venue.url}/sapi"
        FUTURES_URL = f"{venue.url}/fapi"
        FUTURES_DATA_URL = f"{venue.url}/futures/data"
        WS_API_URL = f"{venue.ws}/ws-api/v3"
        WS_FUTURES_URL = f"{venue.ws}/ws-fapi/v1"

    client = await LocalClient.create(owner.api_key, owner.secret)
    try:
        yield client
    finally:
        await client.close_connection()


async def test_python_binance_trades_and_manages_a_position(venue: Venue) -> None:
    async with connected(venue, futures_client(venue)) as client:
        await client.futures_change_leverage(symbol="BTCUSDT", leverage=5)
        await client.futures_change_margin_type(symbol="BTCUSDT", marginType="ISOLATED")
        bought = await client.futures_create_order(
            symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.010", newOrderRespType="RESULT"
        )
        assert bought["status"] == "FILLED"
        [row] = await client.futures_position_information(symbol="BTCUSDT")
        assert Decimal(row["positionAmt"]) == Decimal("0.010")
        assert Decimal(row["liquidationPrice"]) < Decimal(row["entryPrice"])
        # A fifth of the notional is its own margin.
        entry = Decimal(row["entryPrice"])
        assert abs(Decimal(row["isolatedWallet"]) - entry * Decimal("0.002")) < Decimal("0.00000001")
        stop = await client.futures_create_order(
            symbol="BTCUSDT",
            side="SELL",
            type="STOP_MARKET",
            stopPrice=price(venue, mark(venue) * 9 // 10),
            closePosition="true",
        )
        assert stop["algoStatus"] == "NEW"
        account = await client.futures_account()
        held = next(row for row in account["positions"] if row["symbol"] == "BTCUSDT")
        assert (held["leverage"], held["isolated"]) == ("5", True)
        balances = await client.futures_account_balance()
        assert balances[0]["asset"] == "USDT"
        brackets = await client.futures_leverage_bracket(symbol="BTCUSDT")
        assert brackets[0]["brackets"][0]["initialLeverage"] == 125
        assert {row["incomeType"] for row in await client.futures_income_history()} == {
            "COMMISSION",
            "TRANSFER",
        }
        sold = await client.futures_create_order(
            symbol="BTCUSDT", side="SELL", type="MARKET", quantity="0.010", reduceOnly="true"
        )
        assert sold["orderId"] > bought["orderId"]
        trades = await client.futures_account_trades(symbol="BTCUSDT")
        assert sum(Decimal(t["qty"]) * (1 if t["buyer"] else -1) for t in trades) == 0
        with pytest.raises(BinanceAPIException) as refused:
            await client.futures_change_margin_type(symbol="BTCUSDT", marginType="ISOLATED")
        assert refused.value.code == -4046


@pytest.mark.long
async def test_python_binance_hears_its_fills_on_the_futures_user_socket(venue: Venue) -> None:
    async with connected(venue, futures_client(venue)) as client:

        class LocalSockets(BinanceSocketManager):  # type: ignore[misc]
            STREAM_URL = f"{venue.ws}/"
            FSTREAM_URL = f"{venue.ws}/"

        seen: dict[str, Any] = {}
        async with LocalSockets(client).futures_user_socket() as stream:
            await client.futures_create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.010")
            while not {"ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE", "TRADE_LITE"} <= set(seen):
                message = await asyncio.wait_for(stream.recv(), 5)
                assert message["e"] != "error", message
                seen[message["e"]] = message
        assert seen["ORDER_TRADE_UPDATE"]["o"]["X"] == "FILLED"
