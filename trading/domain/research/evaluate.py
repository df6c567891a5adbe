"""Running many configurations of a strategy over the same bars."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from trading.domain.backtest import (
    Assignment,
    BacktestResult,
    BarSeries,
    FundingSeries,
    Inputs,
    Settings,
    run,
)
from trading.domain.backtest.compiled import run_compiled, why_not
from trading.domain.backtest.limits import NO_LOSSES, LossLimits
from trading.domain.research.curve_kernel import machine_code
from trading.domain.research.outcomes import Outcome, outcome_of
from trading.domain.research.splits import Window
from trading.domain.risk import RiskLimits
from trading.domain.statistics.figures import IntArray
from trading.domain.strategies import Strategy, load_strategy, parse_params

WORTH_COMPILING: Final = 300_000
"""Bars in all from which on machine code is sooner, its half second of loading counted."""

Engine = Callable[[Inputs], BacktestResult]


def engine_for(bars: int, cache: Path | None = None) -> Engine:
    """Return the engine that is sooner for so many bars in all; their results are the same.

    Parameters
    ----------
    cache : where machine code is kept; None leaves it to the environment.
    """
    if bars < WORTH_COMPILING or importlib.util.find_spec("numba") is None:
        return run
    if cache is not None:
        from trading.domain.backtest import machine

        machine.use_cache(cache)
    return _compiled_or_not


def _compiled_or_not(inputs: Inputs) -> BacktestResult:
    return run(inputs) if why_not(inputs) else run_compiled(inputs)


def with_strategy(inputs: Inputs, strategy: Strategy, params: Any) -> Inputs:
    """Return the same inputs with this one strategy on their one instrument, under the limits of the first."""
    first = inputs.assignments[0]
    alone = Assignment(inputs.series[0].symbol, strategy, params, limits=first.limits, losses=first.losses)
    return replace(inputs, assignments=[alone])


def evaluate(
    inputs: Inputs,
    strategy: Strategy,
    every_params: Sequence[Any],
    rows: IntArray,
    engine: Engine,
    windows: Sequence[Window] = (),
    *,
    told: Callable[[int], None] | None = None,
) -> list[Outcome]:
    """Return the outcome of each configuration.

    Parameters
    ----------
    inputs : one instrument; its strategy is replaced.
    rows : between which returns are compared, of `period_rows` for the run's times.
    windows : of a walk-forward, to score the training parts of.
    told : called with the number done after each.
    """
    follow = machine_code() if engine is _compiled_or_not else None
    outcomes = []
    for number, params in enumerate(every_params, start=1):
        outcomes.append(outcome_of(engine(with_strategy(inputs, strategy, params)), rows, windows, follow))
        if told is not None:
            told(number)
    return outcomes


def evaluate_elsewhere(
    strategy_text: str,
    every_values: Sequence[Mapping[str, Any]],
    series: BarSeries,
    settings: Settings,
    funding: Mapping[str, FundingSeries],
    rows: IntArray,
    windows: Sequence[Window],
    bars: int,
    cache: Path | None,
    limits: RiskLimits | None = None,
    losses: LossLimits = NO_LOSSES,
) -> list[Outcome]:
    """Return the outcomes in a process that knows nothing yet: everything it needs is in the arguments.

    Parameters
    ----------
    strategy_text : what `load_strategy` takes; a strategy from a file cannot travel between processes.
    bars : in all, over all processes.  cache : as `engine_for`.  limits, losses : of the strategy.

    Raises
    ------
    StrategyLoadError, ParameterError : the strategy or a configuration cannot be had there.
    """
    strategy = load_strategy(strategy_text)()
    every_params: list[Any] = [parse_params(type(strategy).Params, values) for values in every_values]
    first = Assignment(series.symbol, strategy, every_params[0], limits=limits, losses=losses)
    inputs = Inputs([series], [first], settings, funding)
    return evaluate(inputs, strategy, every_params, rows, engine_for(bars, cache), windows)
