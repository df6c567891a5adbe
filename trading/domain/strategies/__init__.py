"""Strategies: causal step functions that say what they want to be true."""

from trading.domain.strategies.base import (
    Bar,
    Desired,
    Execution,
    Observation,
    Protection,
    Quotes,
    Strategy,
    WorkingQuote,
)
from trading.domain.strategies.catalogue import (
    StrategyLoadError,
    check_strategy,
    load_strategy,
    registry,
)
from trading.domain.strategies.parameters import (
    ParameterError,
    parameter,
    parameter_schema,
    parse_params,
)

__all__ = [
    "Bar",
    "Desired",
    "Execution",
    "Observation",
    "ParameterError",
    "Protection",
    "Quotes",
    "Strategy",
    "StrategyLoadError",
    "WorkingQuote",
    "check_strategy",
    "load_strategy",
    "parameter",
    "parameter_schema",
    "parse_params",
    "registry",
]
