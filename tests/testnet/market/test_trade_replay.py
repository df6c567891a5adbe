"""Replay of recorded trades: the tape is the file, and users come first at better prices."""

from __future__ import annotations

import gzip
import random
import tracemalloc
from pathlib import Path

import pytest

from testnet.account_setup import create_account
from testnet.exchange import Exchange
from testnet.listing import Listing, SymbolStatus
from testnet.market.candles import BadCandleFile, find_files, read_candles
from testnet.market.trades import BadTradeFile, read_trades
from testnet.opening import MarketOptions, open_exchange
from testnet.orders import NewOrder
from testnet.tape import Trade

MINUTE_MS = 60_000
T0 = 1_700_000_040_000  # a whole minute
Row = tuple[int, str, str, bool]


def make_rows(minutes: int, seed: int = 1, *, each: int = 40) -> list[Row]:
    """A walk with many trades at one price, several in one millisecond, and an empty minute."""
    rng = random.Random(seed)
    rows: list[Row] = []
    cents = 6_000_000
    for minute in range(minutes):
        if minute == 3:
            continue
        for at in sorted(rng.randrange(MINUTE_MS) for _ in range(each)):
            cents += rng.choice((-37, -1, 0, 0, 1, 55))
            for _ in range(rng.choice((1, 1, 3))):
                quantity = f"{rng.randrange(1, 90_000) / 1e5:.5f}"
                rows.append(
                    (T0 + minute * MINUTE_MS + at, f"{cents / 100:.2f}", quantity, rng.random() < 0.5)
                )
    return rows


def write_trades(path: Path, rows: list[Row], *, header: bool = False, micro: bool = False) -> Path:
    lines = ["id,price,qty,quote_qty,time,is_buyer_maker,is_best_match\n"] if header else []
    for number, (at, price, quantity, is_buy) in enumerate(rows):
        stamp = at * 1000 + 7 if micro else at
        quote = float(price) * float(quantity)
        lines.append(f"{number},{price}000000,{quantity}000,{quote:.8f},{stamp},{not is_buy},True\n")
    return write(path, lines)


def write_aggregates(path: Path, rows: list[Row]) -> Path:
    lines = [
        f"{number},{price},{quantity},{number},{number},{at},{str(not is_buy).lower()},true\n"
        for number, (at, price, quantity, is_buy) in enumerate(rows)
    ]
    return write(path, lines)


