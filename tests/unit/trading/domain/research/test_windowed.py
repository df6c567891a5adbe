"""A run on a part of the bars begins flat, in the state a live strategy would have, and not a bar early."""

from dataclasses import dataclass

import numpy as np
import pytest

from tests.unit.trading.domain.research.series import inputs_of, walk
from trading.domain.backtest import run
from trading.domain.research.curve_kernel import follow_equity
from trading.domain.research.evaluate import engine_for, evaluate, with_strategy
from trading.domain.research.outcomes import SCORES, alive, outcome_of, period_returns, period_rows
from trading.domain.research.windowed import run_window
from trading.domain.statistics import DAY_NS
from trading.domain.strategies import Desired, Strategy, load_strategy, parameter
from trading.domain.values import UNITS

AVERAGE = load_strategy("moving_average")
PARAMS = AVERAGE.Params(fast=3, slow=9)
SERIES = walk(500)
INPUTS = inputs_of(SERIES, AVERAGE(), PARAMS)


@dataclass(frozen=True)
class HastyParams:
    memory: int = parameter(5, ge=1)


class Hasty(Strategy):
    """Wants to be in the market from its very first bar, although it claims to need five."""

    name = "hasty"
    Params = HastyParams

    def warmup(self, params):
        return params.memory

    def initial(self, params):
        return 0

    def step(self, params, state, observation):
        return state + 1, Desired(1.0) if state == 0 else None


def test_the_first_fill_of_a_window_is_at_its_first_bar_or_later():
    for start in (50, 137, 300):
        _, result = run_window(INPUTS, start, 400, strategy=AVERAGE(), params=PARAMS, engine=run)
        first = int(result.ledger.column("fills", "time_ns")[0])
        assert first >= SERIES.open_ns[start]


def test_decisions_inside_a_window_are_those_of_the_whole_run():
    whole = run(INPUTS)
    _, part = run_window(INPUTS, 200, 500, strategy=AVERAGE(), params=PARAMS, engine=run)
    held = np.sign(whole.positions()[200:])
    assert np.sign(part.positions()[PARAMS.slow :]).tolist() == held.tolist()


def test_returns_of_a_window_are_those_of_its_equity_from_flat():
    returns, result = run_window(INPUTS, 200, 260, strategy=AVERAGE(), params=PARAMS, engine=run)
    assert returns.shape == (60,)
    assert np.prod(1 + returns) == pytest.approx(float(result.final_equity) / 100_000)


def test_a_window_at_the_very_start_has_a_return_per_bar():
    returns, _ = run_window(INPUTS, 0, 50, strategy=AVERAGE(), params=PARAMS, engine=run)
    assert returns.shape == (50,)


def test_a_strategy_that_speaks_before_its_warm_up_is_heard_from_the_window_on():
    inputs = inputs_of(SERIES, Hasty(), HastyParams())
    returns, result = run_window(inputs, 100, 200, strategy=Hasty(), params=HastyParams(), engine=run)
    fills = result.ledger.column("fills", "time_ns")
    assert len(fills) == 1
    assert fills[0] == SERIES.open_ns[100]
    # In the market for all hundred bars: entry at the first open, valued at the last close, less the fee.
    gross = SERIES.close[199] / SERIES.open[100] - 1
    assert np.prod(1 + returns) - 1 == pytest.approx(gross, abs=0.005)


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 5), (0, 501)])
def test_windows_outside_the_bars_are_refused(start, stop):
    with pytest.raises(ValueError, match="expected 0 <= start < stop"):
        run_window(INPUTS, start, stop, strategy=AVERAGE(), params=PARAMS, engine=run)


def test_an_outcome_is_of_its_run():
    rows = period_rows(run(INPUTS).times_ns)
    found = evaluate(INPUTS, AVERAGE(), [PARAMS, AVERAGE.Params(fast=5, slow=20)], rows, run)
    result = run(INPUTS)
    assert found[0].final_equity == pytest.approx(float(result.final_equity))
    assert found[0].trades == len(result.trips)
    assert found[0].fees == pytest.approx(result.fees / UNITS)
    assert np.prod(1 + found[0].periods) == pytest.approx(found[0].total_return + 1)
    assert found[1].final_equity != found[0].final_equity
    assert SCORES["max_drawdown"](found[0]) == -found[0].max_drawdown


