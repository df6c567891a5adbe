"""Rails: one pure function per pre-trade rule, judged in one declared order; every order passes all."""

from trading.domain.reservation import is_reducing
from trading.domain.risk.chain import RAILS, SEND_RAILS, Rail, check_order, first_denial
from trading.domain.risk.checks import (
    AccountMode,
    Blackout,
    Grant,
    GroupUse,
    LossMeasured,
    MarginState,
    ModelServed,
    NetExposure,
    OpenBreaker,
    OrderCheck,
    ParentOrder,
    RailResult,
    RiskContext,
    RiskLimits,
    order_quantity,
    order_reserve,
    reduces,
)
from trading.domain.risk.conduct import needs_grant
from trading.domain.risk.reasons import DenyReason

__all__ = [
    "RAILS",
    "SEND_RAILS",
    "AccountMode",
    "Blackout",
    "DenyReason",
    "Grant",
    "GroupUse",
    "LossMeasured",
    "MarginState",
    "ModelServed",
    "NetExposure",
    "OpenBreaker",
    "OrderCheck",
    "ParentOrder",
    "Rail",
    "RailResult",
    "RiskContext",
    "RiskLimits",
    "check_order",
    "first_denial",
    "is_reducing",
    "needs_grant",
    "order_quantity",
    "order_reserve",
    "reduces",
]
