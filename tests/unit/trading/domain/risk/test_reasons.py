"""The denial codes are part of the public contract."""

from trading.domain.risk import DenyReason

PUBLIC = [
    "TRADING_HALTED",
    "STRATEGY_DISABLED",
    "MODEL_NOT_SERVABLE",
    "LEASE_LOST",
    "SYMBOL_NOT_ALLOWED",
    "ORDER_TYPE_NOT_ALLOWED",
    "ACCOUNT_MODE",
    "PRICE_UNAVAILABLE",
    "PRICE_STALE",
    "PRICE_SOURCES_DISAGREE",
    "CLOCK_OFFSET",
    "DECISION_EXPIRED",
    "NOT_RECONCILED",
    "VENUE_FILTER",
    "PRICE_COLLAR",
    "MARKET_ORDER_NOT_ALLOWED",
    "NOTIONAL_BELOW_MIN",
    "NOTIONAL_ABOVE_MAX",
    "QUANTITY_ABOVE_MAX",
    "EXPOSURE_SYMBOL",
    "EXPOSURE_STRATEGY",
    "EXPOSURE_ACCOUNT",
    "EXPOSURE_GLOBAL",
    "EXPOSURE_GROUP",
    "MARGIN",
    "INSUFFICIENT_BALANCE",
    "OPEN_ORDERS",
    "RATE_LIMITED",
    "VENUE_WEIGHT",
    "REPEATED_EXECUTION",
    "DUPLICATE_DECISION",
    "NEAR_DUPLICATE",
    "SELF_TRADE",
    "REDUCE_ONLY",
    "LOSS_LIMIT",
    "BLACKOUT",
    "PARENT_QUANTITY",
    "OVERRIDE_REQUIRED",
    "BREAKER_OPEN",
]


def test_the_codes_are_those_of_the_published_contract():
    assert [reason.value for reason in DenyReason] == PUBLIC
    assert all(reason.name == reason.value for reason in DenyReason)
