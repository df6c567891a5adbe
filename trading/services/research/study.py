"""What a piece of research is about: one strategy, stored bars of one symbol, and what a run assumes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings

from nautilus_site.common.errors import ApplicationError
from trading.domain.backtest import BarSeries, Inputs
from trading.domain.research.evaluate import Engine, engine_for
from trading.domain.research.outcomes import period_rows
from trading.domain.statistics.figures import IntArray
from trading.domain.strategies import ParameterError, Strategy, parse_params
from trading.services.backtests import BacktestRequest, backtest_prepare


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """Attributes
    ----------
    request : as asked for; its strategy is loaded again by other processes.
    inputs : bars and assumptions; the strategy in them has default parameters.
    fixed : parameters that are not searched.  notes : what a person should know about the bars.
    """

    request: BacktestRequest
    inputs: Inputs
    strategy: Strategy
    fixed: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def series(self) -> BarSeries:
        """The bars."""
        return self.inputs.series[0]

    def params(self, values: Mapping[str, Any] | None = None) -> Any:
        """Return the strategy's parameters from the fixed values and further ones.

        Raises
        ------
        ApplicationError : code BAD_PARAMETER.
        """
        try:
            return parse_params(type(self.strategy).Params, {**self.fixed, **(values or {})})
        except ParameterError as error:
            raise ApplicationError("BAD_PARAMETER", str(error)) from error

    def rows(self) -> IntArray:
        """Return the rows between which runs of this study are compared."""
        return period_rows(np.concatenate((self.series.open_ns[:1], self.series.close_ns)))

    def engine(self, runs: int) -> Engine:
        """Return the engine that is sooner for so many runs over all bars."""
        return engine_for(runs * len(self.series), machine_code_path())


def study_open(request: BacktestRequest) -> Study:
    """Load a strategy and the stored bars of a symbol.

    Raises
    ------
    ApplicationError : as `backtest_prepare`.
    """
    # Fixed values may contradict the defaults of what is searched, so they are judged in combination later.
    prepared = backtest_prepare(replace(request, params={}))
    strategy = prepared.inputs.assignments[0].strategy
    return Study(request, prepared.inputs, strategy, dict(request.params), prepared.notes)


def machine_code_path() -> Path | None:
    """Where machine code is kept, None where the environment names a place."""
    return None if os.environ.get("NUMBA_CACHE_DIR") else Path(settings.NAUTILUS_HOME) / "numba"
