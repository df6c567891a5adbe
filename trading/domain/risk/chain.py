"""The rails in their one declared order, and how an order is judged by all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from trading.domain.risk import capacity, knowledge, permission, size
from trading.domain.risk.checks import OrderCheck, RailResult, RiskContext
from trading.domain.risk.reasons import DenyReason


@dataclass(frozen=True, slots=True)
class Rail:
    """One rule: its name, the code it denies with, and the pure function that decides."""

    name: str
    code: DenyReason
    check: Callable[[OrderCheck, RiskContext], RailResult]


_R = DenyReason

RAILS: Final[tuple[Rail, ...]] = (
    Rail("kill_level", _R.TRADING_HALTED, permission.kill_level),
    Rail("limits_in_force", _R.TRADING_HALTED, permission.limits_in_force),
    Rail("strategy_enabled", _R.STRATEGY_DISABLED, permission.strategy_enabled),
    Rail("symbol_allowed", _R.SYMBOL_NOT_ALLOWED, permission.symbol_allowed),
    Rail("venue_status", _R.SYMBOL_NOT_ALLOWED, permission.venue_status),
    Rail("order_type", _R.ORDER_TYPE_NOT_ALLOWED, permission.order_type),
    Rail("price_available", _R.PRICE_UNAVAILABLE, knowledge.price_available),
    Rail("price_fresh", _R.PRICE_STALE, knowledge.price_fresh),
    Rail("decision_ttl", _R.DECISION_EXPIRED, permission.decision_ttl),
    Rail("reconciled", _R.NOT_RECONCILED, knowledge.reconciled),
    Rail("unknown_orders", _R.NOT_RECONCILED, knowledge.unknown_orders),
    Rail("breakers", _R.BREAKER_OPEN, permission.breakers),
    Rail("venue_filter", _R.VENUE_FILTER, size.venue_filter),
    Rail("price_collar", _R.PRICE_COLLAR, size.price_collar),
    Rail("min_notional", _R.NOTIONAL_BELOW_MIN, size.min_notional),
    Rail("max_notional", _R.NOTIONAL_ABOVE_MAX, size.max_notional),
    Rail("max_quantity", _R.QUANTITY_ABOVE_MAX, size.max_quantity),
    Rail("reduce_only", _R.REDUCE_ONLY, size.reduce_only),
    Rail("exposure_symbol", _R.EXPOSURE_SYMBOL, capacity.exposure_symbol),
    Rail("exposure_strategy", _R.EXPOSURE_STRATEGY, capacity.exposure_strategy),
    Rail("exposure_account", _R.EXPOSURE_ACCOUNT, capacity.exposure_account),
    Rail("exposure_global", _R.EXPOSURE_GLOBAL, capacity.exposure_global),
    Rail("free_balance", _R.INSUFFICIENT_BALANCE, capacity.free_balance),
    Rail("open_orders", _R.OPEN_ORDERS, capacity.open_orders),
    Rail("order_rate", _R.RATE_LIMITED, capacity.order_rate),
)


PROTECTION_EXEMPT: Final = frozenset(
    {
        *(
            "limits_in_force",
            "price_available",
            "price_fresh",
            "decision_ttl",
            "reconciled",
            "unknown_orders",
        ),
        *("price_collar", "min_notional", "max_notional", "max_quantity", "open_orders", "order_rate"),
        *(
            "price_sources",
            "venue_weight",
            "repeated_execution",
            "near_duplicate",
            "self_trade",
            "loss_limit",
        ),
        *("blackout", "margin", "override"),
    }
)
"""What is not asked of a protective order that is reduce-only: each of these would leave a position naked.

Levels, permission, venue filters and `reduce_only` are asked as of any other order.
"""


def check_order(
    order: OrderCheck, context: RiskContext, rails: tuple[Rail, ...] = RAILS
) -> tuple[RailResult, ...]:
    """Judge an order by every rail, in order, and return every verdict.

    A rail that fails is a rail that denies: its exception becomes its own code, named in the detail.
    """
    return tuple(_judge(rail, order, context) for rail in rails)


def first_denial(results: Iterable[RailResult]) -> RailResult | None:
    """Return the first rail that denied, or None when the order may go."""
    return next((result for result in results if not result.passed), None)


def _judge(rail: Rail, order: OrderCheck, context: RiskContext) -> RailResult:
    if order.is_protective and order.reduce_only and rail.name in PROTECTION_EXEMPT:
        return RailResult(rail.name, True, None, None, None, "", "not asked of a protective order")
    try:
        return rail.check(order, context)
    except Exception as error:  # noqa: BLE001  a rail that cannot decide has not allowed anything
        detail = f"the rail failed and therefore denies: {type(error).__name__}: {error}"
        return RailResult(rail.name, False, rail.code, None, None, "", detail)
