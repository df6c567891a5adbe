"""Strategies: defined, switched, given capital, and stepped over closed bars."""

from trading.services.strategies.allocating import Amount, Weighting, allocations_apply, weights_apply
from trading.services.strategies.defining import (
    Definition,
    Place,
    instance_add,
    strategy_define,
    strategy_redefine,
)
from trading.services.strategies.granting import (
    grant_change,
    instance_disable,
    instance_enable_request,
    instance_of,
)
from trading.services.strategies.stepping import (
    decision_key,
    instances_due,
    parameters_digest,
    strategy_step,
)
from trading.services.strategies.switching import strategy_disable, strategy_enable_request

__all__ = [
    "Amount",
    "Definition",
    "Place",
    "Weighting",
    "allocations_apply",
    "decision_key",
    "grant_change",
    "instance_add",
    "instance_disable",
    "instance_enable_request",
    "instance_of",
    "instances_due",
    "parameters_digest",
    "strategy_define",
    "strategy_disable",
    "strategy_enable_request",
    "strategy_redefine",
    "strategy_step",
    "weights_apply",
]
