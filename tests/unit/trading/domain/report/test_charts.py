"""Chart data: thinned without losing extremes, aggregated without losing trades."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.trading.domain.report.runs import HOUR, START, some_run
from trading.domain.report import Candles, Execution, Regimes
from trading.domain.report.charts import chart_data
from trading.domain.report.thinning import MOST_CANDLES, group_size, merge_candles, thin_rows


@settings(max_examples=60)
@given(st.integers(1, 3000), st.integers(8, 400), st.integers(0, 2**31))
def test_thinning_keeps_both_ends_and_both_extremes(n, most, seed):
    values = np.random.default_rng(seed).normal(size=n)
    rows = thin_rows(values, most)
    assert rows[0] == 0
    assert rows[-1] == n - 1
    assert {int(np.argmin(values)), int(np.argmax(values))} <= set(rows.tolist())
    assert (np.diff(rows) > 0).all()
    assert len(rows) <= max(most, 4) + 4


def test_merged_candles_are_what_a_longer_bar_would_have_been():
    candles = Candles(
        "X",
        np.array([1, 2, 3, 4, 5]),
        open=np.array([10.0, 11.0, 12.0, 13.0, 14.0]),
        high=np.array([10.5, 15.0, 12.5, 13.5, 14.5]),
        low=np.array([9.0, 10.0, 8.0, 12.0, 13.0]),
        close=np.array([11.0, 12.0, 13.0, 14.0, 15.0]),
        volume=np.ones(5),
    )
    merged = merge_candles(candles, 2)
    assert merged.close_ns.tolist() == [2, 4, 5]
    assert merged.open.tolist() == [10.0, 12.0, 14.0]
    assert merged.high.tolist() == [15.0, 13.5, 14.5]
    assert merged.low.tolist() == [9.0, 8.0, 13.0]
    assert merged.close.tolist() == [12.0, 14.0, 15.0]
    assert merged.volume.tolist() == [2.0, 2.0, 1.0]
    assert merge_candles(candles, 1) is candles
    assert group_size(MOST_CANDLES) == 1
    assert group_size(MOST_CANDLES + 1) == 2


def test_the_data_is_json_with_ascending_seconds():
    data = chart_data(some_run())
    json.dumps(data, allow_nan=False)
    for line in (data["equity"], data["drawdown"], data["candles"][0]["rows"]):
        seconds = [point[0] for point in line]
        assert seconds == sorted(set(seconds))
    assert data["equity"][0] == [START // 10**9, 1000.0]
    assert min(point[1] for point in data["drawdown"]) < 0
    assert max(point[1] for point in data["drawdown"]) == 0


def test_fills_in_one_candle_are_summed_by_side_with_their_mean_price():
    fills = [
        Execution("BTCUSDT", START + HOUR, 1.0, 100.0, 0.1),
        Execution("BTCUSDT", START + HOUR - 5, 3.0, 104.0, 0.1),
        Execution("BTCUSDT", START + HOUR, -2.0, 103.0, 0.1),
        Execution("OTHER", START + HOUR, 9.0, 1.0, 0.1),
    ]
    data = chart_data(some_run(executions=fills))["candles"][0]
    second = (START + HOUR) // 10**9
    assert data["trades"] == [[second, False, 2.0, 103.0, 1], [second, True, 4.0, 103.0, 2]]


def test_bands_change_where_the_known_regime_changes():
    hours = 60
    states = np.array([-1, *[0] * 20, *[1] * (hours - 20)])
    data = chart_data(some_run(hours=hours, regimes=Regimes(states, {0: "calm", 1: "turbulent"})))
    bands = data["candles"][0]["bands"]
    assert [band[2] for band in bands] == [0, 1]
    assert bands[0][1] == bands[1][0] == (START + 21 * HOUR) // 10**9
    assert bands[-1][1] == (START + hours * HOUR) // 10**9


def test_the_histogram_counts_every_return():
    found = chart_data(some_run())["distribution"]
    assert found["basis"] == "daily returns"
    assert sum(found["counts"]) == 50
    assert sum(found["normal"]) == pytest.approx(50, rel=0.15), "the middle of the law"
    short = chart_data(some_run(hours=100))["distribution"]
    assert short["basis"] == "returns per bar"
    assert sum(short["counts"]) == 100


def test_a_flat_account_has_no_distribution():
    from trading.domain.statistics import equity_curve, summary

    times = START + np.arange(50) * HOUR
    flat = np.full(50, 100.0)
    run = some_run(
        hours=49, curve=equity_curve(times, flat), summary=summary(times, flat), regimes=None, costs=None
    )
    assert chart_data(run)["distribution"] is None
