"""Walk-forward on stored bars: choose on the past, trade what follows, stitch, and put it through the gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nautilus_site.common.errors import ApplicationError
from trading.domain.backtest import BacktestResult
from trading.domain.report.from_backtest import joined_trips
from trading.domain.research.bootstrap import Interval, bootstrap_interval
from trading.domain.research.gate import Criterion, positive_share, promotion_gate
from trading.domain.research.grid import Candidates
from trading.domain.research.outcomes import Outcome
from trading.domain.research.overfitting import Overfitting
from trading.domain.research.splits import Window, default_embargo, walk_forward_windows
from trading.domain.research.sweep import Sweep, Trial
from trading.domain.research.walk_forward import WalkForward, combinatorial_paths, walk_forward
from trading.domain.research.windowed import run_window
from trading.domain.statistics import (
    DAY_NS,
    EquityCurve,
    Summary,
    Trials,
    daily_curve,
    equity_curve,
    simple_returns,
    summary,
)
from trading.domain.statistics.figures import FloatArray
from trading.domain.values import UNITS
from trading.services.research.study import Study
from trading.services.research.sweep import candidates_of, outcomes_of, record_of, whole_run
from trading.services.research.trials import trials_for, trials_record

Progress = Callable[[int, int], None]

_GROUPS, _TEST_GROUPS = 6, 2
_PATH_ROWS = 60


@dataclass(frozen=True, slots=True, eq=False)
class WalkForwardReport:
    """Attributes
    ----------
    sweep : all configurations over all bars.
    curve, summary : of the stitched out-of-sample returns, from the starting cash on.
    hindsight : the run over all bars of the configuration that was best over all of them.
    paths : (15 splits' 5 paths, P), combinatorial purged paths, None with too few periods.
    gate : the criteria of promotion.  growth : interval of the mean daily return, bootstrapped in blocks.
    tests : each a run of its own from the starting cash on.
    """

    study: Study
    candidates: Candidates
    sweep: Sweep
    walk: WalkForward
    curve: EquityCurve
    summary: Summary
    trials: Trials
    overfitting: Overfitting | None
    paths: FloatArray | None
    gate: tuple[Criterion, ...]
    growth: Interval | None
    hindsight: BacktestResult
    tests: tuple[BacktestResult, ...]


@dataclass(frozen=True, slots=True)
class WalkAsked:
    """How to walk.

    Attributes
    ----------
    train, test : bars.  purge : bars a result reaches ahead; a bar's decision earns the next bar: 1.
    embargo : further bars between training and test; None: 1 % of the training rows or the longest warm-up, whichever
        is larger.  seed : of the bootstrap.
    """

    train: int
    test: int
    mode: Literal["rolling", "anchored"] = "rolling"
    purge: int = 1
    embargo: int | None = None
    seed: int = 1


def walk_forward_run(
    study: Study,
    grid_parts: Sequence[str],
    asked: WalkAsked,
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> WalkForwardReport:
    """Walk forward over the bars of a study, and record its trials.

    Raises
    ------
    ApplicationError : code BAD_GRID, BAD_WINDOWS, BAD_WORKERS or TRIALS_DAMAGED.
    """
    found = candidates_of(study, grid_parts)
    windows = windows_of(study, found, asked)
    total = len(found.valid) + len(windows)
    outcomes = outcomes_of(study, found.valid, windows, workers=workers, progress=_part(progress, total))
    trials_record(record_of(study, sweep_of(found, outcomes), grid_parts))

    def told(tests: int) -> None:
        if progress is not None:
            progress(len(found.valid) + tests, total)

    return walk_forward_report(study, found, windows, outcomes, asked, told=told)


def windows_of(study: Study, found: Candidates, asked: WalkAsked) -> tuple[Window, ...]:
    """Return the windows over the bars of a study.

    Raises
    ------
    ApplicationError : code BAD_WINDOWS.
    """
    longest = max(study.strategy.warmup(candidate.params) for candidate in found.valid)
    embargo = default_embargo(asked.train, longest) if asked.embargo is None else asked.embargo
    gap = asked.purge + embargo
    try:
        return tuple(
            walk_forward_windows(
                len(study.series), train=asked.train, test=asked.test, gap=gap, mode=asked.mode
            )
        )
    except ValueError as error:
        raise ApplicationError("BAD_WINDOWS", f"{error} (bars; training, gap {gap}, test)") from error


def walk_forward_report(
    study: Study,
    found: Candidates,
    windows: Sequence[Window],
    outcomes: Sequence[Outcome],
    asked: WalkAsked,
    *,
    told: Callable[[int], None] | None = None,
) -> WalkForwardReport:
    """Trade the tests with what the outcomes choose, stitch them and put them through the gate.

    Training scores are Sharpe ratios of the configuration's run over all bars, cut to the training rows: decisions
    there know only their past. Each test is a new run that begins flat. The trials are recorded already.

    Parameters
    ----------
    outcomes : of each candidate, scored on the windows.  told : called with the number of tests done.

    Raises
    ------
    ApplicationError : code TRIALS_DAMAGED.
    """
    strategy, series = study.strategy, study.series
    sweep = sweep_of(found, outcomes)
    engine = study.engine(len(windows))
    tests: list[BacktestResult] = []

    def run(candidate: int, start: int, stop: int) -> FloatArray:
        params = found.valid[candidate].params
        returns, result = run_window(
            study.inputs, start, stop, strategy=strategy, params=params, engine=engine
        )
        tests.append(result)
        if told is not None:
            told(len(tests))
        return returns

    walk = walk_forward(windows, np.array([outcome.training for outcome in outcomes]), run)
    curve = _stitched(study, windows, walk.returns)
    counted = trials_for(strategy.name, series.symbol, series.interval)
    overfitting = sweep.overfitting()
    summarised = summary(
        curve.times_ns,
        curve.equity,
        trips=joined_trips(tests),
        fees=sum(result.fees for result in tests) / UNITS,
        slippage=sum(result.slippage for result in tests) / UNITS,
        funding=sum(result.funding for result in tests) / UNITS,
        trials=counted,
    )
    paths = _paths(sweep.matrix())
    length = summarised.min_track_record_days.value
    return WalkForwardReport(
        study=study,
        candidates=found,
        sweep=sweep,
        walk=walk,
        curve=curve,
        summary=summarised,
        trials=counted if counted is not None else Trials(1.0, 0.0),
        overfitting=overfitting,
        paths=paths,
        gate=promotion_gate(
            deflated=summarised.dsr.value,
            overfitting=None if overfitting is None else overfitting.probability,
            positive_paths=None if paths is None else positive_share(paths),
            days=curve.span_ns / DAY_NS,
            min_track_record_days=length,
        ),
        growth=_growth(curve, asked.seed),
        hindsight=whole_run(study, sweep.ranked()[0].candidate.params),
        tests=tuple(tests),
    )


def sweep_of(found: Candidates, outcomes: Sequence[Outcome]) -> Sweep:
    """Return candidates and outcomes as one sweep, ranked by Sharpe ratio."""
    trials = tuple(Trial(c, o) for c, o in zip(found.valid, outcomes, strict=True))
    return Sweep(trials, "sharpe", found.skipped)


def _part(progress: Progress | None, total: int) -> Progress | None:
    return None if progress is None else (lambda done, _: progress(done, total))


def _stitched(study: Study, windows: Sequence[Window], returns: FloatArray) -> EquityCurve:
    """The curve of the tests from the starting cash on; it ends at a ruin."""
    series, first = study.series, windows[0].test_start
    start_ns = int(series.close_ns[first - 1]) if first else int(series.open_ns[0])
    stop = windows[-1].test_stop
    times = np.concatenate(([start_ns], series.close_ns[first:stop]))
    equity = float(study.inputs.settings.cash) * np.concatenate(([1.0], np.cumprod(1.0 + returns)))
    ruined = equity <= 0
    end = int(np.argmax(ruined)) + 1 if ruined.any() else len(equity)
    return equity_curve(times[:end], equity[:end])


def _paths(matrix: FloatArray) -> FloatArray | None:
    if len(matrix) < _PATH_ROWS:
        return None
    return combinatorial_paths(
        matrix, groups=_GROUPS, test_groups=_TEST_GROUPS, horizon=1, embargo=default_embargo(len(matrix), 1)
    )


def _growth(curve: EquityCurve, seed: int) -> Interval | None:
    returns = simple_returns(daily_curve(curve).equity)
    if len(returns) < 20:
        return None
    return bootstrap_interval(returns, lambda x: float(x.mean()), np.random.default_rng(seed))
