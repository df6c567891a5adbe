"""What the rails are told of losses: every scope of an order that has a loss limit of its own."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.conf import settings

from trading.domain.risk import LossMeasured
from trading.domain.values import exact_product, times_of, to_units
from trading.models import Account
from trading.services.controls.limits_in_force import LimitsInForce
from trading.services.risk_reads import Facts
from trading.services.scopes import GLOBAL

UNIT = Decimal("1E-8")


def ns_of(seconds: float) -> int:
    """Seconds in whole nanoseconds."""
    return int(seconds * 1_000_000_000)


def whole_units(amount: Decimal) -> Decimal:
    """An amount in whole units, rounded down."""
    return exact_product(Decimal(times_of(amount, UNIT)[0]), UNIT)


def losses_told(
    facts: Facts, account: Account, limits: LimitsInForce, strategy: str | None, moment: datetime
) -> tuple[LossMeasured, ...]:
    """Every scope of the order that has a loss limit of its own, measured or not."""
    measured = {row[0]: row for row in facts.losses or ()}
    own = f"strategy:{strategy}" if strategy else None
    found = []
    for scope in (GLOBAL, f"account:{account.name}", own):
        if scope is None:
            continue
        loss_limit = limits.by_scope.get(("daily_loss", scope))
        drawdown_limit = limits.by_scope.get(("max_drawdown", scope))
        streak_limit = int(limits.values["max_loss_streak"]) if scope == own else None
        if loss_limit is None and drawdown_limit is None and streak_limit is None:
            continue
        row = measured.get(scope)
        if row is None and scope == own:
            # A strategy that has never traded has lost nothing.
            row = [scope, "0", "0", 0, 0, None, moment.timestamp(), moment.date().isoformat()]
        age = None if row is None or row[6] is None else ns_of(moment.timestamp() - float(row[6]))
        if age is not None and not settings.WALL_TIME_RAILS:
            age = 0
        # The measure of yesterday says nothing about today.
        today = row is not None and row[7] == moment.date().isoformat()
        found.append(
            LossMeasured(
                scope=scope,
                age_ns=age,
                loss=to_units(whole_units(Decimal(row[2]) - Decimal(row[1]))) if row and today else 0,
                drawdown=int(row[3]) if row else 0,
                streak=int(row[4]) if row and today else 0,
                loss_limit=None if loss_limit is None else to_units(loss_limit),
                drawdown_limit=None if drawdown_limit is None else int(drawdown_limit * 1_000_000),
                streak_limit=streak_limit,
            )
        )
    return tuple(found)


def last_loss_ns(facts: Facts, strategy: str | None, moment: datetime) -> int | None:
    for row in facts.losses or ():
        if row[0] == f"strategy:{strategy}" and row[5] is not None:
            return ns_of(moment.timestamp() - float(row[5]))
    return None
