"""Equity curves: what is refused, and how days are cut."""

import numpy as np
import pytest

from trading.domain.statistics import DAY_NS, daily_curve, equity_curve, periods_per_year, simple_returns

HOUR = DAY_NS // 24


def hours(start_hour, values):
    return equity_curve(np.arange(start_hour, start_hour + len(values)) * HOUR, values)


def test_returns_are_ratios_of_neighbours():
    assert simple_returns(np.array([100.0, 110.0, 99.0])) == pytest.approx([0.1, -0.1])


@pytest.mark.parametrize(
    ("times", "values", "complaint"),
    [
        ([0, 1], [100.0], "as many times"),
        ([], [], "at least one point"),
        ([0, 0], [100.0, 101.0], "ascending"),
        ([0, 1], [100.0, float("nan")], "finite equity, was nan at position 1"),
        ([0, 1], [0.0, 1.0], "was 0.0 at position 0"),
        ([0], [-5.0], "positive equity at the start"),
        ([0, 1, 2], [100.0, -1.0, 50.0], "was -1.0 at position 1 and went on"),
        ([0.5, 1.5], [1.0, 1.0], "whole nanoseconds"),
    ],
)
def test_a_bad_curve_is_refused_with_the_place(times, values, complaint):
    with pytest.raises(ValueError, match=complaint):
        equity_curve(np.array(times) if times else np.zeros(0, dtype=np.int64), values)


def test_a_curve_may_end_in_ruin():
    assert equity_curve([0, 1], [100.0, -3.0]).equity[-1] == -3.0


def test_a_year_of_hours_has_8760():
    assert periods_per_year(HOUR) == 8760


def test_days_are_cut_at_utc_midnight_and_partial_days_left_out():
    # From 22:00 to 02:00 two days later: midnights at hours 24 and 48; equity is the hour's number.
    curve = hours(22, np.arange(22.0, 51.0))
    days = daily_curve(curve)
    assert days.times_ns.tolist() == [DAY_NS, 2 * DAY_NS]
    assert days.equity.tolist() == [24.0, 48.0]


def test_a_day_without_bars_repeats_the_last_value():
    curve = equity_curve([0, DAY_NS, 3 * DAY_NS], [100.0, 110.0, 121.0])
    assert daily_curve(curve).equity.tolist() == [100.0, 110.0, 110.0, 121.0]


def test_within_one_day_there_is_no_daily_return():
    assert len(daily_curve(hours(1, [1.0, 2.0, 3.0])).equity) == 1


def test_the_bar_length_is_the_median_step_whatever_the_gaps():
    curve = equity_curve([0, HOUR, 2 * HOUR, 9 * HOUR], [1.0, 1.0, 1.0, 1.0])
    assert curve.step_ns == HOUR
    assert equity_curve([5], [1.0]).step_ns == 0
