import numpy as np
import pytest

from tests.unit.trading.domain.backtest.bars import bars, flat_bars, script
from trading.domain.backtest import Inputs, Settings, run
from trading.domain.backtest.arithmetic import PARTS
from trading.domain.backtest.impact import trailing_day
from trading.domain.backtest.ledger import TRIP_COLUMNS, round_trips
from trading.domain.backtest.series import BarSeries

QUOTE = 10**8


def fill(time, steps, price, fee=0):
    """A fill of `steps` at `price` quote each; the other columns say nothing here."""
    return [time, time, 0, time, steps, price * 100, abs(steps) * price * QUOTE, fee * QUOTE, 0, 0]


def trips(fills, funding=()):
    table = round_trips(
        np.array(fills, dtype=np.int64).reshape(-1, 10), np.array(funding, dtype=np.int64).reshape(-1, 6), 0
    )
    return [dict(zip(TRIP_COLUMNS, row, strict=True)) for row in table.tolist()]


def test_a_round_trip_runs_from_flat_to_flat_and_carries_all_its_fees():
    (trip,) = trips([fill(1, 2, 100, 1), fill(2, 1, 106, 1), fill(3, -3, 110, 2)])
    assert (trip["side"], trip["entry_ns"], trip["exit_ns"], trip["steps"]) == (1, 1, 3, 3)
    assert (trip["entry_quote"], trip["exit_quote"]) == (306 * QUOTE, 330 * QUOTE)
    assert (trip["fees"], trip["net"]) == (4 * QUOTE, 20 * QUOTE)


def test_a_fill_that_flips_ends_one_trip_and_begins_the_next_with_its_share_of_the_fee():
    first, second = trips([fill(1, 1, 100), fill(2, -4, 110, 4), fill(3, 3, 100)])
    assert (first["side"], first["net"], first["fees"]) == (1, 9 * QUOTE, QUOTE)
    assert (second["side"], second["entry_ns"], second["net"], second["fees"]) == (
        -1,
        2,
        27 * QUOTE,
        3 * QUOTE,
    )


def test_funding_belongs_to_the_trip_that_was_open_when_it_was_paid():
    paid = [[2, 0, 0, 0, 0, 5 * QUOTE], [3, 0, 0, 0, 0, 1 * QUOTE], [4, 0, 0, 0, 0, 2 * QUOTE]]
    first, second = trips([fill(1, 1, 100), fill(3, -2, 100), fill(5, 1, 100)], paid)
    assert (first["funding"], second["funding"]) == (6 * QUOTE, 2 * QUOTE)
    assert (first["net"], second["net"]) == (-6 * QUOTE, -2 * QUOTE)


def test_an_open_position_is_not_yet_a_round_trip():
    assert trips([fill(1, 1, 100)]) == []


def test_the_digest_of_equity_is_that_of_pairs_of_little_endian_integers():
    import hashlib
    import struct

    result = run(Inputs([flat_bars([100, 101])], [script({})], Settings()))
    times = [int(result.series[0].open_ns[0]), *result.series[0].close_ns.tolist()]
    pairs = b"".join(struct.pack("<qq", time, 100_000 * QUOTE) for time in times)
    assert result.equity_sha256 == hashlib.sha256(pairs).hexdigest()


def test_the_header_names_what_a_run_was_made_of():
    header = run(Inputs([flat_bars([100, 101])], [script({})], Settings())).header
    assert header["series"][0]["symbol"] == "BTCUSDT"
    assert header["strategies"] == [
        {"symbol": "BTCUSDT", "strategy": "script", "params": {"unused": 0}, "share": PARTS}
    ]
    assert header["settings"]["fill"] == "next_open"


def test_the_day_before_a_bar_does_not_contain_the_bar():
    series = bars([(100, 110, 90, p) for p in (100, 101, 99, 102)])
    volume = np.array([1.0, 2.0, 3.0, 4.0])
    columns = {
        name: getattr(series, name) for name in ("open_ns", "close_ns", "open", "high", "low", "close")
    }
    series = BarSeries(
        series.instrument, "1m", **columns, volume=volume, quote_volume=volume,
        trades=series.trades, taker_base=series.taker_base,
    )  # fmt: skip
    daily, sigma = trailing_day(series, 1.0)
    # Fewer than 1,440 minutes are known: their mean stands for the day. Steps are 0.00001.
    assert daily == pytest.approx([0.0, 1e5 * 1440, 1.5e5 * 1440, 2e5 * 1440])
    returns = np.log([101 / 100, 99 / 101])
    assert sigma[:3] == pytest.approx([0.0, 0.0, 0.0])
    assert sigma[3] == pytest.approx(returns.std(ddof=1) * 1440**0.5)


def test_the_day_before_a_bar_is_exactly_a_day_once_there_is_one():
    count = 1_500
    series = bars([(100, 100, 100, 100)] * count)
    columns = {
        name: getattr(series, name) for name in ("open_ns", "close_ns", "open", "high", "low", "close")
    }
    volume = np.zeros(count)
    volume[10] = 1.0
    series = BarSeries(
        series.instrument, "1m", **columns, volume=volume, quote_volume=volume,
        trades=series.trades, taker_base=series.taker_base,
    )  # fmt: skip
    daily, _ = trailing_day(series, 1.0)
    assert (daily[1_450], daily[1_451]) == pytest.approx((1e5, 0.0))  # bars 10 to 1449, then 11 to 1450


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"low": np.array([10_001, 10_000])}, "outside its low and high"),
        ({"close_ns": np.array([0, 0])}, "ascend"),
        ({"high": np.array([5_000_000_000, 10_000])}, "above 4000000000 ticks"),
        ({"volume": np.array([float("nan"), 1.0])}, "volumes"),
        ({"volume": np.array([1, 1])}, "float64"),
        ({"open": np.array([10_000])}, "expected 2 values"),
    ],
)
def test_impossible_bars_are_refused(change, text):
    series = flat_bars([100, 100])
    names = (
        "open_ns",
        "close_ns",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "quote_volume",
        "trades",
        "taker_base",
    )
    columns = {name: getattr(series, name) for name in names} | change
    with pytest.raises(ValueError, match=text):
        BarSeries(series.instrument, "1m", **columns)
