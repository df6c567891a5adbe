"""Loading what legs of a run name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nautilus_site.common.errors import ApplicationError
from trading.domain.research.legs import AskedLeg, shares_of
from trading.domain.strategies import ParameterError, Strategy, StrategyLoadError, parse_params
from trading.services.strategy_kinds import strategy_load


def leg_load(leg: AskedLeg) -> tuple[Strategy, Any]:
    """Return the strategy of a leg and its parameters.

    Raises
    ------
    ApplicationError : codes UNKNOWN_STRATEGY, BAD_PARAMETER.
    """
    try:
        strategy = strategy_load(leg.strategy)()
        return strategy, parse_params(strategy.Params, leg.params)
    except StrategyLoadError as error:
        raise ApplicationError("UNKNOWN_STRATEGY", str(error)) from None
    except ParameterError as error:
        raise ApplicationError("BAD_PARAMETER", str(error)) from None


def leg_shares(legs: Sequence[AskedLeg], *, by_symbol: bool) -> list[int]:
    """Return each leg's share, parts of 1e-8; see `shares_of`.

    Raises
    ------
    ApplicationError : code BAD_REQUEST.
    """
    try:
        return shares_of(legs, by_symbol=by_symbol)
    except ValueError as error:
        raise ApplicationError("BAD_REQUEST", str(error)) from None
