"""Drawdowns by hand."""

import numpy as np
import pytest

from trading.domain.statistics import (
    Episode,
    Figure,
    calmar_ratio,
    drawdown_episodes,
    drawdowns,
    equity_curve,
    longest_under_water_ns,
    max_drawdown,
    ulcer_index,
    without_flows,
)

EQUITY = np.array([100.0, 110.0, 99.0, 104.5, 110.0, 121.0, 96.8, 108.9])


def test_a_drawdown_is_measured_from_the_running_peak():
    expected = [0.0, 0.0, 0.1, 0.05, 0.0, 0.0, 0.2, 0.1]
    assert drawdowns(EQUITY) == pytest.approx(expected)
    assert max_drawdown(EQUITY) == pytest.approx(0.2)
    assert ulcer_index(EQUITY) == pytest.approx(((0.01 + 0.0025 + 0.04 + 0.01) / 8) ** 0.5)


def test_episodes_are_listed_deepest_first_and_the_last_may_still_run():
    curve = equity_curve(np.arange(8) * 10, EQUITY)
    found = drawdown_episodes(curve)
    assert [(e.peak_ns, e.trough_ns, e.recovered_ns) for e in found] == [(50, 60, None), (10, 20, 40)]
    assert [e.depth for e in found] == pytest.approx([0.2, 0.1])
    assert drawdown_episodes(curve, most=1) == found[:1]
    assert longest_under_water_ns(curve) == 30
    assert found[0].duration_ns(70) == 20


def test_a_curve_that_only_rises_has_no_episode():
    curve = equity_curve(np.arange(4), [1.0, 1.0, 2.0, 3.0])
    assert drawdown_episodes(curve) == []
    assert longest_under_water_ns(curve) == 0
    assert calmar_ratio(Figure(0.5), 0.0).value is None


def test_equal_depths_are_listed_in_the_order_of_time():
    curve = equity_curve(np.arange(5), [100.0, 90.0, 100.0, 90.0, 100.0])
    assert drawdown_episodes(curve) == [
        Episode(0, 1, 2, pytest.approx(0.1)),
        Episode(2, 3, 4, pytest.approx(0.1)),
    ]


def test_calmar_divides_growth_by_the_deepest_fall():
    assert calmar_ratio(Figure(0.3), 0.2).value == pytest.approx(1.5)


def test_deposits_and_withdrawals_are_no_performance():
    # +10 %, then 50 paid in, then -10 % of 160, then 44 taken out: returns 10 %, 0 %, -10 %, 0 %
    equity = np.array([100.0, 110.0, 160.0, 144.0, 100.0])
    flows = np.array([0.0, 0.0, 50.0, 0.0, -44.0])
    assert without_flows(equity, flows) == pytest.approx([100.0, 110.0, 110.0, 99.0, 99.0])


def test_a_withdrawal_is_no_drawdown():
    equity, flows = np.array([100.0, 50.0]), np.array([0.0, -50.0])
    assert max_drawdown(equity) == 0.5
    assert max_drawdown(without_flows(equity, flows)) == 0.0


def test_drawdown_of_nothing_positive_is_refused():
    with pytest.raises(ValueError, match="positive equity at the start"):
        drawdowns(np.array([0.0, 1.0]))
