"""The summary of a run: hand-made curves with known answers, and nothing that JSON cannot hold."""

import json
import math

import numpy as np
import pytest

from trading.domain.statistics import (
    DAY_NS,
    RoundTrips,
    Trials,
    by_month,
    by_regime,
    cost_stress,
    equity_curve,
    summary,
)
from trading.domain.statistics.costs import break_even_cost_bps

HOUR = DAY_NS // 24
JAN_30_2026 = 20_483 * DAY_NS


def test_a_year_of_days_that_doubles_has_a_growth_rate_of_one():
    times = np.arange(366) * DAY_NS
    found = summary(times, 100.0 * 2.0 ** (np.arange(366) / 365))
    assert found.total_return == pytest.approx(1.0)
    assert found.cagr.value == pytest.approx(1.0)
    assert found.sharpe.value is None, "constant growth has no spread to divide by"
    assert found.max_drawdown == 0.0


def test_hourly_returns_are_annualised_with_8760_hours():
    rng = np.random.default_rng(1)
    returns = rng.normal(0.0002, 0.01, 100)
    equity = 1000.0 * np.concatenate(([1.0], np.cumprod(1.0 + returns)))
    found = summary(np.arange(101) * HOUR, equity)
    assert found.sharpe.value == pytest.approx(returns.mean() / returns.std(ddof=1) * math.sqrt(8760))
    assert found.volatility.value == pytest.approx(returns.std(ddof=1) * math.sqrt(8760))
    assert found.basis == "bar"
    assert found.observations == 100


def test_from_thirty_full_days_on_significance_is_judged_on_days():
    rng = np.random.default_rng(2)
    equity = 1000.0 * np.cumprod(1.0 + rng.normal(0.0, 0.005, 24 * 40 + 1))
    found = summary(np.arange(len(equity)) * HOUR, equity)
    daily = equity[::24][1:] / equity[::24][:-1] - 1.0
    assert (found.basis, found.observations) == ("day", 40)
    assert found.sharpe_daily.value == pytest.approx(daily.mean() / daily.std(ddof=1) * math.sqrt(365))
    assert found.best_day.value == pytest.approx(daily.max())


def test_a_curve_of_one_point_is_answered_with_reasons():
    found = summary([0], [100.0]).as_json()
    assert found["total_return"] == 0.0
    assert found["sharpe"] is None
    assert found["undefined"]["sharpe"] == "needs at least two observations"
    assert found["undefined"]["trades.win_rate"] == "there are no trades"
    json.dumps(found, allow_nan=False)


def test_a_ruined_account_has_no_growth_rate_but_a_loss_beyond_everything():
    found = summary(np.arange(4) * DAY_NS, [100.0, 50.0, 10.0, -20.0])
    assert found.total_return == pytest.approx(-1.2)
    assert found.max_drawdown == pytest.approx(1.2)
    assert found.cagr.reason == "the account was lost"
    json.dumps(found.as_json(), allow_nan=False)


def test_the_deflated_ratio_needs_the_trials():
    rng = np.random.default_rng(4)
    equity = np.cumprod(1.0 + rng.normal(0.002, 0.01, 400))
    times = np.arange(400) * DAY_NS
    alone = summary(times, equity)
    assert alone.dsr.reason == "the number of trials is not known"
    many = summary(times, equity, trials=Trials(count=50.0, sharpe_variance=0.5))
    assert many.dsr.value < many.psr.value == alone.psr.value


def test_costs_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="finite costs"):
        summary([0, 1], [1.0, 1.0], fees=float("nan"))


def test_activity_is_measured_against_equity():
    found = summary(
        np.arange(4) * HOUR,
        [100.0, 100.0, 100.0, 100.0],
        exposure=[0.0, 50.0, -200.0, 0.0],
        traded_notional=400.0,
    )
    assert found.activity.time_in_market.value == 0.5
    assert found.activity.mean_leverage.value == pytest.approx(0.625)
    assert found.activity.max_leverage.value == 2.0
    assert found.activity.turnover.value == 4.0
    assert found.activity.annual_turnover.value == pytest.approx(4.0 * 8760 / 3)


def test_the_cost_that_eats_the_profit():
    assert break_even_cost_bps(50.0, 100_000.0).value == 5.0
    assert break_even_cost_bps(50.0, 0.0).value is None
    found = summary([0, HOUR], [1000.0, 1030.0], traded_notional=10_000.0, fees=15.0, slippage=5.0)
    assert found.break_even_cost_bps.value == pytest.approx(50.0)


def test_months_compound_to_the_total_and_midnight_belongs_to_the_day_it_ends():
    # Ends of 30 and 31 January and of 1 February.
    times = JAN_30_2026 + np.arange(4) * DAY_NS
    trips = RoundTrips(times[:2], times[1:3], np.array([5.0, 7.0]), np.array([100.0, 100.0]))
    rows = by_month(equity_curve(times, [100.0, 110.0, 121.0, 108.9]), trips)
    assert [row.month for row in rows] == ["2026-01", "2026-02"]
    assert [row.total_return for row in rows] == pytest.approx([0.21, -0.1])
    assert rows[1].max_drawdown == pytest.approx(0.1)
    assert [(row.trades, row.net) for row in rows] == [(2, 12.0), (0, 0.0)]


def test_a_return_belongs_to_the_regime_known_when_it_began():
    curve = equity_curve(np.arange(5) * DAY_NS, [100.0, 110.0, 99.0, 108.9, 108.9])
    trips = RoundTrips(np.array([DAY_NS]), np.array([3 * DAY_NS]), np.array([-1.1]), np.array([110.0]))
    rows = by_regime(curve, np.array([0, 1, 0, 1, 1]), {0: "calm", 1: "turbulent"}, trips)
    assert [(row.name, row.share, row.trades) for row in rows] == [("calm", 0.5, 0), ("turbulent", 0.5, 1)]
    assert rows[0].total_return == pytest.approx(1.1 * 1.1 - 1)
    assert rows[1].total_return == pytest.approx(-0.1)
    assert rows[1].net == -1.1


def test_regimes_of_another_length_are_refused():
    with pytest.raises(ValueError, match="expected 2 regimes"):
        by_regime(equity_curve([0, 1], [1.0, 1.0]), np.array([0]))


def test_costs_taken_away_and_doubled_change_the_return_by_themselves():
    # Net +1 % and -1 % with costs of 1 each: gross +2 % and about 0 %.
    equity = np.array([100.0, 101.0, 99.99])
    rows = cost_stress(equity, np.array([0.0, 1.0, 1.0]), DAY_NS, (0.0, 1.0, 2.0))
    gross_second = -1.01 / 101 + 1 / 101
    assert rows[0].total_return == pytest.approx(1.02 * (1 + gross_second) - 1)
    assert rows[1].total_return == pytest.approx(99.99 / 100 - 1)
    assert rows[2].total_return == pytest.approx(1.00 * (1 - 2.01 / 101) - 1)
    assert rows[2].max_drawdown == pytest.approx(2.01 / 101)
