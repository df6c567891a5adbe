"""An order before it exists: what names it, and what became of asking for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from nautilus_site.common.errors import Unprocessable
from nautilus_site.common.models import User
from trading.domain.orders import OrderIntent
from trading.domain.risk import RailResult
from trading.models import Account, Decision, Order, Plan, Strategy
from trading.services.scopes import scopes_of
from universe.models import Instrument


@dataclass(frozen=True, slots=True)
class Submission:
    """Everything that names one order before it exists."""

    account: Account
    instrument: Instrument
    intent: OrderIntent
    origin: str
    intent_key: str
    client_order_id: str
    decided_at: datetime
    strategy: Strategy | None = None
    plan: Plan | None = None
    decision: Decision | None = None
    requested_by: User | None = None
    adjustments: tuple[str, ...] = ()
    part: Decimal = Decimal(1)
    """Of the order that is for `strategy`; the rest is for those a plan nets with it."""
    replaces: Order | None = None
    """The order the same request cancels first; without that it is not placed."""

    @property
    def model_version(self) -> str:
        """The model behind the decision, empty where there is none."""
        return self.decision.model if self.decision else ""

    @property
    def strategy_name(self) -> str | None:
        """The strategy it is for, None where a person asked for themselves."""
        return self.strategy.name if self.strategy else None

    def scopes(self) -> list[str]:
        """Every scope the order lies in, widest first."""
        return scopes_of(
            venue=self.account.venue.name,
            account=self.account.name,
            symbol=self.instrument.symbol,
            strategy=self.strategy_name,
            model=self.model_version,
        )


class OrderDenied(Unprocessable):
    """A rail said no. The order row that records it is kept, with every rail's verdict."""

    def __init__(self, denial: RailResult, checks: list[dict[str, Any]], order: Order | None) -> None:
        extra: dict[str, Any] = {
            "rail": denial.rail,
            "measured": denial.measured,
            "limit": denial.limit,
            "checks": checks,
        }
        if denial.rail == "kill_level":
            extra["level"] = denial.measured
        if denial.retry_after_s is not None:
            extra["retry_after"] = round(denial.retry_after_s, 3)
        if order is not None:
            extra["order_id"] = str(order.uid)
        super().__init__(str(denial.code), denial.detail, extra=extra)
        self.order = order


@dataclass(frozen=True, slots=True)
class Verdict:
    """What Tx A came to: an order that is reserved, or the denial and, when it could be written down, its row."""

    order: Order | None
    denial: RailResult | None
    checks: list[dict[str, Any]]
