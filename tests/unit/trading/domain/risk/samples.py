"""What every test of the rails starts from: parts of a world, a case of a rail, and the verdict of one."""

from dataclasses import dataclass, field, replace
from typing import Any

from tests.fakes.checks import SECOND
from trading.domain.margin import flat_brackets
from trading.domain.risk import (
    RAILS,
    SEND_RAILS,
    AccountMode,
    DenyReason,
    LossMeasured,
    MarginState,
    ModelServed,
    OpenBreaker,
    check_order,
)
from trading.domain.values import UNITS, OrderType, Side

BTC = UNITS
HELD = {"position": BTC // 100, "free_base": BTC // 100}  # 0.01 BTC, what the sample order is for
EXIT = {"side": Side.SELL}


@dataclass(frozen=True)
class Case:
    """The rail; order and context just allowed, just denied, and a context the rail cannot work on."""

    rail: str
    code: DenyReason
    allowed: dict[str, Any]
    denied: dict[str, Any]
    broken: dict[str, Any] | None  # None: no context at all
    order_allowed: dict[str, Any] = field(default_factory=dict)
    order_denied: dict[str, Any] = field(default_factory=dict)
    order_broken: dict[str, Any] = field(default_factory=dict)


R = DenyReason
BREAKER = (OpenBreaker("venue_errors", "account:paper-spot", "5 errors in 8 calls", 12.0),)
CHAMPION = ModelServed("hmm", "champion", "abc", "abc", 60 * SECOND)
CANARY = ModelServed("hmm", "canary", "abc", "abc", 60 * SECOND, canary_cap=200 * UNITS)
CROSS = AccountMode(hedge=False, isolated=False, leverage=3, expected_hedge=False, expected_isolated=False)
# Balance 1,000 USDT, nothing held; 200 USDT more at a maintenance rate of 1 % needs 2 USDT.
MARGIN = MarginState(
    balance=1_000 * UNITS, available=1_000 * UNITS, leverage=2, brackets=flat_brackets(10_000)
)
MARKET = {"type": OrderType.MARKET}


def margin(**changes: int) -> MarginState:
    return replace(MARGIN, **changes)


def lost(**changes: Any) -> tuple[LossMeasured, ...]:
    """A healthy strategy, and the account whose result is changed."""
    healthy = LossMeasured("strategy:trend", SECOND, 0, 0, 0, 100 * UNITS, 500_000, 5)
    account = LossMeasured("account:paper-spot", 120 * SECOND, 0, 0, 0, 100 * UNITS, 200_000, 5)
    return healthy, replace(account, **changes)


EVERY = (*RAILS, *SEND_RAILS)


def verdict(rail: str, an_order, a_context):
    return next(result for result in check_order(an_order, a_context, EVERY) if result.rail == rail)
