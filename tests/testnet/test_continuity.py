"""What survives: kill -9, torn files, replays that must match, runs that must repeat."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import hmac
import json
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import websockets

from testnet.accounts import Permissions
from testnet.journal import DataDirectoryInUse
from testnet.klines import DAY_MS, HOUR_MS, open_of
from testnet.market.candles import BadCandleFile, read_candles
from testnet.market.replay import candle_path
from testnet.opening import MarketOptions, open_exchange

from .conftest import START_MS, Client, StartVenue, Venue

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = Path(__file__).parent / "data"
KEY, SECRET = "A" * 64, "B" * 64


class Process:
    """The exchange as a program of its own."""

    def __init__(self, data_dir: Path, *more: str, port: int | None = None) -> None:
        self.port = port or free_port()
        accounts = data_dir.parent / "accounts.json"
        keys = [{"api_key": KEY, "api_secret": SECRET}]
        accounts.write_text(
            json.dumps([{"name": "demo", "balances": {"USDT": "100000", "BTC": "5"}, "keys": keys}])
        )
        command = [
            sys.executable,
            "-m",
            "testnet",
            "--port",
            str(self.port),
            "--data-dir",
            str(data_dir),
            "--accounts",
            str(accounts),
            "--control",
            "--symbols",
            "BTCUSDT",
            "--history-days",
            "1",
            "--hourly-history-days",
            "2",
            "--process-name",
            "nautilus-testnet",
            *more,
        ]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)

    def wait_ready(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.process.stderr.read() if self.process.stderr else ""
            try:
                self.get("/api/v3/ping")
            except urllib.error.URLError:
                time.sleep(0.05)
            else:
                return
        pytest.fail("the exchange did not start")

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return json.loads(answer.read())

    def signed(self, method: str, path: str, **params: Any) -> Any:
        query = urlencode({**params, "timestamp": int(time.time() * 1000)})
        signature = hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}?{query}&signature={signature}",
            method=method,
            headers={"X-MBX-APIKEY": KEY},
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.loads(answer.read())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


async def replayed_hours(venue: Venue, symbol: str, count: int) -> list[list[Any]]:
    await venue.advance(count * HOUR_MS + 1)
    answer = await venue.anonymous().public(
        "GET", "/api/v3/klines", symbol=symbol, interval="1h", limit=count + 2
    )
    rows: list[list[Any]] = answer.body[:-1]
    return rows


async def check_replay(start_venue: StartVenue, folder: Path, symbol: str, hours: int) -> None:
    venue = await start_venue(replay=folder, symbols=(symbol,), start_ms=None, usdm_symbols=())
    client = venue.client(USDT="10000000")
    # Users trading in the middle of a candle must not bend it.
    bid, _ = venue.best(symbol)
    instrument = venue.exchange.listing(symbol).instrument
    await venue.advance(10 * 60_000)
    quantity = instrument.qty_text(10**8 * 500 // (bid * instrument.quote_per))
    traded = await client.order(symbol=symbol, side="BUY", type="MARKET", quantity=quantity)
    assert traded.body["status"] == "FILLED", traded.body
    await client.order(
        symbol=symbol,
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity=quantity,
        price=venue.price(venue.best(symbol)[0] - 3, symbol),
    )
    rows = await replayed_hours(venue, symbol, hours)
    file = read_candles(next(p for p in folder.iterdir() if p.name.startswith(symbol + "_1h")))
    real = {c.open_ms: c for c in file.candles}
    assert len(rows) >= hours
    for row in rows:
        candle = real[row[0]]
        prices = [int(Decimal(text).scaleb(8)) for text in row[1:5]]
        assert prices == [candle.open, candle.high, candle.low, candle.close], row[0]


async def test_replayed_fixture_reproduces_every_candle_exactly(start_venue: StartVenue) -> None:
    await check_replay(start_venue, FIXTURES, "FIXUSDT", 24)


@pytest.mark.realdata
@pytest.mark.parametrize("symbol", ["BTCUSDT", pytest.param("DOGEUSDT", marks=pytest.mark.long)])
async def test_replayed_real_market_reproduces_every_candle_exactly(
    start_venue: StartVenue, real_data: Path, symbol: str
) -> None:
    await check_replay(start_venue, real_data / "klines_spot_1h", symbol, 48)


@pytest.mark.realdata
def test_every_recorded_candle_has_a_path_that_is_exactly_itself(real_data: Path) -> None:
    file = read_candles(real_data / "klines_spot_1h" / "SUIUSDT_1h.csv.gz")
    tick, step = file.instrument.tick, file.instrument.step
    for candle in random.Random(1).sample(file.candles, 300):
        points = candle_path(candle, file.length_ms, file.instrument, seed=4)
        prices = [point.price * tick for point in points]
        assert (prices[0], max(prices), min(prices), prices[-1]) == candle[1:5]
        assert sum(point.steps for point in points) * step == candle.volume // step * step
        times = [point.time_ms for point in points]
        assert times == sorted(set(times))
        assert times[0] == candle.open_ms
        assert times[-1] == candle.open_ms + file.length_ms - 1


async def test_candle_interrupted_by_a_crash_still_comes_out_exactly(
    start_venue: StartVenue, tmp_path: Path
) -> None:
    file = read_candles(FIXTURES / "FIXUSDT_1h.csv")
    first_open = file.candles[70].open_ms
    venue = await start_venue(
        replay=FIXTURES, symbols=("FIXUSDT",), start_ms=first_open, data_dir=tmp_path / "state"
    )
    await venue.advance(25 * 60_000 + 17_000)
    venue.exchange.journal.flush()
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("journal.jsonl", "snapshot.json"):
        (copy / name).write_bytes((tmp_path / "state" / name).read_bytes())
    again = await start_venue(replay=FIXTURES, symbols=("FIXUSDT",), start_ms=first_open, data_dir=copy)
    await again.advance(HOUR_MS)
    answer = await again.anonymous().public(
        "GET", "/api/v3/klines", symbol="FIXUSDT", interval="1h", startTime=first_open, limit=1
    )
    candle = file.candles[70]
    prices = [int(Decimal(text).scaleb(8)) for text in answer.body[0][1:5]]
    assert prices == [candle.open, candle.high, candle.low, candle.close]


async def test_replay_ends_with_a_break_and_orders_are_refused(start_venue: StartVenue) -> None:
    file = read_candles(FIXTURES / "FIXUSDT_1h.csv")
    end = file.candles[-1].open_ms + HOUR_MS
    venue = await start_venue(replay=FIXTURES, symbols=("FIXUSDT",), start_ms=end - HOUR_MS)
    await venue.advance(2 * HOUR_MS)
    info = (await venue.anonymous().public("GET", "/api/v3/exchangeInfo", symbol="FIXUSDT")).body
    assert info["symbols"][0]["status"] == "BREAK"
    client = venue.client(USDT="1000")
    refused = await client.order(symbol="FIXUSDT", side="BUY", type="MARKET", quoteOrderQty="50")
    assert refused.body == {"code": -2010, "msg": "Market is closed."}


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (["2024-01-01 00:00:00,1,2,0.5,1.5,10"], "at least two"),
        (["2024-01-01 00:00:00,1,2,0.5,1.5,10", "2024-01-01 00:00:00,1,2,0.5,1.5,10"], "do not ascend"),
        (["2024-01-01 00:00:00,1,2,0.5,1.5,10", "2024-01-01 01:00:00,1,0.9,0.5,1.5,10"], "line 3"),
        (["2024-01-01 00:00:00,1,2,0.5,1.5,10", "2024-01-01 01:00:00,1,2,x,1.5,10"], "line 3"),
        (["2024-01-01 00:00:00,1,2,0.5,1.5,10", "2024-01-01 01:00:00,1,2"], "line 3"),
    ],
)
def test_bad_candle_file_is_refused_by_line(tmp_path: Path, rows: list[str], complaint: str) -> None:
    path = tmp_path / "AAAUSDT_1h.csv"
    path.write_text("\n".join(["date,open,high,low,close,volume", *rows]))
    with pytest.raises(BadCandleFile, match=complaint):
        read_candles(path)


def test_archive_form_is_read_in_milliseconds_and_microseconds(tmp_path: Path) -> None:
    rows = [
        f"{at},1.10,1.30,1.00,1.20,5.5,{at + 59_999},6.6,3,2.2,2.6,0"
        for at in (60_000_000_000, 60_000_060_000)
    ]
    path = tmp_path / "AAAUSDT_1m.csv.gz"
    path.write_bytes(gzip.compress("\n".join(rows).encode()))
    assert [c.open_ms for c in read_candles(path).candles] == [60_000_000_000, 60_000_060_000]
    micro = tmp_path / "BBBUSDT_1m.csv"
    micro.write_text(
        "\n".join(
            r.replace("60000000000,", "1735689600000000,", 1).replace("60000060000,", "1735689660000000,", 1)
            for r in rows
        )
    )
    assert [c.open_ms for c in read_candles(micro).candles] == [1_735_689_600_000, 1_735_689_660_000]


async def test_fuzzed_parameters_never_break_the_exchange(venue: Venue) -> None:
    rng = random.Random(3)
    client = venue.client(USDT="1000")
    junk = [
        "",
        "0",
        "-1",
        "1e9",
        "9" * 30,
        "NaN",
        "BTCUSDT",
        "%00",
        "\u20ac",
        "[1]",
        "{}",
        "null",
        "' OR 1=1",
        "a" * 300,
    ]
    names = [
        "symbol",
        "limit",
        "interval",
        "startTime",
        "endTime",
        "fromId",
        "orderId",
        "quantity",
        "price",
        "side",
        "type",
        "symbols",
        "recvWindow",
        "timeInForce",
        "origClientOrderId",
        "quoteOrderQty",
    ]
    routes = [
        ("GET", "/api/v3/depth"),
        ("GET", "/api/v3/klines"),
        ("GET", "/api/v3/aggTrades"),
        ("GET", "/api/v3/exchangeInfo"),
        ("GET", "/api/v3/ticker/24hr"),
        ("POST", "/api/v3/order"),
        ("GET", "/api/v3/order"),
        ("DELETE", "/api/v3/order"),
        ("GET", "/api/v3/myTrades"),
        ("GET", "/api/v3/allOrders"),
        ("POST", "/api/v3/order/test"),
    ]
    for _ in range(600):
        method, path = rng.choice(routes)
        params = {name: rng.choice(junk) for name in rng.sample(names, rng.randint(0, 6))}
        if rng.random() < 0.5:
            params["symbol"] = "BTCUSDT"
        answer = await client.signed(method, path, **params)
        assert answer.status < 500, (method, path, params, answer.body)
        if answer.status != 200:
            assert set(answer.body) == {"code", "msg"}
    assert (await client.public("GET", "/api/v3/ping")).status == 200


async def test_fuzzed_frames_never_break_the_exchange(venue: Venue) -> None:
    rng = random.Random(4)
    pieces = [
        "{",
        "}",
        "[",
        "]",
        '"method"',
        ":",
        '"order.place"',
        ",",
        '"params"',
        "null",
        "1e400",
        '"id"',
        "\\u0000",
        '"SUBSCRIBE"',
        '["btcusdt@trade"]',
        "true",
    ]
    fixed = [
        '{"id":{},"method":"ping"}',
        '{"id":1,"method":5}',
        '{"id":1,"method":"order.place","params":[]}',
        '{"id":1,"method":"order.place","params":{"symbol":{}}}',
        "[]",
        "7",
        '"x"',
        '{"id":1}',
        '{"id":1,"method":"userDataStream.unsubscribe","params":{"subscriptionId":[1]}}',
        '{"id":1,"method":"session.logon","params":{}}',
    ]
    for path in ("/ws-api/v3", "/ws"):
        async with websockets.connect(venue.ws + path) as connection:
            for _ in range(150):
                text = rng.choice([*fixed, "".join(rng.choices(pieces, k=rng.randint(1, 9)))])
                await connection.send(text)
                answer = json.loads(await asyncio.wait_for(connection.recv(), 5))
                assert isinstance(answer, dict)
    assert (await venue.anonymous().public("GET", "/api/v3/ping")).status == 200


@pytest.mark.parametrize(
    ("interval", "at", "opened"),
    [
        # 2024-02-29 was a Thursday: its week opened on Monday the 26th, its month on the 1st.
        ("1w", 1_709_208_000_000, 1_708_905_600_000),
        ("1M", 1_709_208_000_000, 1_706_745_600_000),
        ("1d", 1_709_208_000_000, 1_709_164_800_000),
        ("4h", 1_709_208_000_000, 1_709_208_000_000),
    ],
)
def test_bars_open_on_calendar_boundaries(interval: str, at: int, opened: int) -> None:
    assert open_of(interval, at) == opened
    assert at - opened < 31 * DAY_MS