def test_progress_is_told_after_each_configuration():
    done = []
    evaluate(INPUTS, AVERAGE(), [PARAMS] * 3, period_rows(run(INPUTS).times_ns), run, told=done.append)
    assert done == [1, 2, 3]


def test_the_engine_changes_no_outcome():
    many = engine_for(10**9)
    rows = period_rows(run(INPUTS).times_ns)
    swift = evaluate(INPUTS, AVERAGE(), [PARAMS], rows, many)[0]
    plain = evaluate(INPUTS, AVERAGE(), [PARAMS], rows, engine_for(1))[0]
    assert engine_for(1) is run
    assert swift.final_equity == plain.final_equity
    assert swift.periods.tolist() == plain.periods.tolist()


def test_the_strategy_of_inputs_is_replaced_and_the_rest_kept():
    other = with_strategy(INPUTS, AVERAGE(), AVERAGE.Params(fast=2, slow=4))
    assert other.series == INPUTS.series
    assert other.assignments[0].params.fast == 2


def test_runs_are_compared_between_midnights_or_at_even_steps():
    hours = np.arange(0, 40 * DAY_NS + 1, DAY_NS // 24)
    assert period_rows(hours).tolist() == list(range(0, 40 * 24 + 1, 24))
    short = np.arange(0, 10 * DAY_NS, DAY_NS // 1440)
    rows = period_rows(short)
    assert (rows[0], rows[-1], len(rows)) == (0, len(short) - 1, 721)
    assert period_rows(short[:5]).tolist() == [0, 1, 2, 3, 4]


def test_after_a_ruin_there_is_nothing_left_to_win():
    curve = alive(np.array([100.0, 40.0, -5.0, 60.0, 80.0]))
    assert curve.tolist() == [100.0, 40.0, 0.0, 0.0, 0.0]
    assert period_returns(curve, np.array([0, 1, 2, 4])).tolist() == [-0.6, -1.0, 0.0]
    result = run(INPUTS)
    assert outcome_of(result, np.array([0, len(result.times_ns) - 1])).periods.shape == (1,)


@pytest.mark.parametrize("seed", range(4))
def test_the_one_pass_over_the_fills_gives_the_figures_of_the_arrays(seed):
    result = run(inputs_of(walk(400, seed), AVERAGE(), PARAMS))
    rows = period_rows(result.times_ns)
    arrays, one_pass = outcome_of(result, rows), outcome_of(result, rows, follow=follow_equity)
    assert one_pass.final_equity == arrays.final_equity
    assert one_pass.max_drawdown == arrays.max_drawdown
    assert one_pass.periods.tolist() == arrays.periods.tolist()
    assert one_pass.sharpe.value == pytest.approx(arrays.sharpe.value, rel=1e-12)


def test_the_one_pass_stops_counting_at_a_ruin():
    # Ten bought at 100 with 100 in cash: cash -900, holdings 1000, 500, 900, 2000; ruined in the second bar.
    fills = np.zeros((1, 10), np.int64)
    fills[0, [3, 4, 6]] = 0, 10, 1000 * UNITS
    close = np.array([100, 50, 90, 200])
    equity = np.empty(5)
    mean, _, deepest = follow_equity(fills, np.zeros((0, 6), np.int64), close, UNITS, 1, 100 * UNITS, equity)
    assert equity.tolist() == [100.0, 100.0, 0.0, 0.0, 0.0]
    assert mean == pytest.approx((0.0 - 1.0) / 2)
    assert deepest == 1.0


def test_a_run_without_a_fill_has_no_ratio_either_way():
    result = run(inputs_of(walk(5), AVERAGE(), PARAMS))
    rows = period_rows(result.times_ns)
    for found in (outcome_of(result, rows), outcome_of(result, rows, follow=follow_equity)):
        assert found.sharpe.value is None
        assert found.total_return == 0.0