def write(path: Path, lines: list[str]) -> Path:
    data = "".join(lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


class Heard:
    """The public trades of the spot market."""

    def __init__(self) -> None:
        self.trades: list[Trade] = []

    def trade(self, listing: Listing, trade: Trade) -> None:
        if listing.instrument.market == "spot":
            self.trades.append(trade)

    def aggregates(self, listing: Listing, aggregates: object) -> None:
        assert aggregates

    def bars_closed(self, listing: Listing, closed: object) -> None:
        assert closed


def opened(folder: Path, start_ms: int, data_dir: Path | None = None) -> tuple[Exchange, Heard]:
    exchange = open_exchange(
        MarketOptions(seed=2, speed=0.0, replay=folder, start_ms=start_ms, data_dir=data_dir, usdm_symbols=())
    ).exchange
    heard = Heard()
    exchange.market_listeners.append(heard)
    return exchange, heard


def run(exchange: Exchange, until_ms: int, step_ms: int = 1_000) -> None:
    while exchange.driver.slice_to(until_ms, step_ms):
        continue


def as_rows(listing: Listing, trades: list[Trade]) -> list[tuple[int, int, int, bool]]:
    tick, step = listing.instrument.tick, listing.instrument.step
    return [(t.time_ms, t.price * tick, t.steps * step, not t.buyer_is_maker) for t in trades]


def expected(rows: list[Row], from_ms: int) -> list[tuple[int, int, int, bool]]:
    return [
        (at, round(float(price) * 100) * 10**6, round(float(quantity) * 10**5) * 1_000, is_buy)
        for at, price, quantity, is_buy in rows
        if at >= from_ms
    ]


@pytest.mark.parametrize("name", ["BTCUSDT_trades.csv", "BTCUSDT_trades.csv.gz", "BTCUSDT_aggTrades.csv.gz"])
@pytest.mark.parametrize("step_ms", [100, 15_000])
def test_the_tape_of_an_untouched_replay_is_the_file(tmp_path: Path, name: str, step_ms: int) -> None:
    rows = make_rows(8)
    (write_aggregates if "agg" in name else write_trades)(tmp_path / name, rows)
    start = T0 + 2 * MINUTE_MS
    exchange, heard = opened(tmp_path, start)
    listing = exchange.listing("BTCUSDT")
    run(exchange, T0 + 8 * MINUTE_MS, step_ms)
    assert as_rows(listing, heard.trades) == expected(rows, start)
    assert listing.status is SymbolStatus.BREAK


def test_candles_come_out_of_the_trades_before_and_after_the_start(tmp_path: Path) -> None:
    rows = make_rows(8)
    write_trades(tmp_path / "BTCUSDT_trades.csv", rows, header=True)
    exchange, _ = opened(tmp_path, T0 + 4 * MINUTE_MS)
    listing = exchange.listing("BTCUSDT")
    run(exchange, T0 + 8 * MINUTE_MS)
    bars = listing.klines.closed["1m"]
    assert [bar.open_ms for bar in bars] == [T0 + minute * MINUTE_MS for minute in range(8)]
    close = 0
    for bar in bars:
        inside = [row for row in expected(rows, 0) if bar.open_ms <= row[0] < bar.open_ms + MINUTE_MS]
        tick, step = listing.instrument.tick, listing.instrument.step
        if not inside:
            assert (bar.open, bar.close, bar.volume, bar.trades) == (close, close, 0, 0)
            continue
        prices = [price // tick for _, price, _, _ in inside]
        close = prices[-1]
        assert bar[1:5] == (prices[0], max(prices), min(prices), close)
        assert bar.volume == sum(quantity for _, _, quantity, _ in inside) // step
        assert bar.quote == sum(price * quantity // 10**8 for _, price, quantity, _ in inside)
        assert bar.trades == len(inside)
        assert bar.taker_volume == sum(quantity for _, _, quantity, is_buy in inside if is_buy) // step


def test_microseconds_and_milliseconds_are_the_same_trades(tmp_path: Path) -> None:
    rows = make_rows(3)
    milli = read_trades(write_trades(tmp_path / "BTCUSDT_trades.csv", rows))
    (tmp_path / "micro").mkdir()
    micro = read_trades(write_trades(tmp_path / "micro" / "BTCUSDT_trades.csv", rows, micro=True))
    assert list(milli.after(0)) == list(micro.after(0))
    assert milli.bars == micro.bars


def test_reading_can_start_at_any_time_in_a_long_file(tmp_path: Path) -> None:
    rows = make_rows(30, each=500)
    file = read_trades(write_trades(tmp_path / "BTCUSDT_trades.csv.gz", rows, header=True))
    assert len(file.index) >= 2
    every = list(file.after(0))
    assert len(every) == len(rows)
    for time_ms in (rows[0][0] - 1, rows[0][0], rows[-1][0] - 5, rows[len(rows) // 2][0], file.index[1][0]):
        assert list(file.after(time_ms)) == [trade for trade in every if trade.time_ms > time_ms]


def test_a_long_file_is_never_held_as_objects(tmp_path: Path) -> None:
    path = write_trades(tmp_path / "BTCUSDT_trades.csv", make_rows(60, each=250))
    tracemalloc.start()
    file = read_trades(path)
    count = sum(1 for _ in file.after(0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count > 20_000
    # A recorded trade is a tuple of about 150 bytes with its numbers; all of them would be 3 MB.
    assert peak < 500_000


def limit_order(exchange: Exchange, side: str, price: str, quantity: str) -> int:
    account, _ = create_account(exchange, {"balances": {"USDT": "10000000", "BTC": "100"}})
    request = NewOrder(
        symbol="BTCUSDT",
        side=side,
        type="LIMIT",
        time_in_force="GTC",
        price=round(float(price) * 100) * 10**6,
        quantity=round(float(quantity) * 10**5) * 1_000,
        quote_quantity=0,
        client_order_id=f"{side}-{price}",
        response_type="FULL",
    )
    order, _ = exchange.spot.place(account, request)
    return order.order_id


STILL: list[Row] = [
    (T0 + 1_000, "100.00", "1.00000", True),
    (T0 + 61_000, "100.00", "1.00000", True),
    (T0 + 122_000, "99.50", "2.00000", False),
    (T0 + 123_000, "99.50", "0.50000", True),
    (T0 + 200_000, "99.00", "1.00000", False),
]


def test_a_users_better_bid_trades_first_at_its_own_price(tmp_path: Path) -> None:
    write_trades(tmp_path / "BTCUSDT_trades.csv", STILL)
    exchange, heard = opened(tmp_path, T0 + 2 * MINUTE_MS)
    listing = exchange.listing("BTCUSDT")
    order = exchange.spot.by_id[limit_order(exchange, "BUY", "99.80", "0.30000")]
    run(exchange, T0 + 122_500)
    assert order.executed * listing.instrument.step == 30_000_000
    assert order.executed_quote == 2_994_000_000  # 0.3 at 99.80, in 1e-8 units
    tape = as_rows(listing, heard.trades)
    assert [row[1:] for row in tape] == [
        (9_980_000_000, 30_000_000, False),
        (9_950_000_000, 200_000_000, False),
    ]
    # Users' trades do not bend the recorded candle.
    bar = listing.klines.minute
    assert bar is not None
    assert bar.high * listing.instrument.tick == 9_950_000_000


def test_a_users_bid_at_the_traded_price_shares_the_recorded_size(tmp_path: Path) -> None:
    write_trades(tmp_path / "BTCUSDT_trades.csv", STILL)
    exchange, heard = opened(tmp_path, T0 + 2 * MINUTE_MS)
    listing = exchange.listing("BTCUSDT")
    order = exchange.spot.by_id[limit_order(exchange, "BUY", "99.50", "0.30000")]
    run(exchange, T0 + 122_500)
    tape = as_rows(listing, heard.trades)
    assert sum(quantity for _, _, quantity, _ in tape) == 200_000_000
    assert {price for _, price, _, _ in tape} == {9_950_000_000}
    assert order.executed * listing.instrument.step <= 30_000_000


def test_a_users_ask_above_the_market_is_left_alone(tmp_path: Path) -> None:
    write_trades(tmp_path / "BTCUSDT_trades.csv", STILL)
    exchange, _ = opened(tmp_path, T0 + 2 * MINUTE_MS)
    order = exchange.spot.by_id[limit_order(exchange, "SELL", "100.50", "0.30000")]
    run(exchange, T0 + 4 * MINUTE_MS)
    assert order.executed == 0


def test_the_touch_stands_where_the_last_trade_shows_it(tmp_path: Path) -> None:
    write_trades(tmp_path / "BTCUSDT_trades.csv", STILL)
    exchange, _ = opened(tmp_path, T0 + 2 * MINUTE_MS)
    book = exchange.listing("BTCUSDT").book
    assert book.asks.best() == 10_000
    run(exchange, T0 + 122_500)
    assert book.bids.best() == 9_950
    assert book.asks.best() == 9_951
    run(exchange, T0 + 123_500)
    assert book.asks.best() == 9_950
    assert book.bids.best() == 9_949


def test_trades_during_a_halt_do_not_happen(tmp_path: Path) -> None:
    rows = make_rows(8)
    write_trades(tmp_path / "BTCUSDT_trades.csv", rows)
    exchange, heard = opened(tmp_path, T0 + 4 * MINUTE_MS)
    listing = exchange.listing("BTCUSDT")
    exchange.set_status(listing, SymbolStatus.HALT)
    run(exchange, T0 + 6 * MINUTE_MS + 30_000)
    assert not heard.trades
    exchange.set_status(listing, SymbolStatus.TRADING)
    run(exchange, T0 + 8 * MINUTE_MS)
    assert as_rows(listing, heard.trades) == expected(rows, T0 + 6 * MINUTE_MS + 30_000)


def test_a_restart_continues_with_the_next_trade(tmp_path: Path) -> None:
    rows = make_rows(8)
    (tmp_path / "files").mkdir()
    write_trades(tmp_path / "files" / "BTCUSDT_trades.csv.gz", rows)
    middle = T0 + 5 * MINUTE_MS + 17_000
    first, before = opened(tmp_path / "files", T0 + 4 * MINUTE_MS, tmp_path / "state")
    run(first, middle)
    first.journal_clock()
    first.journal.close()
    again, after = opened(tmp_path / "files", T0 + 4 * MINUTE_MS, tmp_path / "state")
    run(again, T0 + 8 * MINUTE_MS)
    listing = again.listing("BTCUSDT")
    assert as_rows(listing, [*before.trades, *after.trades]) == expected(rows, T0 + 4 * MINUTE_MS)
    again.journal.close()


def test_trades_go_before_candles_of_the_same_symbol(tmp_path: Path) -> None:
    trades = write_trades(tmp_path / "BTCUSDT_trades.csv", make_rows(3))
    write_aggregates(tmp_path / "BTCUSDT_aggTrades.csv", make_rows(3))
    (tmp_path / "BTCUSDT_1m.csv").write_text("2024-01-01 00:00:00,1,2,0.5,1.5,10\n")
    hours = tmp_path / "ETHUSDT_1h.csv"
    hours.write_text("2024-01-01 00:00:00,1,2,0.5,1.5,10\n")
    assert find_files(tmp_path, None) == {"BTCUSDT": trades, "ETHUSDT": hours}


def test_an_unknown_symbol_gets_the_precision_of_its_file(tmp_path: Path) -> None:
    lines = [f"{n},0.0012{n},{n}5,0,{T0 + n * MINUTE_MS},true,true\n" for n in range(1, 4)]
    file = read_candles(write(tmp_path / "NEWUSDT_trades.csv", lines))
    assert (file.instrument.tick, file.instrument.step) == (1_000, 10**8)
    assert [candle.close for candle in file.candles] == [121_000, 122_000, 123_000]


GOOD = "1,100.00,1.00000,100,1700000040000,true,true\n"


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([GOOD], "at least two minutes"),
        ([GOOD, "2,100.00,1.0\n"], "line 2: not a trade"),
        ([GOOD, "2,100.00,-1,1,1700000100000,true,true\n"], "line 2: not a trade"),
        ([GOOD, "2,100.00,0,1,1700000100000,true,true\n"], "line 2: not a trade"),
        ([GOOD, "2,100.00,1,1,1700000100000,perhaps,true\n"], "line 2: not a trade"),
        ([GOOD, "2,100.00,1,1,1700000039999,true,true\n"], "trade 2 goes back"),
        ([GOOD, "2,100.0000001,0.00001,1,1700000100000,true,true\n"], "finer than 0.00000001"),
    ],
)
def test_a_damaged_trade_file_is_refused_with_its_place(
    tmp_path: Path, lines: list[str], complaint: str
) -> None:
    with pytest.raises(BadTradeFile, match=complaint):
        read_candles(write(tmp_path / "BTCUSDT_trades.csv", lines))


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadCandleFile, match=r"SYMBOL_trades\.csv"):
        find_files(tmp_path, None)
