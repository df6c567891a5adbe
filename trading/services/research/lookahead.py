"""The look-ahead test of a strategy and of a model's features and filter, on stored bars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nautilus_site.common.errors import ApplicationError
from trading.domain.regime.errors import DegenerateFilter, FeaturesRefused
from trading.domain.research.lookahead import LookaheadError, LookaheadReport, Subject, Table, find_lookahead
from trading.domain.research.model_subject import regime_subject
from trading.domain.research.subjects import bar_table, strategy_subject
from trading.services.backtests.bars import series_load
from trading.services.backtests.funding import funding_stored
from trading.services.research.models import model_load, require_interval
from trading.services.research.study import Study

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class LookaheadAsked:
    """How to test: on the newest `bars`, cut off and changed at so many places chosen by `seed`."""

    bars: int = 2_000
    cuts: int = 40
    seed: int = 1


def lookahead_strategy(
    study: Study, *, bars: int, cuts: int, seed: int = 1, progress: Progress | None = None
) -> LookaheadReport:
    """Test what a strategy says and what it trades on the newest `bars` of a study.

    Raises
    ------
    ApplicationError : code BAD_PARAMETER, or NOT_TESTABLE.
    """
    params = study.params()
    series = study.series.first(len(study.series), max(0, len(study.series) - bars))
    subject = strategy_subject(replace(study.inputs, series=[series]), study.strategy, params)
    first = min(len(series) - 1, study.strategy.warmup(params))
    return _find(subject, bar_table(series), cuts, first, seed, progress)


def lookahead_model(
    digest: str,
    *,
    symbol: str,
    interval: str,
    market: str = "spot",
    bars: int,
    cuts: int,
    seed: int = 1,
    progress: Progress | None = None,
) -> LookaheadReport:
    """Test the features and the filter of a model artefact on the newest stored bars of a symbol.

    Parameters
    ----------
    digest : of the artefact, or its first characters.

    Raises
    ------
    ApplicationError : code NOT_TESTABLE; those of `model_load` and `series_load`.
    """
    model, full = model_load(digest)
    series, _ = series_load(symbol, interval, market)
    require_interval(model, full, interval)
    series = series.first(len(series), max(0, len(series) - bars))
    first = min(len(series) - 1, model.features.warmup)
    try:
        subject = regime_subject(model, full, series, funding_stored(series))
        return _find(subject, bar_table(series), cuts, first, seed, progress)
    except (FeaturesRefused, DegenerateFilter) as error:
        raise ApplicationError("NOT_TESTABLE", str(error)) from error


def lookahead_members(
    report: LookaheadReport, *, strategy: str | None, model: str | None, symbol: str, interval: str
) -> dict[str, Any]:
    """Return what a look-ahead test found as one plain object, the same for the command, the API and the pages."""
    return {
        "strategy": strategy,
        "model": model,
        "symbol": symbol,
        "interval": interval,
        "bars": report.rows,
        "cuts": len(report.cuts),
        "columns": list(report.columns),
        "passed": report.passed,
        "leaks": [
            {
                "column": leak.column,
                "bar": leak.bar,
                "cut": leak.cut,
                "found_by": leak.found_by,
                "with_future": leak.with_future,
                "without_future": leak.without_future,
                "reach": leak.reach,
                "inputs": list(leak.inputs),
                "hint": leak.hint,
            }
            for leak in report.leaks
        ],
    }


def _find(
    subject: Subject, table: Table, cuts: int, first: int, seed: int, progress: Progress | None
) -> LookaheadReport:
    rng: Any = np.random.default_rng(seed)
    try:
        return find_lookahead(subject, table, rng=rng, cuts=cuts, first=first, progress=progress)
    except LookaheadError as error:
        raise ApplicationError("NOT_TESTABLE", str(error)) from error
