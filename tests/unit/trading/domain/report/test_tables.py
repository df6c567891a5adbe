"""The tables of a report against the statistics they show."""

import numpy as np
import pytest

from tests.unit.trading.domain.report.runs import HOUR, START, some_run
from trading.domain.report import Cell, Table
from trading.domain.report.lines import LINES
from trading.domain.report.tables import (
    comparison_table,
    cost_table,
    drawdown_table,
    headlines,
    month_table,
    regime_table,
    statistics_table,
    trade_table,
)
from trading.domain.report.text import percent
from trading.domain.statistics import RoundTrips, equity_curve, max_drawdown, summary


def test_statistics_has_a_row_per_line_and_a_column_per_run():
    runs = [some_run("one"), some_run("two", seed=2)]
    table = statistics_table(runs)
    assert list(table.columns) == ["", "one", "two"]
    assert len(table.rows) == len(LINES)
    row = next(row for row in table.rows if row[0].text == "Largest drawdown")
    assert [cell.text for cell in row[1:]] == [percent(run.summary.max_drawdown) for run in runs]


def test_what_is_undefined_says_why():
    table = statistics_table([some_run()])
    row = next(row for row in table.rows if row[0].text == "P(Sharpe > luck)")
    assert row[1].text == "–"
    assert row[1].remark == "the number of trials is not known"


def test_the_headlines_are_a_few_of_the_statistics():
    assert headlines(some_run())[0][0] == "Total return"
    assert len(headlines(some_run())) == 7


def test_months_stand_in_their_years_and_the_year_compounds_them():
    table = month_table(some_run())
    assert [row[0].text for row in table.rows] == ["2025", "2026"]
    december = table.rows[0][12]
    assert december.order is not None
    assert table.rows[0][13].order == pytest.approx(december.order)
    assert table.rows[1][12].text == ""
    assert max(abs(cell.heat) for row in table.rows for cell in row if cell.heat is not None) == 1.0


def test_regimes_and_costs_are_left_out_where_they_are_not_known():
    assert regime_table(some_run(regimes=None)) is None
    assert cost_table(some_run(costs=None)) is None
    assert [row[0].text for row in regime_table(some_run()).rows] == ["calm", "turbulent"]
    factors = [row[0].text for row in cost_table(some_run()).rows]
    assert factors == ["0 × costs", "0.5 × costs", "1 × costs", "2 × costs", "3 × costs"]


def test_the_deepest_drawdown_comes_first():
    run = some_run()
    table = drawdown_table(run, most=3)
    assert len(table.rows) == 3
    assert table.rows[0][0].order == pytest.approx(max_drawdown(run.curve.equity))


def test_trades_are_listed_with_their_result_and_long_lists_are_cut_with_a_word():
    table = trade_table(some_run())
    assert table.rows[0][1].text == "BTCUSDT"
    assert table.rows[0][2].text == "long"
    assert table.rows[0][5].text == "5.0 h"
    n = 5_003
    times = START + np.arange(n + 1) * HOUR
    trips = RoundTrips(times[:-1], times[1:], np.ones(n), np.full(n, 10.0))
    long = trade_table(some_run(trips=trips, trip_symbols=(), trip_sides=()))
    assert len(long.rows) == 5_000
    assert "3 more" in long.note


def test_a_comparison_is_of_common_days():
    first = some_run("one")
    double = equity_curve(first.curve.times_ns, first.curve.equity**2 / 1000)
    second = some_run("two", curve=double, summary=summary(double.times_ns, double.equity))
    table = comparison_table([first, second])
    assert table.rows[0][0].text == "two"
    assert table.rows[0][2].order == pytest.approx(1.0, abs=0.01)
    assert comparison_table([first]) is None
    elsewhere = equity_curve(first.curve.times_ns + 10**18, first.curve.equity)
    apart = some_run("apart", curve=elsewhere)
    assert comparison_table([first, apart]).rows[0][1].remark == "fewer than three common days"


def test_rows_of_another_width_are_refused():
    with pytest.raises(ValueError, match="more or fewer cells"):
        Table("key", "Title", ["a", "b"], [[Cell("1")]])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": ""}, "needs a name"),
        ({"costs": np.zeros(3)}, "costs, were 3"),
        ({"trip_sides": [1]}, "symbol and side"),
    ],
)
def test_a_run_that_does_not_fit_together_is_refused(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        some_run(**change)
