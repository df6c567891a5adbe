"""What survives: kill -9, torn files, restarts, and runs that must repeat."""

from __future__ import annotations

import json
import signal
import socket
import time
from decimal import Decimal
from pathlib import Path

import pytest

from testnet.accounts import Permissions
from testnet.journal import DataDirectoryInUse
from testnet.opening import MarketOptions, open_exchange

from .conftest import START_MS, Client, StartVenue, Venue
from .exchange_process import KEY, SECRET, Process


def test_acknowledged_orders_survive_kill_9_and_the_market_goes_on(tmp_path: Path) -> None:
    data_dir = tmp_path / "state"
    first = Process(data_dir, "--speed", "10")
    try:
        first.wait_ready()
        book = first.get("/api/v3/depth?symbol=BTCUSDT&limit=5")
        low = str(Decimal(book["bids"][0][0]) * Decimal("0.9") // Decimal("0.01") * Decimal("0.01"))
        resting = first.signed(
            "POST",
            "/api/v3/order",
            symbol="BTCUSDT",
            side="BUY",
            type="LIMIT",
            timeInForce="GTC",
            quantity="0.1",
            price=low,
            newClientOrderId="rests",
        )
        bought = first.signed(
            "POST", "/api/v3/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.02"
        )
        before = first.get("/testnet/v1/ledger")
        market_before = first.get("/testnet/v1/clock")["market_ms"]
        price_before = Decimal(first.get("/api/v3/ticker/price?symbol=BTCUSDT")["price"])
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(5)
        # A line cut off in the middle is what a crash during a write leaves behind.
        with (data_dir / "journal.jsonl").open("a") as journal:
            journal.write('{"t":"order","id":99')
        second = Process(data_dir, "--speed", "1")
        try:
            second.wait_ready()
            after = second.get("/testnet/v1/ledger")
            for name in ("orders", "fills", "transfers"):
                assert after[name] == before[name]
            assert after["balances"]["demo"] == before["balances"]["demo"]
            assert after["balances"]["market"] == before["balances"]["market"]
            open_orders = second.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")
            assert [o["clientOrderId"] for o in open_orders] == ["rests"]
            canceled = second.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=resting["orderId"])
            assert canceled["status"] == "CANCELED"
            again = second.signed(
                "POST", "/api/v3/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.02"
            )
            assert again["orderId"] > bought["orderId"]
            assert again["fills"][0]["tradeId"] > bought["fills"][-1]["tradeId"]
            market_after = second.get("/testnet/v1/clock")["market_ms"]
            # Between two clock records at most five seconds of wall time are lost, at speed 10.
            assert market_before - 60_000 <= market_after
            price_after = Decimal(second.get("/api/v3/ticker/price?symbol=BTCUSDT")["price"])
            assert abs(price_after / price_before - 1) < Decimal("0.02")
            second.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            assert second.process.wait(5) == 0
            assert time.monotonic() - began < 2
        finally:
            second.process.kill()
    finally:
        first.process.kill()


