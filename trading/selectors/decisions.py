"""Decisions: what each strategy wanted, and why."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from trading.models import Decision
from trading.selectors.notation import amount_text, utc_text


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
        "bar_open_at": utc_text(decision.bar_open_at),
        "price": amount_text(decision.price),
        "target": decision.target,
        "confidence": decision.confidence,
        "reason": decision.reason,
        "features": decision.features,
        "decided_at": utc_text(decision.decided_at),
    }
