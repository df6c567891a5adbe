"""Replaying a market maker over a recording."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nautilus_site.common.errors import ApplicationError
from trading.domain.backtest.replay import ReplaySettings, sensitivity
from trading.domain.backtest.replay_result import ReplayResult
from trading.domain.strategies import ParameterError, StrategyLoadError, parse_params
from trading.services.backtests.tapes import tape_read
from trading.services.strategy_kinds import strategy_load
from universe.selectors import instrument_get


def replay_run(
    strategy: str,
    params: Mapping[str, Any],
    *,
    symbol: str,
    market: str,
    recording: Path,
    settings: ReplaySettings,
) -> list[ReplayResult]:
    """Return the results under the three beliefs about fills, the generous one first.

    Raises
    ------
    NotFound : code UNKNOWN_SYMBOL; its tick and step come from the venue.
    ApplicationError : codes UNKNOWN_STRATEGY, BAD_PARAMETER, BAD_REQUEST; and those of `tape_read`.
    """
    try:
        kind = strategy_load(strategy)
        values: Any = parse_params(kind.Params, params)
    except StrategyLoadError as error:
        raise ApplicationError("UNKNOWN_STRATEGY", str(error)) from None
    except ParameterError as error:
        raise ApplicationError("BAD_PARAMETER", str(error)) from None
    tape = tape_read(recording, instrument_get(symbol, market).to_domain())
    try:
        return list(sensitivity(tape, kind(), values, settings).values())
    except ValueError as error:
        raise ApplicationError("BAD_REQUEST", str(error)) from None
