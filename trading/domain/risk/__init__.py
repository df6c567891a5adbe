"""Rails: one pure function per pre-trade rule, judged in one declared order; every order passes all."""

from trading.domain.reservation import is_reducing
from trading.domain.risk.chain import RAILS, Rail, check_order, first_denial
from trading.domain.risk.checks import (
    OpenBreaker,
    OrderCheck,
    RailResult,
    RiskContext,
    RiskLimits,
    order_quantity,
    order_reserve,
    reduces,
)
from trading.domain.risk.reasons import DenyReason

__all__ = [
    "RAILS",
    "DenyReason",
    "OpenBreaker",
    "OrderCheck",
    "Rail",
    "RailResult",
    "RiskContext",
    "RiskLimits",
    "check_order",
    "first_denial",
    "is_reducing",
    "order_quantity",
    "order_reserve",
    "reduces",
]
