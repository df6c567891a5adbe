"""An order and a world in which every rail passes, for tests that break one thing at a time."""

from __future__ import annotations

from typing import Any

from tests.fakes.instruments import spot
from trading.domain.risk import NetExposure, OrderCheck, RiskContext, RiskLimits
from trading.domain.values import UNITS, Level, OrderType, Side

SECOND = 1_000_000_000


def limits(**changes: Any) -> RiskLimits:
    """Return generous limits: orders of 10 to 1,000 USDT and up to 1 BTC, caps far away."""
    values: dict[str, Any] = {
        "min_notional": 10 * UNITS,
        "max_notional": 1_000 * UNITS,
        "max_quantity": 1 * UNITS,
        "soft_notional": 10**17,
        "exposure_symbol": 2_000 * UNITS,
        "exposure_strategy": 2_000 * UNITS,
        "exposure_strategy_symbol": 2_000 * UNITS,
        "exposure_group": 6_000 * UNITS,
        "exposure_account": 5_000 * UNITS,
        "exposure_global": 10_000 * UNITS,
        "net_account": 10**17,
        "net_global": 10**17,
        "orders_per_minute": 30,
        "orders_per_minute_strategy": 10_000,
        "max_open_orders": 20,
        "max_open_orders_strategy": 10_000,
        "collar_bps": 100,
        "slippage_bps": 1_000,
        "disagreement_bps": 200,
        "quote_age_max_ns": 10 * SECOND,
        "decision_ttl_ns": 30 * SECOND,
        "reconcile_age_max_ns": 60 * SECOND,
        "unknown_age_max_ns": 30 * SECOND,
        "stream_age_max_ns": 30 * SECOND,
        "clock_offset_max_ns": SECOND // 4,
        "clock_age_max_ns": 60 * SECOND,
        "equity_age_max_ns": 120 * SECOND,
        "near_window_ns": 2 * SECOND,
        "loss_cooldown_ns": 60 * SECOND,
        "leverage_max": 3,
        "margin_ratio_max": 500_000,
        "liquidation_distance_min": 100_000,
        "weight_headroom": 200_000,
        "repeated_executions": 10,
        "sends_per_decision": 10,
    }
    return RiskLimits(**(values | changes))


def order(**changes: Any) -> OrderCheck:
    """Return a limit order to buy 0.01 BTC at 20,000.00: 200 USDT."""
    values: dict[str, Any] = {
        "account": "paper-spot",
        "strategy": "moving_average",
        "symbol": "BTCUSDT",
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "ticks": 2_000_000,
        "steps": 1_000,
        "notional": 200 * UNITS,
        "reduce_only": False,
        "decision_age_ns": 1 * SECOND,
    }
    return OrderCheck(**(values | changes))


def context(**changes: Any) -> RiskContext:
    """Return a healthy flat account; bid 19,999.99 and ask 20,000.01."""
    values: dict[str, Any] = {
        "instrument": spot(),
        "limits": limits(),
        "level": Level.ACTIVE,
        "level_scope": "global",
        "limits_valid_for_ns": 3_600 * SECOND,
        "strategy_enabled": True,
        "model": None,
        "allowed_symbols": frozenset({"BTCUSDT"}),
        "allowed_types": frozenset({OrderType.LIMIT, OrderType.MARKET}),
        "mode": None,
        "best_bid": 1_999_999,
        "best_ask": 2_000_001,
        "quote_age_ns": 1 * SECOND,
        "last": None,
        "mark": None,
        "clock_offset_ns": 0,
        "clock_age_ns": 1 * SECOND,
        "bar_is_acted_on": False,
        "position": 0,
        "open_buy": 0,
        "open_sell": 0,
        "open_orders": 0,
        "open_orders_strategy": 0,
        "free_base": 0,
        "free_quote": 10_000 * UNITS,
        "pending_base": 0,
        "pending_quote": 0,
        "margin": None,
        "used_symbol": 0,
        "used_strategy": 0,
        "used_strategy_symbol": 0,
        "groups": (),
        "used_account": 0,
        "used_global": 0,
        "net_account": NetExposure(),
        "net_global": NetExposure(),
        "orders_last_minute": 0,
        "leaving_order_age_ns": 0,
        "orders_last_minute_strategy": 0,
        "leaving_order_age_strategy_ns": 0,
        "reconciled_age_ns": 5 * SECOND,
        "stream_age_ns": 1 * SECOND,
        "unknown_age_ns": 0,
        "weight_used": 0,
        "weight_limit": 6_000,
        "executions": 0,
        "rejected": 0,
        "rejected_age_ns": 0,
        "same_decision": 0,
        "near_age_ns": None,
        "crossing": None,
        "losses": (),
        "last_loss_age_ns": None,
        "blackouts": (),
        "parent": None,
        "grant": None,
        "open_breakers": (),
    }
    return RiskContext(**(values | changes))
