"""The rails in their one declared order, and how an order is judged by all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from trading.domain.risk import capacity, conduct, knowledge, losses, permission, size
from trading.domain.risk.checks import OrderCheck, RailResult, RiskContext
from trading.domain.risk.reasons import DenyReason


@dataclass(frozen=True, slots=True)
class Rail:
    """One rule: its name, the code it denies with, and the pure function that decides.

    Attributes
    ----------
    number : of the check in the catalogue of pre-trade checks (P01 to P40).
    limit : the limit in force it compares with, by its name; empty where it compares with none.
    """

    name: str
    code: DenyReason
    check: Callable[[OrderCheck, RiskContext], RailResult]
    number: str
    limit: str = ""


_R = DenyReason

RAILS: Final[tuple[Rail, ...]] = (
    Rail("kill_level", _R.TRADING_HALTED, permission.kill_level, "P01"),
    Rail("limits_in_force", _R.TRADING_HALTED, permission.limits_in_force, "P01"),
    Rail("strategy_enabled", _R.STRATEGY_DISABLED, permission.strategy_enabled, "P02"),
    Rail("model_servable", _R.MODEL_NOT_SERVABLE, permission.model_servable, "P02"),
    Rail("symbol_allowed", _R.SYMBOL_NOT_ALLOWED, permission.symbol_allowed, "P04"),
    Rail("venue_status", _R.SYMBOL_NOT_ALLOWED, permission.venue_status, "P04"),
    Rail("order_type", _R.ORDER_TYPE_NOT_ALLOWED, permission.order_type, "P05"),
    Rail("account_mode", _R.ACCOUNT_MODE, permission.account_mode, "P06", "leverage_max"),
    Rail("price_available", _R.PRICE_UNAVAILABLE, knowledge.price_available, "P07"),
    Rail("price_fresh", _R.PRICE_STALE, knowledge.price_fresh, "P07", "price_max_age"),
    Rail("price_sources", _R.PRICE_SOURCES_DISAGREE, knowledge.price_sources, "P08", "price_disagreement"),
    Rail("clock_offset", _R.CLOCK_OFFSET, knowledge.clock_offset, "P09", "clock_max_offset"),
    Rail("decision_ttl", _R.DECISION_EXPIRED, permission.decision_ttl, "P10", "decision_ttl"),
    Rail("bar_once", _R.DECISION_EXPIRED, permission.bar_once, "P10"),
    Rail("reconciled", _R.NOT_RECONCILED, knowledge.reconciled, "P11", "reconcile_max_age"),
    Rail("user_stream", _R.NOT_RECONCILED, knowledge.user_stream, "P11", "stream_max_age"),
    Rail("unknown_orders", _R.NOT_RECONCILED, knowledge.unknown_orders, "P11", "unknown_max_age"),
    Rail("breakers", _R.BREAKER_OPEN, permission.breakers, "1.4"),
    Rail("venue_filter", _R.VENUE_FILTER, size.venue_filter, "P12"),
    Rail("price_collar", _R.PRICE_COLLAR, size.price_collar, "P13", "price_collar"),
    Rail("market_order", _R.MARKET_ORDER_NOT_ALLOWED, size.market_order, "P15", "market_slippage"),
    Rail("min_notional", _R.NOTIONAL_BELOW_MIN, size.min_notional, "P16", "min_notional"),
    Rail("max_notional", _R.NOTIONAL_ABOVE_MAX, size.max_notional, "P16", "max_notional"),
    Rail("max_quantity", _R.QUANTITY_ABOVE_MAX, size.max_quantity, "P17", "max_quantity"),
    Rail("exposure_symbol", _R.EXPOSURE_SYMBOL, capacity.exposure_symbol, "P19", "exposure_symbol"),
    Rail("exposure_strategy", _R.EXPOSURE_STRATEGY, capacity.exposure_strategy, "P20", "exposure_strategy"),
    Rail(
        "exposure_strategy_symbol",
        _R.EXPOSURE_STRATEGY,
        capacity.exposure_strategy_symbol,
        "P20",
        "exposure_strategy_symbol",
    ),
    Rail("exposure_account", _R.EXPOSURE_ACCOUNT, capacity.exposure_account, "P21", "exposure_account"),
    Rail("net_account", _R.EXPOSURE_ACCOUNT, capacity.net_account, "P21", "exposure_net_account"),
    Rail("exposure_global", _R.EXPOSURE_GLOBAL, capacity.exposure_global, "P22", "exposure_global"),
    Rail("net_global", _R.EXPOSURE_GLOBAL, capacity.net_global, "P22", "exposure_net_global"),
    Rail("exposure_group", _R.EXPOSURE_GROUP, capacity.exposure_group, "P23", "exposure_group"),
    Rail("margin_use", _R.MARGIN, capacity.margin_use, "P24", "margin_max_ratio"),
    Rail("liquidation_distance", _R.MARGIN, capacity.liquidation_distance, "P24", "liquidation_min_distance"),
    Rail("free_balance", _R.INSUFFICIENT_BALANCE, capacity.free_balance, "P25"),
    Rail("open_orders", _R.OPEN_ORDERS, capacity.open_orders, "P26", "max_open_orders"),
    Rail(
        "open_orders_strategy",
        _R.OPEN_ORDERS,
        capacity.open_orders_strategy,
        "P26",
        "max_open_orders_strategy",
    ),
    Rail("order_rate", _R.RATE_LIMITED, capacity.order_rate, "P27", "orders_per_minute"),
    Rail(
        "order_rate_strategy",
        _R.RATE_LIMITED,
        capacity.order_rate_strategy,
        "P27",
        "orders_per_minute_strategy",
    ),
    Rail("venue_weight", _R.VENUE_WEIGHT, capacity.venue_weight, "P28", "weight_headroom"),
    Rail(
        "repeated_execution", _R.REPEATED_EXECUTION, conduct.repeated_execution, "P29", "repeated_executions"
    ),
    Rail("rejected_backoff", _R.RATE_LIMITED, conduct.rejected_backoff, "P29"),
    Rail("duplicate_decision", _R.DUPLICATE_DECISION, conduct.duplicate_decision, "P31"),
    Rail("near_duplicate", _R.NEAR_DUPLICATE, conduct.near_duplicate, "P32", "near_duplicate_window"),
    Rail("self_trade", _R.SELF_TRADE, conduct.self_trade, "P33"),
    Rail("reduce_only", _R.REDUCE_ONLY, size.reduce_only, "P35"),
    Rail("daily_loss", _R.LOSS_LIMIT, losses.daily_loss, "P36", "daily_loss"),
    Rail("drawdown", _R.LOSS_LIMIT, losses.drawdown, "P36", "max_drawdown"),
    Rail("loss_streak", _R.LOSS_LIMIT, losses.loss_streak, "P36", "max_loss_streak"),
    Rail("blackout", _R.BLACKOUT, permission.blackout, "P38"),
    Rail("loss_cooldown", _R.BLACKOUT, losses.loss_cooldown, "P38", "loss_cooldown"),
    Rail("parent_quantity", _R.PARENT_QUANTITY, conduct.parent_quantity, "P39"),
    Rail(
        "sends_per_decision",
        _R.PARENT_QUANTITY,
        conduct.sends_per_decision,
        "P39",
        "max_sends_per_decision",
    ),
    Rail("override", _R.OVERRIDE_REQUIRED, conduct.override, "P40", "soft_notional"),
)
"""Asked in Tx A, every one of every order."""

SEND_RAILS: Final[tuple[Rail, ...]] = (Rail("lease", _R.LEASE_LOST, permission.lease_held, "P03"),)
"""Asked in Tx B, where the lease is; the kill level and the decision's age are read there once more."""


