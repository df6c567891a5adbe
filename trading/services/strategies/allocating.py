"""Amounts and weights that governance decided, put into force until a moment; past it a strategy only reduces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final, Literal

from django.db import transaction
from django.db.models import Q

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.hints import enqueue_on_commit
from nautilus_site.common.services.outbox import publish
from trading.domain.values import CENT, decimal_text
from trading.models import Strategy, StrategyInstance
from trading.services.strategies.ceilings import capital_changed, capital_locked, weight_changed

AS_IT_IS: Final = "as it is"
"""How long amounts hold that are only lowered."""


@dataclass(frozen=True, slots=True)
class Amount:
    """What a strategy is to have in all, over its symbols: `before` as the decider saw it, `after` from now on."""

    before: Decimal
    after: Decimal


@transaction.atomic
def allocations_apply(
    *,
    amounts: Mapping[str, Amount],
    until: datetime | Literal["as it is"] | None,
    actor: str,
    reasons: Mapping[str, str],
    by_people: bool = False,
) -> dict[str, Decimal]:
    """Put amounts into force by strategy name, all or none, and say until when they hold (None: until changed).

    A strategy's amount is split over its symbols as it was when it last had some, evenly where it never had, in whole
    cents. Only what
    changes is audited; renewing an amount moves its expiry. What people lower (`by_people`) no machine raises again.
    Returns what each strategy has now.

    Raises
    ------
    ApplicationError : GRANT_MOVED, somebody else changed an amount after it was read; INVALID_VALUE; nothing changed.
    """
    if isinstance(until, datetime) and until <= now():
        raise ApplicationError("INVALID_VALUE", "an allocation is granted until a moment to come")
    strategies = {}
    if by_people:
        locked = capital_locked(Strategy.objects.filter(name__in=list(amounts)))
        strategies = {row.name: row for row in locked.values() if row.name in amounts}
    rows = list(
        StrategyInstance.objects.select_for_update(of=("self",), no_key=True)
        .select_related("strategy", "instrument")
        .filter(strategy__name__in=list(amounts))
        .order_by("pk")
    )
    in_force: dict[str, Decimal] = {}
    for name, amount in sorted(amounts.items()):
        mine = [row for row in rows if row.strategy.name == name]
        total = sum((row.allocation for row in mine), Decimal(0))
        if total != amount.before:
            raise ApplicationError(
                "GRANT_MOVED", f"{name} has {total:f}, not {amount.before:f}: decide again", status=409
            )
        if amount.after < 0 or (amount.after and not mine):
            raise ApplicationError("INVALID_VALUE", f"{name} cannot be granted {amount.after:f}")
        parts = _parts(mine, total, amount)
        for row, part in zip(mine, parts, strict=True):
            if part != row.allocation:
                enqueue_on_commit(
                    "trading.tasks.plan_refresh",
                    queue="trading",
                    account_id=row.account_id,
                    instrument_id=row.instrument_id,
                )
            if total and not amount.after:
                row.split = row.allocation
            row.allocation = part
            if until != AS_IT_IS:
                row.in_force_until = until
        in_force[name] = sum(parts, Decimal(0))
        if in_force[name] != total:
            audit_record(
                action="strategy.allocation_changed",
                target=f"strategy:{name}",
                actor=actor,
                reason=reasons.get(name, ""),
                before=decimal_text(total),
                after=_members(in_force[name], mine),
            )
            publish("trading_state", {"strategy": name, "allocation": decimal_text(in_force[name])})
    StrategyInstance.objects.bulk_update(rows, ["allocation", "split", "in_force_until"])
    for name, strategy in strategies.items():
        capital_changed(strategy, before=amounts[name].before, by=actor)
    return in_force


@transaction.atomic
def allocations_shorten(*, strategies: Iterable[str], until: datetime) -> int:
    """Let amounts hold until a moment at the longest: what lies beyond was said by another policy, or another clock.

    Those of other strategies as well, which were once decided about; only what they have of a listing has a time of
    its own. Returns how many were shortened.
    """
    theirs = Q(strategy__name__in=list(strategies)) | Q(instrument__listing__isnull=True)
    rows = StrategyInstance.objects.select_for_update(of=("self",), no_key=True).filter(
        theirs, in_force_until__gt=until
    )
    ids = list(rows.order_by("pk").values_list("pk", flat=True))
    return StrategyInstance.objects.filter(pk__in=ids).update(in_force_until=until) if ids else 0


def _parts(rows: list[StrategyInstance], total: Decimal, amount: Amount) -> list[Decimal]:
    if amount.after == total:
        return [row.allocation for row in rows]
    shares = [row.allocation if total else row.split or Decimal(0) for row in rows]
    if not any(shares):
        shares = [Decimal(1) for _ in rows]
    whole = sum(shares, Decimal(0))
    parts = [(amount.after * share / whole).quantize(CENT, rounding=ROUND_DOWN) for share in shares]
    # The cents that rounding left over go one by one to those that have something: the sum is the amount.
    left = int((amount.after - sum(parts, Decimal(0))) / CENT)
    for index in [i for i, share in enumerate(shares) if share][:left]:
        parts[index] += CENT
    return parts


def _members(total: Decimal, rows: list[StrategyInstance]) -> dict[str, Any]:
    return {
        "allocation": decimal_text(total),
        "symbols": {row.instrument.symbol: decimal_text(row.allocation) for row in rows},
    }


@dataclass(frozen=True, slots=True)
class Weighting:
    """One instance's weight: `before` as the decider saw it, `after` from now on."""

    instance_id: int
    before: Decimal
    after: Decimal
    reason: str


@transaction.atomic
def weights_apply(
    *, weightings: list[Weighting], actor: str, until_undone: bool = False
) -> list[StrategyInstance]:
    """Put weights into force, all or none. Zero is no stop: the position is sold in an orderly way.

    What is lowered `until_undone` the router does not raise again; two people do.

    Raises
    ------
    ApplicationError : GRANT_MOVED, a weight was changed after it was read; INVALID_VALUE; nothing changed.
    """
    wanted = {item.instance_id: item for item in weightings}
    rows = list(
        StrategyInstance.objects.select_for_update(of=("self",), no_key=True)
        .filter(pk__in=list(wanted))
        .order_by("pk")
    )
    for row in rows:
        item = wanted[row.pk]
        if row.weight != item.before:
            raise ApplicationError(
                "GRANT_MOVED", f"{row} has the weight {row.weight:f}: decide again", status=409
            )
        if not 0 <= item.after <= 1:
            raise ApplicationError("INVALID_VALUE", f"expected a weight of 0 to 1, was {item.after:f}")
        row.weight = item.after
        if until_undone:
            weight_changed(row, before=item.before, by=actor)
        audit_record(
            action="strategy.weight_changed",
            target=f"instance:{row.pk}",
            actor=actor,
            reason=item.reason,
            before=decimal_text(item.before),
            after=decimal_text(item.after),
        )
        enqueue_on_commit(
            "trading.tasks.plan_refresh",
            queue="trading",
            account_id=row.account_id,
            instrument_id=row.instrument_id,
        )
    StrategyInstance.objects.bulk_update(rows, ["weight"])
    return rows
