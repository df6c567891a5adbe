"""Strategies: defined, switched, given capital, and stepped over closed bars."""

from trading.services.strategies.allocating import (
    AS_IT_IS,
    Amount,
    Weighting,
    allocations_apply,
    allocations_shorten,
    weights_apply,
)
from trading.services.strategies.book_stepping import book_step, books_due
from trading.services.strategies.ceilings import capital_rows, ceilings_lift
from trading.services.strategies.deciding import decision_key, parameters_digest
from trading.services.strategies.defining import (
    Definition,
    Place,
    instance_add,
    strategy_define,
    strategy_redefine,
)
from trading.services.strategies.granting import (
    grant_change,
    grant_raises,
    instance_disable,
    instance_enable_request,
    instance_of,
)
from trading.services.strategies.listings import Terms as ListingTerms
from trading.services.strategies.listings import listing_grant_change, listing_grant_raises, listing_take_up
from trading.services.strategies.owners import strategies_bar
from trading.services.strategies.stepping import instances_due, strategy_step
from trading.services.strategies.switching import strategy_disable, strategy_enable_request

__all__ = [
    "AS_IT_IS",
    "Amount",
    "Definition",
    "ListingTerms",
    "Place",
    "Weighting",
    "allocations_apply",
    "allocations_shorten",
    "book_step",
    "books_due",
    "capital_rows",
    "ceilings_lift",
    "decision_key",
    "grant_change",
    "grant_raises",
    "instance_add",
    "instance_disable",
    "instance_enable_request",
    "instance_of",
    "instances_due",
    "listing_grant_change",
    "listing_grant_raises",
    "listing_take_up",
    "parameters_digest",
    "strategies_bar",
    "strategy_define",
    "strategy_disable",
    "strategy_enable_request",
    "strategy_redefine",
    "strategy_step",
    "weights_apply",
]