PROTECTION_EXEMPT: Final = frozenset(
    {
        *("limits_in_force", "model_servable", "price_available", "price_fresh", "price_sources"),
        *("decision_ttl", "bar_once", "reconciled", "user_stream", "unknown_orders", "price_collar"),
        *("min_notional", "max_notional", "max_quantity", "net_account", "net_global"),
        *("margin_use", "liquidation_distance", "open_orders", "open_orders_strategy"),
        *("order_rate", "order_rate_strategy", "venue_weight", "repeated_execution", "rejected_backoff"),
        *("near_duplicate", "self_trade", "daily_loss", "drawdown", "loss_streak"),
        *("blackout", "loss_cooldown", "override"),
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
    results = []
    exempt = PROTECTION_EXEMPT if order.is_protective and order.reduce_only else ()
    for rail in rails:
        if rail.name in exempt:
            detail = "not asked of a protective order"
            results.append(RailResult(rail.name, True, None, None, None, "", detail))
            continue
        try:
            results.append(rail.check(order, context))
        except Exception as error:  # noqa: BLE001  a rail that cannot decide has not allowed anything
            detail = f"the rail failed and therefore denies: {type(error).__name__}: {error}"
            results.append(RailResult(rail.name, False, rail.code, None, None, "", detail))
    return tuple(results)


def first_denial(results: Iterable[RailResult]) -> RailResult | None:
    """Return the first rail that denied, or None when the order may go."""
    return next((result for result in results if not result.passed), None)