def test_taken_port_is_one_clear_sentence_and_exit_1(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = Process(tmp_path / "state", port=int(taken.getsockname()[1]))
        try:
            _, errors = process.process.communicate(timeout=20)
        finally:
            process.process.kill()
    assert process.process.returncode == 1
    assert "is in use" in errors
    assert "Traceback" not in errors


def test_data_directory_belongs_to_one_exchange_at_a_time(tmp_path: Path) -> None:
    options = MarketOptions(
        symbols=("BTCUSDT",), start_ms=START_MS, speed=0, data_dir=tmp_path, minute_days=1, hour_days=1
    )
    first = open_exchange(options)
    with pytest.raises(DataDirectoryInUse):
        open_exchange(options)
    first.exchange.journal.close()
    open_exchange(options).exchange.journal.close()


async def place_conditionals(venue: Venue, client: Client, number: int) -> None:
    """A trailing stop, a list and an order that meets its owner's own, all with ids the venue assigns."""
    bid, ask = venue.best()
    if number % 3 == 0:
        await client.order(
            symbol="BTCUSDT", side="SELL", type="STOP_LOSS", quantity="0.001", trailingDelta="10"
        )
        await client.signed(
            "POST",
            "/api/v3/orderList/oco",
            symbol="BTCUSDT",
            side="SELL",
            quantity="0.002",
            aboveType="LIMIT_MAKER",
            abovePrice=venue.price(ask + 2_000),
            belowType="STOP_LOSS",
            belowStopPrice=venue.price(bid - 2_000),
        )
    for side, tif in (("BUY", "GTC"), ("SELL", "IOC")):
        await client.order(
            symbol="BTCUSDT",
            side=side,
            type="LIMIT",
            timeInForce=tif,
            quantity="0.02",
            price=venue.price(bid + 1),
            selfTradePreventionMode="EXPIRE_MAKER",
        )


async def scripted_run(start_venue: StartVenue, folder: Path) -> bytes:
    venue = await start_venue(data_dir=folder, seed=11)
    account = venue.exchange.create_account("scripted")
    venue.exchange.create_key(account, Permissions(), api_key=KEY, secret=SECRET)
    for line in ("USDT", "BTC"):
        venue.exchange.transfer(account, line, 10**12)
    client = venue.with_key(account, venue.exchange.accounts.keys[KEY])
    for number in range(12):
        bid, _ = venue.best()
        await client.order(
            symbol="BTCUSDT",
            side="BUY",
            type="LIMIT",
            timeInForce="GTC",
            quantity="0.01",
            price=venue.price(bid - 5 * number),
            newClientOrderId=f"l{number}",
        )
        await client.order(
            symbol="ETHUSDT", side="BUY", type="MARKET", quantity="0.05", newClientOrderId=f"m{number}"
        )
        await place_conditionals(venue, client, number)
        await venue.advance(20_000)
    venue.exchange.journal.flush()
    return (folder / "journal.jsonl").read_bytes()


async def test_same_seed_and_requests_write_the_same_journal(start_venue: StartVenue, tmp_path: Path) -> None:
    first = await scripted_run(start_venue, tmp_path / "one")
    second = await scripted_run(start_venue, tmp_path / "two")
    strip = [
        [{k: v for k, v in json.loads(line).items() if k != "wall"} for line in run.splitlines()]
        for run in (first, second)
    ]
    kinds = {record["t"] for record in strip[0]}
    assert kinds >= {"trade", "order", "orders", "work", "trail", "prevent", "done"}
    assert [pair for pair in zip(*strip, strict=True) if pair[0] != pair[1]] == []


async def test_restart_in_process_restores_every_balance_and_order(
    start_venue: StartVenue, tmp_path: Path
) -> None:
    await scripted_run(start_venue, tmp_path / "one")
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("journal.jsonl", "snapshot.json"):
        (copy / name).write_bytes((tmp_path / "one" / name).read_bytes())
    options = MarketOptions(
        seed=11,
        symbols=("BTCUSDT", "ETHUSDT"),
        start_ms=START_MS,
        speed=0,
        data_dir=copy,
        minute_days=1,
        hour_days=3,
    )
    reopened = open_exchange(options).exchange
    twice_lines = (copy / "journal.jsonl").read_bytes()
    assert twice_lines.count(b"\n") == 1, "the journal is compacted into the snapshot at start"
    balances = {a.account_id: dict(a.balances) for a in reopened.accounts.by_id.values()}
    reopened.journal.close()
    again = open_exchange(options).exchange
    assert {a.account_id: dict(a.balances) for a in again.accounts.by_id.values()} == balances
    again.journal.close()
    sent: dict[str, int] = {}
    for transfer in again.transfers:
        sent[transfer.asset] = sent.get(transfer.asset, 0) + transfer.amount
    assert again.accounts.totals() == sent
