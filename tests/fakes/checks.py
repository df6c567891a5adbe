"""An order and a world in which every rail passes, for tests that break one thing at a time."""

from __future__ import annotations

from typing import Any

from tests.fakes.instruments import spot
from trading.domain.risk import OrderCheck, RiskContext, RiskLimits
from trading.domain.values import UNITS, Level, OrderType, Side

SECOND = 1_000_000_000


def limits(**changes: Any) -> RiskLimits:
    """Return generous limits: orders of 10 to 1,000 USDT and up to 1 BTC, caps far away."""
    values: dict[str, Any] = {
        "min_notional": 10 * UNITS,
        "max_notional": 1_000 * UNITS,
        "max_quantity": 1 * UNITS,
        "exposure_symbol": 2_000 * UNITS,
        "exposure_strategy": 2_000 * UNITS,
        "exposure_account": 5_000 * UNITS,
        "exposure_global": 10_000 * UNITS,
        "orders_per_minute": 30,
        "max_open_orders": 20,
        "collar_bps": 100,
        "quote_age_max_ns": 10 * SECOND,
        "decision_ttl_ns": 30 * SECOND,
        "reconcile_age_max_ns": 60 * SECOND,
        "unknown_age_max_ns": 30 * SECOND,
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
        "allowed_symbols": frozenset({"BTCUSDT"}),
        "allowed_types": frozenset({OrderType.LIMIT, OrderType.MARKET}),
        "best_bid": 1_999_999,
        "best_ask": 2_000_001,
        "quote_age_ns": 1 * SECOND,
        "position": 0,
        "open_buy": 0,
        "open_sell": 0,
        "open_orders": 0,
        "free_base": 0,
        "free_quote": 10_000 * UNITS,
        "pending_base": 0,
        "pending_quote": 0,
        "used_symbol": 0,
        "used_strategy": 0,
        "used_account": 0,
        "used_global": 0,
        "orders_last_minute": 0,
        "oldest_order_age_ns": 0,
        "reconciled_age_ns": 5 * SECOND,
        "unknown_age_ns": 0,
        "open_breakers": (),
    }
    return RiskContext(**(values | changes))
