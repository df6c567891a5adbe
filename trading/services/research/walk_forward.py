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


def walk_forward_run(
    study: Study,
    grid_parts: Sequence[str],
    *,
    train: int,
    test: int,
    mode: Literal["rolling", "anchored"] = "rolling",
    purge: int = 1,
    embargo: int | None = None,
    workers: int = 1,
    seed: int = 1,
    progress: Progress | None = None,
) -> WalkForwardReport:
    """Walk forward over the bars of a study.

    Training scores are Sharpe ratios of the configuration's run over all bars, cut to the training rows:
    decisions there know only their past. Each test is a new run that begins flat.

    Parameters
    ----------
    train, test : bars.  purge : bars a result reaches ahead; a bar's decision earns the next bar: 1.
    embargo : further bars between training and test; by default 1 % of the training rows or the longest
        warm-up, whichever is larger.
    seed : of the bootstrap.

    Raises
    ------
    ApplicationError : code BAD_GRID, BAD_WINDOWS, BAD_WORKERS or TRIALS_DAMAGED.
    """
    found = candidates_of(study, grid_parts)
    strategy, series = study.strategy, study.series
    longest = max(strategy.warmup(candidate.params) for candidate in found.valid)
    gap = purge + (default_embargo(train, longest) if embargo is None else embargo)
    try:
        windows = walk_forward_windows(len(series), train=train, test=test, gap=gap, mode=mode)
    except ValueError as error:
        raise ApplicationError("BAD_WINDOWS", f"{error} (bars; training, gap {gap}, test)") from error
    total = len(found.valid) + len(windows)

    outcomes = outcomes_of(study, found.valid, windows, workers=workers, progress=_part(progress, total))
    sweep = Sweep(
        tuple(Trial(c, o) for c, o in zip(found.valid, outcomes, strict=True)), "sharpe", found.skipped
    )
    trials_record(record_of(study, sweep, grid_parts))

    engine = study.engine(len(windows))
    tests: list[BacktestResult] = []

    def run(candidate: int, start: int, stop: int) -> FloatArray:
        params = found.valid[candidate].params
        returns, result = run_window(
            study.inputs, start, stop, strategy=strategy, params=params, engine=engine
        )
        tests.append(result)
        if progress is not None:
            progress(len(found.valid) + len(tests), total)
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
        growth=_growth(curve, seed),
        hindsight=whole_run(study, sweep.ranked()[0].candidate.params),
        tests=tuple(tests),
    )


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
