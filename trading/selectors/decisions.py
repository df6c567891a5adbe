"""Decisions: what each strategy wanted, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from trading.domain.clock import interval_ns
from trading.models import Decision, StrategyInstance
from trading.selectors.notation import amount_text, utc_text
from universe.domain.bars import BarRecord
from universe.selectors import bars_since


def decision_queryset() -> QuerySet[Decision]:
    """Decisions newest first with everything `decision_members` reads."""
    return Decision.objects.select_related(
        "instance__strategy", "instance__account", "instance__instrument"
    ).order_by("-id")


def decision_members(decision: Decision) -> dict[str, Any]:
    """The public members of a decision. `bar_open_at` is market time, `decided_at` wall time."""
    instance = decision.instance
    return {
        "id": decision.pk,
        "strategy": instance.strategy.name,
        "account": instance.account.name,
        "symbol": instance.instrument.symbol,
        "trigger": decision.trigger,
        "bar_open_at": utc_text(decision.bar_open_at),
        "price": amount_text(decision.price),
        "target": decision.target,
        "confidence": decision.confidence,
        "reason": decision.reason,
        "features": decision.features,
        "quotes": decision.quotes,
        "decided_at": utc_text(decision.decided_at),
    }


def decision_bars(instance: StrategyInstance, warm_from: datetime) -> list[BarRecord]:
    """The stored bars from which the memory of an instance was made, and those after, without a hole."""
    rows = bars_since(instance.instrument, instance.strategy.interval, warm_from)
    step = interval_ns(instance.strategy.interval)
    for at in range(1, len(rows)):
        if rows[at].open_time_ns - rows[at - 1].open_time_ns != step:
            return rows[:at]
    return rows
