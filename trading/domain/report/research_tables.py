"""Tables of sweeps and walk-forward tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trading.domain.backtest import BarSeries
from trading.domain.report.table import Cell, Table, signed
from trading.domain.report.text import NONE, money, number, percent, shown, stamp
from trading.domain.research.gate import Criterion
from trading.domain.research.outcomes import SCORES
from trading.domain.research.overfitting import Overfitting
from trading.domain.research.sweep import Sweep
from trading.domain.research.walk_forward import WalkForward
from trading.domain.statistics import Trials

_MOST_TRIALS = 1_000
_QUESTIONS = {
    "deflated_sharpe": "Deflated Sharpe ratio",
    "overfitting": "Probability of backtest overfitting",
    "positive_paths": "Combinatorial paths with a positive Sharpe ratio",
    "track_record_days": "Length in days against the minimum track record",
}


def trial_table(sweep: Sweep, names: Sequence[str]) -> Table:
    """Return the trials best first, at most a thousand."""
    rows = []
    for place, trial in enumerate(sweep.ranked()[:_MOST_TRIALS], start=1):
        outcome = trial.outcome
        rows.append(
            [
                Cell(f"{place:,}", order=place),
                *(_value(trial.candidate.values[name]) for name in names),
                signed(percent(outcome.total_return), outcome.total_return),
                Cell(shown(outcome.sharpe), order=outcome.sharpe.value or 0.0, remark=outcome.sharpe.reason),
                Cell(percent(outcome.max_drawdown), order=outcome.max_drawdown),
                Cell(f"{outcome.trades:,}", order=outcome.trades),
                Cell(money(outcome.fees), order=outcome.fees),
            ]
        )
    left_out = len(sweep.trials) - len(rows)
    note = f"{len(sweep.trials):,} trials, best {sweep.score} first; ties keep the order of the grid."
    if sweep.skipped:
        note += f" {sweep.skipped:,} combinations contradict themselves and were not run."
    if left_out:
        note += f" {left_out:,} more are not shown."
    columns = ["Place", *names, "Return", "Sharpe", "Drawdown", "Trades", "Fees"]
    return Table("trials", "Trials", columns, rows, note, page=50)


def heat_table(sweep: Sweep, names: Sequence[str]) -> Table | None:
    """Return the scores over two parameters; None unless exactly two are searched."""
    if len(names) != 2:
        return None
    across, down = ([*dict.fromkeys(t.candidate.values[name] for t in sweep.trials)] for name in names)
    measure = SCORES[sweep.score]
    found = {
        (t.candidate.values[names[0]], t.candidate.values[names[1]]): measure(t.outcome) for t in sweep.trials
    }
    largest = max(abs(value) for value in found.values()) or 1.0
    rows = []
    for y in down:
        cells = [Cell(y)]
        for x in across:
            value = found.get((x, y))
            if value is None:
                cells.append(Cell(""))
            else:
                cell = signed(number(value, 2), value)
                cells.append(
                    Cell(cell.text, cell.tone, value, f"{names[0]} {x}, {names[1]} {y}", value / largest)
                )
        rows.append(cells)
    note = (
        f"{sweep.score} by {names[0]} (across) and {names[1]} (down). A lone peak is luck; look for plateaus."
    )
    return Table("plateau", "Parameter map", [names[1], *across], rows, note)


def luck_table(overfitting: Overfitting | None, trials: Trials, plateau: float | None) -> Table:
    """Return how much of the best result may be luck."""
    rows = [
        [Cell("Independent trials counted"), Cell(number(trials.count, 1)), Cell("of every sweep recorded")],
        [
            Cell("Probability of backtest overfitting"),
            Cell(NONE if overfitting is None else percent(overfitting.probability, 1)),
            Cell("too few periods or trials" if overfitting is None else "20 % or less passes the gate"),
        ],
        [
            Cell("Chance that the chosen one loses out of sample"),
            Cell(NONE if overfitting is None else percent(overfitting.loss_probability, 1)),
            Cell("over all halves of the history"),
        ],
        [
            Cell("Neighbours' score over the best score"),
            Cell(NONE if plateau is None else percent(plateau, 0)),
            Cell("one grid step away; near 100 % is a plateau, near 0 % a spike"),
        ],
    ]
    return Table("luck", "How much is luck", ["", "Value", "Reading"], rows)


def gate_table(gate: Sequence[Criterion]) -> Table:
    """Return the promotion gate, criterion by criterion."""
    rows = []
    for criterion in gate:
        sign = "at least" if criterion.at_least else "at most"
        days = criterion.name == "track_record_days"
        missing = criterion.measured is None
        rows.append(
            [
                Cell(_QUESTIONS[criterion.name]),
                Cell(NONE if criterion.measured is None else _written(criterion.measured, days)),
                Cell(f"{sign} {NONE if missing and days else _written(criterion.limit, days)}"),
                Cell("passed" if criterion.passed else "failed", "up" if criterion.passed else "down"),
            ]
        )
    note = "What cannot be measured fails."
    return Table("gate", "Promotion gate", ["Criterion", "Measured", "Limit", "Verdict"], rows, note)


def _written(value: float, days: bool) -> str:
    return f"{number(value, 0)} d" if days else percent(value, 1)


def step_table(walk: WalkForward, labels: Sequence[str], series: BarSeries, per_year: float) -> Table:
    """Return the windows of a walk-forward.

    Parameters
    ----------
    labels : of the candidates.  series : the bars.  per_year : bars in a year, to annualise.
    """
    rows = []
    scale = float(np.sqrt(per_year))
    for number_, step in enumerate(walk.steps, start=1):
        window = step.window
        inside, outside = step.in_sample * scale, step.out_of_sample * scale
        rows.append(
            [
                Cell(f"{number_}"),
                Cell(stamp(int(series.open_ns[window.train_start]))),
                Cell(stamp(int(series.close_ns[window.train_stop - 1]))),
                Cell(stamp(int(series.open_ns[window.test_start]))),
                Cell(stamp(int(series.close_ns[window.test_stop - 1]))),
                Cell(labels[step.chosen]),
                signed(number(inside, 2), inside),
                signed(number(outside, 2), outside),
            ]
        )
    columns = [
        "#",
        "Train from (UTC)",
        "to",
        "Test from",
        "to",
        "Chosen",
        "Sharpe in sample",
        "out of sample",
    ]
    kept = NONE if walk.stability is None else percent(walk.stability, 0)
    ratio = NONE if walk.efficiency is None else percent(walk.efficiency, 0)
    note = f"Out-of-sample over in-sample score {ratio}; {kept} of the choices were kept in the next window."
    return Table("steps", "Windows", columns, rows, note)


def _value(text: str) -> Cell:
    try:
        return Cell(text, order=float(text))
    except ValueError:
        return Cell(text)
