"""The look-ahead test of a strategy and of a model's features and filter, on stored bars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from nautilus_site.common.errors import ApplicationError
from trading.domain.regime.errors import DegenerateFilter, FeaturesRefused
from trading.domain.research.lookahead import LookaheadError, LookaheadReport, Subject, Table, find_lookahead
from trading.domain.research.model_subject import regime_subject
from trading.domain.research.subjects import bar_table, strategy_subject
from trading.services.backtests.bars import series_load
from trading.services.research.models import model_load, require_interval
from trading.services.research.study import Study

Progress = Callable[[int, int], None]


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
        return _find(regime_subject(model, full, series), bar_table(series), cuts, first, seed, progress)
    except (FeaturesRefused, DegenerateFilter) as error:
        raise ApplicationError("NOT_TESTABLE", str(error)) from error


def _find(
    subject: Subject, table: Table, cuts: int, first: int, seed: int, progress: Progress | None
) -> LookaheadReport:
    rng: Any = np.random.default_rng(seed)
    try:
        return find_lookahead(subject, table, rng=rng, cuts=cuts, first=first, progress=progress)
    except LookaheadError as error:
        raise ApplicationError("NOT_TESTABLE", str(error)) from error
