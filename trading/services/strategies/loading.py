"""A strategy's code with its parameters in force, ready to be stepped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog

from trading.domain.strategies import Desired, Observation
from trading.domain.strategies import Strategy as Steps
from trading.domain.strategies.catalogue import StrategyLoadError
from trading.domain.strategies.parameters import ParameterError, parse_params
from trading.models import Strategy
from trading.services.models import parameters_in_force
from trading.services.strategies.deciding import check_servable, parameters_digest
from trading.services.strategy_kinds import strategy_load

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What decides: the steps, their parameters, and the name of both."""

    steps: Steps
    params: Any
    digest: str


def strategy_loaded(row: Strategy) -> Loaded | None:
    """Load it; None, with a line in the log, where it cannot be used."""
    try:
        steps = strategy_load(row.kind)()
        parameters = parameters_in_force(row)
        return Loaded(steps, parse_params(steps.Params, parameters), parameters_digest(row, parameters))
    except StrategyLoadError as error:
        log.error("strategy_not_loaded", strategy=row.name, kind=row.kind, error=str(error)[:300])
    except ParameterError as error:
        log.error("strategy_parameters_refused", strategy=row.name, error=str(error))
    return None


def step_taken(
    row: Strategy, loaded: Loaded, state: Any, seen: Observation
) -> tuple[Any, Desired | None] | None:
    """Step it once; None, with a line in the log, where it failed: nothing of that step is kept."""
    try:
        state, desired = loaded.steps.step(loaded.params, state, seen)
        check_servable(desired, makes_market=loaded.steps.makes_market)
    except ParameterError as error:
        # What it wants cannot be done in full, so none of it is.
        log.error("strategy_refused", strategy=row.name, error=str(error))
        return None
    except Exception as error:  # noqa: BLE001  somebody's own code: it stops itself, not the others
        log.error("strategy_failed", strategy=row.name, error=f"{type(error).__name__}: {error}"[:300])
        return None
    return state, desired
