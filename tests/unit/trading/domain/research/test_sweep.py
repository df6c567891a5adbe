"""Sweeps: ranked, counted, and tested on noise and on a planted edge."""

import numpy as np
import pytest

from tests.unit.trading.domain.research.series import walk as bars
from trading.domain.report.research_tables import gate_table, heat_table, luck_table, step_table, trial_table
from trading.domain.research.gate import promotion_gate
from trading.domain.research.grid import Candidate
from trading.domain.research.outcomes import Outcome
from trading.domain.research.splits import Window
from trading.domain.research.sweep import Sweep, Trial, neighbours_share
from trading.domain.research.walk_forward import Step, WalkForward
from trading.domain.statistics import Figure, Trials


def outcome(sharpe, periods=None, total=0.1):
    ratio = Figure(sharpe) if sharpe is not None else Figure(None, "no variation")
    return Outcome(
        total, 1000.0 * (1 + total), ratio, 0.05, 12, 3.5, np.zeros(80) if periods is None else periods
    )


def sweep_of(sharpes, periods=None):
    """Trials over a = 1, 2, ... and b = x, one for each ratio."""
    trials = []
    for number, sharpe in enumerate(sharpes):
        values = {"a": str(number // 3 + 1), "b": "xyz"[number % 3]}
        own = None if periods is None else periods[:, number]
        trials.append(Trial(Candidate(number, values, None), outcome(sharpe, own)))
    return Sweep(tuple(trials), "sharpe")


def test_the_best_comes_first_and_ties_keep_the_order_of_the_grid():
    ranked = sweep_of([0.5, 1.5, None, 1.5, -1.0]).ranked()
    assert [trial.candidate.number for trial in ranked] == [1, 3, 0, 2, 4]


def test_an_empty_sweep_and_an_unknown_score_are_refused():
    with pytest.raises(ValueError, match="at least one trial"):
        Sweep((), "sharpe")
    with pytest.raises(ValueError, match="unknown score"):
        Sweep(sweep_of([1.0]).trials, "luck")


def test_trials_are_counted_with_their_variance():
    noise = np.random.default_rng(1).normal(0, 0.01, (400, 6))
    count = sweep_of([1.0, 2.0, 3.0, None, 0.0, 6.0], noise).trial_count()
    assert count.count == 6
    assert count.effective == pytest.approx(6.0, rel=0.05)
    assert count.sharpe_mean == pytest.approx(2.0)
    assert count.sharpe_variance == pytest.approx(np.var([1, 2, 3, 0, 0, 6], ddof=1))


def test_overfitting_needs_enough_periods_and_trials():
    assert sweep_of([1.0]).overfitting() is None
    assert sweep_of([1.0, 2.0], np.zeros((30, 2))).overfitting() is None
    edge = np.random.default_rng(2).normal(0, 0.01, (400, 6))
    edge[:, 3] += 0.01
    assert sweep_of([0.0] * 6, edge).overfitting().probability == 0.0


def test_a_spike_and_a_plateau_are_told_apart():
    # Grid: a = 1, 2, 3 by b = x, y, z; the best is a = 2, b = y, its neighbours are x and z beside, 1 and 3.
    spike = sweep_of([0, 0, 0, 0, 2.0, 0, 0, 0, 0])
    assert neighbours_share(spike, ["a", "b"]) == 0.0
    plateau = sweep_of([0, 1.8, 0, 1.9, 2.0, 1.7, 0, 1.6, 0])
    assert neighbours_share(plateau, ["a", "b"]) == pytest.approx((1.8 + 1.9 + 1.7 + 1.6) / 4 / 2.0)
    assert neighbours_share(sweep_of([-1.0, -2.0]), ["a", "b"]) is None
    assert neighbours_share(sweep_of([1.0]), ["a", "b"]) is None


def test_the_tables_of_a_sweep():
    sweep = sweep_of([0.5, 1.5, None, 1.0])
    trials = trial_table(sweep, ["a", "b"])
    assert [cell.text for cell in trials.rows[0][:3]] == ["1", "1", "y"]
    assert trials.rows[3][4].text == "–"
    heat = heat_table(sweep, ["a", "b"])
    assert [row[0].text for row in heat.rows] == ["x", "y", "z"]
    assert heat.rows[1][1].heat == 1.0
    assert heat.rows[1][2].text == "", "no such combination was run"
    assert heat_table(sweep, ["a"]) is None
    luck = luck_table(None, Trials(12.0, 1.0), 0.4)
    assert [row[1].text for row in luck.rows] == ["12.0", "–", "–", "40 %"]


def test_the_tables_of_a_walk_forward():
    gate = promotion_gate(
        deflated=0.97, overfitting=0.3, positive_paths=None, days=100.0, min_track_record_days=80.0
    )
    table = gate_table(gate)
    assert [row[3].text for row in table.rows] == ["passed", "failed", "failed", "passed"]
    assert [row[1].text for row in table.rows] == ["97.0 %", "30.0 %", "–", "100 d"]
    walk = WalkForward((Step(Window(0, 4, 5, 8), 1, 0.2, 0.1),), np.zeros(3), 0.5, None)
    hours = bars(10, step_ns=3_600 * 10**9, interval="1h")
    steps = step_table(walk, ["fast=1", "fast=2"], hours, 100.0)
    assert [cell.text for cell in steps.rows[0]] == [
        "1", "1970-01-01 00:00", "1970-01-01 04:00", "1970-01-01 05:00", "1970-01-01 08:00", "fast=2", "2.00", "1.00",
    ]  # fmt: skip
    assert "50 %" in steps.note
