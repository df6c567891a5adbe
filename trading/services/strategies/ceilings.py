"""Ceilings: what a person lowered stays down, whatever policy comes next, until two people raise it.

Callers hold the row that changes, so that two changes of one strategy never see half of each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet, Sum

from nautilus_site.common.clock import now
from nautilus_site.common.services.audit import audit_record
from trading.domain.values import decimal_text
from trading.models import Ceiling, Strategy, StrategyInstance
from trading.services.models import CANARY, CHAMPION, canary_name


def weight_changed(instance: StrategyInstance, *, before: Decimal, by: str) -> None:
    """Remember that people, or a measure they can undo, changed an instance's weight."""
    _changed({"instance": instance}, before, instance.weight, by)


def capital_changed(strategy: Strategy, *, before: Decimal, by: str) -> None:
    """Remember that people changed what a strategy has over all its symbols; its row is one of `capital_locked`.

    What they take from a canary comes back to nobody: the machines give its champion no more than it has now.
    """
    after = capital_of(strategy)
    _changed({"strategy": strategy}, before, after, by)
    for champion in _champions(strategy):
        _taken_from_its_canary(champion, before - after, by)


def capital_moved(strategy: Strategy, amount: Decimal, *, lost: Decimal = Decimal(0)) -> None:
    """Shift a ceiling with capital that goes to the strategy's canary (negative) or comes back: nobody lowered that.

    What came back from the canary but not to the strategy is `lost`: it had that too before it was lowered.
    """
    row = Ceiling.objects.select_for_update(no_key=True).filter(strategy=strategy).first()
    if row is not None and (amount or lost):
        row.most, row.was = max(row.most + amount, Decimal(0)), max(row.was + amount + lost, Decimal(0))
        row.save(update_fields=["most", "was"])


def capital_rows(strategies: Iterable[Strategy]) -> QuerySet[Strategy]:
    """The strategies to be locked where people change the capital of some: with those of canaries their champions'."""
    wanted = list(strategies)
    ids = {strategy.pk for strategy in wanted}
    ids |= {champion.pk for strategy in wanted for champion in _champions(strategy)}
    return Strategy.objects.filter(pk__in=ids)


def capital_locked(strategies: Iterable[Strategy]) -> dict[int, Strategy]:
    """Lock them, by primary key."""
    # A champion is older than its canary: whoever begins or ends a trial takes them in this order as well.
    return {row.pk: row for row in capital_rows(strategies).select_for_update(no_key=True).order_by("pk")}


def capital_of(strategy: Strategy) -> Decimal:
    """What a strategy has over all its symbols, quote currency."""
    total = StrategyInstance.objects.filter(strategy=strategy).aggregate(total=Sum("allocation"))["total"]
    return total or Decimal(0)


def capital_room(strategy: Strategy) -> Decimal:
    """How much more a machine may give a strategy whose row is locked; without bound where nobody lowered it."""
    row = Ceiling.objects.filter(strategy=strategy).first()
    return Decimal("Infinity") if row is None else row.most - capital_of(strategy)


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


def _champions(canary: Strategy) -> list[Strategy]:
    """The strategy a canary has a part of the capital of; none where it is no canary."""
    if canary.model_stage != CANARY:
        return []
    rows = Strategy.objects.filter(model_family=canary.model_family, model_stage=CHAMPION)
    return [row for row in rows if canary_name(row) == canary.name]


def _taken_from_its_canary(champion: Strategy, amount: Decimal, by: str) -> None:
    """When the trial is over the champion has `amount` less than it gave; negative: two people gave it back."""
    row = Ceiling.objects.select_for_update(no_key=True).filter(strategy=champion).first()
    if amount > 0:
        most = capital_of(champion) if row is None else row.most
        was = amount + (most if row is None else row.was)
        values = {"most": most, "was": was, "by": by[:320], "at": now()}
        Ceiling.objects.update_or_create(strategy=champion, defaults=values)
    elif amount < 0 and row is not None:
        row.was += amount
        if row.was <= row.most:
            row.delete()
        else:
            row.save(update_fields=["was"])


def _changed(subject: dict[str, Any], before: Decimal, after: Decimal, by: str) -> None:
    row = Ceiling.objects.select_for_update(no_key=True).filter(**subject).first()
    if after < before:
        was = before if row is None else max(row.was, before)
        values = {"most": after, "was": was, "by": by[:320], "at": now()}
        Ceiling.objects.update_or_create(**subject, defaults=values)
    elif row is None or after <= before:
        return
    elif after >= row.was:
        row.delete()  # all that was taken is given back
    elif after > row.most:
        row.most = after
        row.save(update_fields=["most"])
