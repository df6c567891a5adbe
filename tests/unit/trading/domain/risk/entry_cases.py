"""A case for each rail that asks whether an order may be placed at all: permission, knowledge, price and size."""

from dataclasses import replace

from tests.fakes.checks import SECOND
from tests.fakes.instruments import spot, usdm
from tests.unit.trading.domain.risk.samples import BREAKER, CANARY, CROSS, MARKET, Case, R
from trading.domain.values import UNITS, Level, OrderType

ENTRY_CASES = [
    Case("kill_level", R.TRADING_HALTED, {"level": Level.ACTIVE}, {"level": Level.REDUCING}, {"level": 99}),
    Case(
        "limits_in_force",
        R.TRADING_HALTED,
        {"limits_valid_for_ns": 1},
        {"limits_valid_for_ns": 0},
        {"limits_valid_for_ns": None},
    ),
    Case(
        "strategy_enabled",
        R.STRATEGY_DISABLED,
        {"strategy_enabled": True},
        {"strategy_enabled": False},
        {"strategy_enabled": False, "instrument": None},
    ),
    Case(
        # flat: the order of 200 USDT takes exactly the canary's share
        "model_servable",
        R.MODEL_NOT_SERVABLE,
        {"model": CANARY},
        {"model": replace(CANARY, canary_cap=200 * UNITS - 1)},
        {"model": CANARY, "position": None},
    ),
    Case(
        "symbol_allowed",
        R.SYMBOL_NOT_ALLOWED,
        {"allowed_symbols": frozenset({"ETHUSDT", "BTCUSDT"})},
        {"allowed_symbols": frozenset({"ETHUSDT"})},
        {"allowed_symbols": None},
    ),
    Case(
        "venue_status",
        R.SYMBOL_NOT_ALLOWED,
        {"instrument": spot(status="TRADING")},
        {"instrument": spot(status="HALT")},
        {"instrument": None},
    ),
    Case(
        "order_type",
        R.ORDER_TYPE_NOT_ALLOWED,
        {"allowed_types": frozenset({OrderType.LIMIT})},
        {"allowed_types": frozenset({OrderType.LIMIT_MAKER})},
        {"allowed_types": None},
    ),
    Case(
        "account_mode",
        R.ACCOUNT_MODE,
        {"instrument": usdm(), "mode": CROSS},
        {"instrument": usdm(), "mode": replace(CROSS, leverage=4)},
        {"instrument": usdm(), "mode": CROSS, "limits": None},
    ),
    Case("price_available", R.PRICE_UNAVAILABLE, {"best_ask": 1}, {"best_ask": 0}, {"best_ask": "?"}),
    Case(
        "price_fresh",
        R.PRICE_STALE,
        {"quote_age_ns": 10 * SECOND},
        {"quote_age_ns": 10 * SECOND + 1},
        {"limits": None},
    ),
    Case(
        # middle 20,000.00; 200 bps above it is 20,400.00
        "price_sources",
        R.PRICE_SOURCES_DISAGREE,
        {"last": 2_040_000},
        {"last": 2_040_001},
        {"limits": None},
    ),
    Case(
        "clock_offset",
        R.CLOCK_OFFSET,
        {"clock_offset_ns": -SECOND // 4, "clock_age_ns": 60 * SECOND},
        {"clock_offset_ns": -SECOND // 4 - 1},
        {"limits": None},
    ),
    Case(
        "decision_ttl",
        R.DECISION_EXPIRED,
        {},
        {},
        {"limits": None},
        order_allowed={"decision_age_ns": 30 * SECOND},
        order_denied={"decision_age_ns": 30 * SECOND + 1},
    ),
    Case(
        "bar_once",
        R.DECISION_EXPIRED,
        {"bar_is_acted_on": False},
        {"bar_is_acted_on": True},
        None,
    ),
    Case(
        "reconciled",
        R.NOT_RECONCILED,
        {"reconciled_age_ns": 60 * SECOND},
        {"reconciled_age_ns": 60 * SECOND + 1},
        {"limits": None},
    ),
    Case(
        "user_stream",
        R.NOT_RECONCILED,
        {"stream_age_ns": 30 * SECOND},
        {"stream_age_ns": 30 * SECOND + 1},
        {"limits": None},
    ),
    Case(
        "unknown_orders",
        R.NOT_RECONCILED,
        {"unknown_age_ns": 30 * SECOND},
        {"unknown_age_ns": 30 * SECOND + 1},
        {"unknown_age_ns": None},
    ),
    Case(
        "breakers", R.BREAKER_OPEN, {"open_breakers": ()}, {"open_breakers": BREAKER}, {"open_breakers": None}
    ),
    Case(
        "venue_filter",
        R.VENUE_FILTER,
        {"instrument": spot(NOTIONAL__minNotional="200")},
        {"instrument": spot(NOTIONAL__minNotional="200.00000001")},
        {"instrument": None},
    ),
    Case(
        # middle 20,000.00 and 100 bps: 20,200.00
        "price_collar",
        R.PRICE_COLLAR,
        {},
        {},
        {"limits": None},
        order_allowed={"ticks": 2_020_000},
        order_denied={"ticks": 2_020_001},
    ),
    Case(
        # ask 20,000.01 and 1,000 bps: 22,000.011, of which 22,000.01 is a tick
        "market_order",
        R.MARKET_ORDER_NOT_ALLOWED,
        {},
        {},
        {"limits": None},
        order_allowed=MARKET | {"ticks": 2_200_001},
        order_denied=MARKET | {"ticks": 2_200_002},
        order_broken=MARKET,
    ),
    Case(
        "min_notional",
        R.NOTIONAL_BELOW_MIN,
        {},
        {},
        {"limits": None},
        order_allowed={"notional": 10 * UNITS},
        order_denied={"notional": 10 * UNITS - 1},
    ),
    Case(
        "max_notional",
        R.NOTIONAL_ABOVE_MAX,
        {},
        {},
        {"limits": None},
        order_allowed={"notional": 1_000 * UNITS},
        order_denied={"notional": 1_000 * UNITS + 1},
    ),
    Case(
        "max_quantity",
        R.QUANTITY_ABOVE_MAX,
        {},
        {},
        {"limits": None},
        order_allowed={"steps": 100_000},
        order_denied={"steps": 100_001},
    ),
]
