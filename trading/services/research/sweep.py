"""Running every configuration of a grid, here or over several processes, and recording that it was done."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from typing import Any

from nautilus_site.common.clock import now as wall_now
from nautilus_site.common.errors import ApplicationError
from trading.domain.backtest import BacktestResult
from trading.domain.research.evaluate import evaluate, evaluate_elsewhere, with_strategy
from trading.domain.research.grid import Candidate, Candidates, GridError, candidates, parse_grid
from trading.domain.research.outcomes import SCORES, Outcome
from trading.domain.research.overfitting import Overfitting
from trading.domain.research.splits import Window
from trading.domain.research.sweep import Sweep, Trial, neighbours_share
from trading.domain.statistics import Trials
from trading.services.backtests.running import chosen_engine
from trading.services.research.study import Study, machine_code_path
from trading.services.research.trials import TrialRecord, trials_for, trials_record
from trading.services.strategy_kinds import strategy_reference

Progress = Callable[[int, int], None]

_CHUNKS_PER_WORKER = 4
_MOST_WORKERS = 64


@dataclass(frozen=True, slots=True, eq=False)
class SweepReport:
    """Attributes
    ----------
    best : the runs of the best trials, best first, whole.
    trials : everything counted for deflation, this sweep included.
    overfitting : None where there is too little to tell.  plateau : see `neighbours_share`.
    elapsed_s : of the runs, wall time.
    """

    study: Study
    sweep: Sweep
    best: tuple[BacktestResult, ...]
    trials: Trials
    overfitting: Overfitting | None
    plateau: float | None
    elapsed_s: float

    @property
    def best_params(self) -> dict[str, Any]:
        """All parameters of the best trial, by name."""
        params = self.sweep.ranked()[0].candidate.params
        return {name: getattr(params, name) for name in type(params).__dataclass_fields__}


def sweep_run(
    study: Study,
    grid_parts: Sequence[str],
    *,
    score: str = "sharpe",
    workers: int = 1,
    keep: int = 1,
    progress: Progress | None = None,
) -> SweepReport:
    """Run a grid and record its trials.

    Parameters
    ----------
    keep : how many of the best runs to return whole.
    grid_parts : see `parse_grid`.  workers : processes; 1 runs here. The result does not depend on it.

    Raises
    ------
    ApplicationError : code BAD_GRID, BAD_SCORE, BAD_WORKERS, BAD_PARAMETER or TRIALS_DAMAGED.
    """
    require_score(score)
    found = candidates_of(study, grid_parts)
    started = time.monotonic()
    outcomes = outcomes_of(study, found.valid, workers=workers, progress=progress)
    elapsed = time.monotonic() - started
    return sweep_report(study, found, outcomes, grid_parts, score=score, keep=keep, elapsed_s=elapsed)


def require_score(score: str) -> None:
    """Refuse a measure of "best" that there is not.

    Raises
    ------
    ApplicationError : code BAD_SCORE.
    """
    if score not in SCORES:
        raise ApplicationError("BAD_SCORE", f"unknown score {score!r}; expected one of {', '.join(SCORES)}")


def sweep_report(
    study: Study,
    found: Candidates,
    outcomes: Sequence[Outcome],
    grid_parts: Sequence[str],
    *,
    score: str,
    keep: int,
    elapsed_s: float,
) -> SweepReport:
    """Record the trials of a sweep whose configurations have all been run, and judge the best of them.

    Raises
    ------
    ApplicationError : code TRIALS_DAMAGED.
    """
    trials = tuple(Trial(c, outcome) for c, outcome in zip(found.valid, outcomes, strict=True))
    sweep = Sweep(trials, score, found.skipped)
    trials_record(record_of(study, sweep, grid_parts))
    counted = trials_for(study.strategy.name, study.series.symbol, study.series.interval)
    assert counted is not None, "this sweep was just recorded"
    names = [part.partition("=")[0] for part in grid_parts]
    return SweepReport(
        study=study,
        sweep=sweep,
        best=tuple(whole_run(study, trial.candidate.params) for trial in sweep.ranked()[: max(1, keep)]),
        trials=counted,
        overfitting=sweep.overfitting(),
        plateau=neighbours_share(sweep, names),
        elapsed_s=elapsed_s,
    )


def candidates_of(study: Study, grid_parts: Sequence[str]) -> Candidates:
    """Return the valid combinations of a grid.

    Raises
    ------
    ApplicationError : code BAD_GRID.
    """
    try:
        return candidates(parse_grid(grid_parts), type(study.strategy).Params, study.fixed)
    except GridError as error:
        raise ApplicationError("BAD_GRID", str(error)) from error


def outcomes_of(
    study: Study,
    valid: Sequence[Candidate],
    windows: Sequence[Window] = (),
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Return the outcome of each candidate, in their order, whatever the number of workers.

    Parameters
    ----------
    windows : of a walk-forward, to score the training parts of.

    Raises
    ------
    ApplicationError : code BAD_WORKERS.
    """
    if not 1 <= workers <= _MOST_WORKERS:
        raise ApplicationError("BAD_WORKERS", f"expected 1 to {_MOST_WORKERS} workers, was {workers}")
    total, rows = len(valid), study.rows()
    if workers == 1 or total == 1:
        told = None if progress is None else partial(_tell, progress, total)
        every = [candidate.params for candidate in valid]
        return evaluate(study.inputs, study.strategy, every, rows, study.engine(total), windows, told=told)
    size = max(1, -(-total // (workers * _CHUNKS_PER_WORKER)))
    chunks = [valid[at : at + size] for at in range(0, total, size)]
    if chosen_engine(study.inputs, "auto", runs=total) == "compiled":
        # Machine code lets other threads run, and threads share the bars.
        engine = study.engine(total)

        def run_chunk(chunk: Sequence[Candidate]) -> list[Outcome]:
            every = [candidate.params for candidate in chunk]
            return evaluate(study.inputs, study.strategy, every, rows, engine, windows)

        with ThreadPoolExecutor(max_workers=min(workers, len(chunks))) as threads:
            return _collected(
                {threads.submit(run_chunk, c): n for n, c in enumerate(chunks)}, chunks, progress
            )
    # Fresh processes: a copy of this one would share its connections to the database.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=min(workers, len(chunks)), mp_context=context) as pool:
        futures = {
            pool.submit(
                evaluate_elsewhere,
                strategy_reference(study.request.strategy),
                [{**study.fixed, **candidate.values} for candidate in chunk],
                study.series,
                study.inputs.settings,
                dict(study.inputs.funding),
                rows,
                windows,
                total * len(study.series),
                machine_code_path(),
                study.inputs.assignments[0].limits,
                study.inputs.assignments[0].losses,
            ): number
            for number, chunk in enumerate(chunks)
        }
        return _collected(futures, chunks, progress)


def _collected(
    futures: Mapping[Future[list[Outcome]], int],
    chunks: Sequence[Sequence[Candidate]],
    progress: Progress | None,
) -> list[Outcome]:
    outcomes: list[list[Outcome]] = [[] for _ in chunks]
    done, total = 0, sum(map(len, chunks))
    for future in as_completed(futures):
        outcomes[futures[future]] = future.result()
        done += len(chunks[futures[future]])
        if progress is not None:
            progress(done, total)
    return [outcome for chunk in outcomes for outcome in chunk]


def _tell(progress: Progress, total: int, done: int) -> None:
    progress(done, total)


def whole_run(study: Study, params: Any) -> BacktestResult:
    """Run one configuration over all bars."""
    return study.engine(1)(with_strategy(study.inputs, study.strategy, params))


def record_of(study: Study, sweep: Sweep, grid_parts: Sequence[str]) -> TrialRecord:
    """Return the line that says this sweep was run; the digest covers the span of bars that was used."""
    fixed = " ".join(f"{name}={value}" for name, value in sorted(study.fixed.items()))
    return TrialRecord(
        at=wall_now(),
        strategy=study.strategy.name,
        symbol=study.series.symbol,
        interval=study.series.interval,
        data_sha256=study.series.digest,
        grid=" ".join(
            (*sorted(grid_parts), fixed, json.dumps(study.inputs.settings.as_json(), sort_keys=True))
        ),
        trials=sweep.trial_count(),
    )
