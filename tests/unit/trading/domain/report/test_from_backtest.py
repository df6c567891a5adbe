"""A backtest's record read back: the figures of the page are those of the ledger."""

import numpy as np
import pytest

from tests.fakes.instruments import spot
from trading.domain.backtest import Assignment, BarSeries, Inputs, Settings, run
from trading.domain.report import Regimes
from trading.domain.report.from_backtest import run_from_backtest
from trading.domain.strategies import load_strategy
from trading.domain.values import UNITS

MINUTE = 60 * 10**9
N = 600


@pytest.fixture(scope="module")
def result():
    rng = np.random.default_rng(5)
    close = np.rint(1e6 * np.exp(np.cumsum(rng.normal(0, 0.004, N)))).astype(np.int64)
    opened = np.concatenate((close[:1], close[:-1]))
    open_ns = np.arange(N, dtype=np.int64) * MINUTE
    volume = rng.lognormal(2, 0.5, N)
    series = BarSeries(
        spot(),
        "1m",
        open_ns,
        open_ns + MINUTE - 10**6,
        opened,
        np.maximum(opened, close) + 7,
        np.minimum(opened, close) - 7,
        close,
        volume,
        volume * close / 100,
        np.ones(N, dtype=np.int64),
        volume / 2,
    )
    strategy = load_strategy("moving_average")
    return run(
        Inputs([series], [Assignment("BTCUSDT", strategy(), strategy.Params(fast=3, slow=9))], Settings())
    )


def test_the_summary_is_of_the_ledger(result):
    found = run_from_backtest(result, "run")
    assert found.summary.final_equity == pytest.approx(float(result.final_equity))
    assert found.summary.fees == pytest.approx(result.fees / UNITS)
    assert found.summary.trades.trades == len(result.trips) > 10
    assert found.trips.net.sum() == pytest.approx(result.trips[:, 11].sum() / UNITS)
    assert found.digest == result.sha256


def test_every_fill_is_an_execution_and_the_costs_are_the_fees(result):
    found = run_from_backtest(result, "run")
    assert len(found.executions) == len(result.ledger.fills)
    assert sum(fill.fee for fill in found.executions) == pytest.approx(result.fees / UNITS)
    assert found.costs.sum() == pytest.approx((result.fees + result.slippage) / UNITS)
    held = sum(fill.quantity for fill in found.executions)
    assert held == pytest.approx(int(result.positions()[-1]) * 1e-5)


def test_facts_candles_and_assumptions_are_those_of_the_run(result):
    states = np.zeros(len(result.times_ns), dtype=np.int64)
    found = run_from_backtest(
        result, "run", facts=[("Strategy", "moving_average")], regimes=Regimes(states, {0: "calm"})
    )
    assert found.facts[0] == ("Strategy", "moving_average")
    assert dict(found.facts)["Bars"] == "BTCUSDT 1m: 600"
    assert found.candles[0].close[-1] == pytest.approx(result.series[0].close[-1] / 100)
    assert found.assumptions["strategies.0.params.fast"] == "3"
    assert found.assumptions["settings.fill"] == "next_open"
