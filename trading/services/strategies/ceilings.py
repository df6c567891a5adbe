"""Ceilings: what a person lowered stays down, whatever policy comes next, until two people raise it.

Callers hold the row that changes, so that two changes of one strategy never see half of each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Sum

from nautilus_site.common.clock import now
from nautilus_site.common.services.audit import audit_record
from trading.domain.values import decimal_text
from trading.models import Ceiling, Strategy, StrategyInstance


def weight_changed(instance: StrategyInstance, *, before: Decimal, by: str) -> None:
    """Remember that people, or a measure they can undo, changed an instance's weight."""
    _changed({"instance": instance}, before, instance.weight, by)


def capital_changed(strategy: Strategy, *, before: Decimal, by: str) -> None:
    """Remember that people changed what a strategy has over all its symbols."""
    _changed({"strategy": strategy}, before, capital_of(strategy), by)


def capital_moved(strategy: Strategy, amount: Decimal) -> None:
    """Shift a ceiling with capital that goes to the strategy's canary (negative) or comes back: nobody lowered that."""
    row = Ceiling.objects.select_for_update(no_key=True).filter(strategy=strategy).first()
    if row is not None and amount:
        row.most, row.was = max(row.most + amount, Decimal(0)), max(row.was + amount, Decimal(0))
        row.save(update_fields=["most", "was"])


def capital_of(strategy: Strategy) -> Decimal:
    """What a strategy has over all its symbols, quote currency."""
    total = StrategyInstance.objects.filter(strategy=strategy).aggregate(total=Sum("allocation"))["total"]
    return total or Decimal(0)


def ceilings_lift(
    *,
    instances: Iterable[int] = (),
    strategies: Iterable[str] = (),
    asked_at: datetime,
    actor: str,
    reason: str,
) -> int:
    """Lift ceilings that an approved change names; what was lowered after it was asked for stays down.

    Callers run inside the approving transaction. Returns how many were lifted.
    """
    rows = Ceiling.objects.filter(instance__in=list(instances)) | Ceiling.objects.filter(
        strategy__name__in=list(strategies)
    )
    lifted = 0
    for row in rows.select_related("strategy", "instance").order_by("pk"):
        if row.at > asked_at:
            continue
        audit_record(
            action="strategy.ceiling_lifted",
            target=f"strategy:{row.strategy.name}" if row.strategy else f"instance:{row.instance_id}",
            actor=actor,
            reason=reason,
            before=decimal_text(row.most),
        )
        row.delete()
        lifted += 1
    return lifted


def _changed(subject: dict[str, Any], before: Decimal, after: Decimal, by: str) -> None:
    row = Ceiling.objects.select_for_update(no_key=True).filter(**subject).first()
    if after < before:
        was = before if row is None else max(row.was, before)
        values = {"most": after, "was": was, "by": by[:320], "at": now()}
        Ceiling.objects.update_or_create(**subject, defaults=values)
    elif row is not None and after >= row.was:
        row.delete()  # all that was taken is given back
    elif row is not None and after > row.most:
        row.most = after
        row.save(update_fields=["most"])
