"""What one instance may do: less capital, or none, is one person's, at once; more takes a second one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_foreseen, change_request_create
from nautilus_site.common.services.hints import enqueue_on_commit
from nautilus_site.common.services.outbox import publish
from nautilus_site.common.services.turns import one_at_a_time
from trading.domain.values import decimal_text, is_whole_cents
from trading.models import Strategy, StrategyInstance
from trading.selectors.notation import utc_text
from trading.services.strategies.ceilings import (
    capital_changed,
    capital_locked,
    capital_of,
    capital_rows,
    weight_changed,
)


def grant_change(
    *,
    instance: StrategyInstance,
    weight: Decimal,
    allocation: Decimal,
    actor: User,
    reason: str,
    expires_in_s: int | None = None,
) -> StrategyInstance | ChangeRequest:
    """Change an instance's weight and allocation: at once where neither grows, by request where one does.

    What is lowered is no machine's to raise: a ceiling remembers it until two people do. What has lapsed is asked for
    by its own amount: two people let it hold again.

    Raises
    ------
    ApplicationError : REASON_REQUIRED, INVALID_VALUE.
    """
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    if not 0 <= weight <= 1 or allocation < 0:
        raise ApplicationError(
            "INVALID_VALUE", "expected a weight of 0 to 1 and an allocation of zero or more"
        )
    asked: dict[str, Any] = {
        "kind": "strategy.grant",
        "target": f"instance:{instance.pk}",
        "payload": {"weight": decimal_text(weight), "allocation": decimal_text(allocation)},
        "requester": actor,
    }
    seen = StrategyInstance.objects.get(pk=instance.pk)
    raises = grant_raises(seen, weight=weight, allocation=allocation)
    foreseen = change_foreseen(**asked) if raises else None
    return _grant_changed(
        seen, weight, allocation, {**asked, "expires_in_s": expires_in_s, "foreseen": foreseen}, reason
    )


@one_at_a_time
def _grant_changed(
    instance: StrategyInstance, weight: Decimal, allocation: Decimal, asked: dict[str, Any], reason: str
) -> StrategyInstance | ChangeRequest:
    capital_locked([instance.strategy])
    instance = StrategyInstance.objects.select_for_update(of=("self",), no_key=True).get(pk=instance.pk)
    diff = {
        "weight": [decimal_text(instance.weight), decimal_text(weight)],
        "allocation": [decimal_text(instance.allocation), decimal_text(allocation)],
    }
    _whole_cents(instance, allocation)
    if not grant_raises(instance, weight=weight, allocation=allocation):
        return _grant_set(instance.pk, weight, allocation, actor=asked["requester"], reason=reason, diff=diff)
    if _has_lapsed(instance):
        diff["in_force_until"] = [utc_text(instance.in_force_until) or "", "until changed"]
    return change_request_create(**asked, diff=diff, reason=reason)


def grant_raises(instance: StrategyInstance, *, weight: Decimal, allocation: Decimal) -> bool:
    """Whether it would let the instance do more than it may now: more of either, or what has lapsed once more."""
    if (weight, allocation) == (instance.weight, instance.allocation):
        return _has_lapsed(instance)
    return weight > instance.weight or allocation > instance.allocation


def _has_lapsed(instance: StrategyInstance) -> bool:
    return instance.in_force_until is not None and instance.in_force_until <= now()


@transaction.atomic
def _grant_set(
    instance_id: int,
    weight: Decimal,
    allocation: Decimal,
    *,
    actor: User | str,
    reason: str,
    diff: dict[str, Any],
) -> StrategyInstance:
    # The strategy first, as wherever capital moves between instances: a ceiling on it counts them all.
    owner = Strategy.objects.get(instances=instance_id)
    strategy = capital_locked([owner])[owner.pk]
    instance = StrategyInstance.objects.select_for_update(of=("self",), no_key=True).get(pk=instance_id)
    _whole_cents(instance, allocation)
    weight_before, capital_before = instance.weight, capital_of(strategy)
    if allocation != instance.allocation:
        instance.split = allocation
    instance.weight, instance.allocation = weight, allocation
    instance.save(update_fields=["weight", "allocation", "split"])
    weight_changed(instance, before=weight_before, by=str(actor))
    capital_changed(strategy, before=capital_before, by=str(actor))
    audit_record(
        action="strategy.grant_changed",
        target=f"instance:{instance_id}",
        actor=actor,
        reason=reason,
        after=diff,
    )
    enqueue_on_commit(
        "trading.tasks.plan_refresh",
        queue="trading",
        account_id=instance.account_id,
        instrument_id=instance.instrument_id,
    )
    return instance


def _whole_cents(instance: StrategyInstance, allocation: Decimal) -> None:
    """What stays may be finer: it is in force so."""
    if allocation != instance.allocation and not is_whole_cents(allocation):
        raise ApplicationError("INVALID_VALUE", "allocation: expected whole cents")


def grant_snapshot(target: str) -> dict[str, Any]:
    instance = _by_target(target)
    return {"weight": decimal_text(instance.weight), "allocation": decimal_text(instance.allocation)}


def instance_rows(target: str) -> Rows:
    """What the snapshots of `instance:ID` are read from; the strategy first, as wherever capital moves."""
    pk = int(target.partition(":")[2])
    return [capital_rows(Strategy.objects.filter(instances=pk)), StrategyInstance.objects.filter(pk=pk)]


def apply_grant(request: ChangeRequest, approver: User) -> None:
    """Set weight and allocation as approved; runs inside the approving transaction.

    They hold until somebody changes them; what the allocator decides about it puts an end to again with its next run.
    """
    StrategyInstance.objects.filter(pk=int(request.target.partition(":")[2])).update(in_force_until=None)
    _grant_set(
        int(request.target.partition(":")[2]),
        Decimal(request.payload["weight"]),
        Decimal(request.payload["allocation"]),
        actor=f"{request.requester} and {approver}",
        reason=request.reason,
        diff=request.diff,
    )


def instance_of(*, strategy: str, account: str, symbol: str) -> StrategyInstance:
    """One instance by what people call it.

    Raises
    ------
    NotFound : UNKNOWN_INSTANCE.
    """
    found = StrategyInstance.objects.filter(
        strategy__name=strategy, account__name=account, instrument__symbol=symbol
    ).first()
    if found is None:
        raise NotFound("UNKNOWN_INSTANCE", f"{strategy} does not trade {symbol} of {account}")
    return found


@transaction.atomic
def instance_disable(*, instance: StrategyInstance, actor: User | str, reason: str) -> StrategyInstance:
    """Take one symbol from a strategy at once. Its position stays as it is."""
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    return _instance_switch(instance.pk, enabled=False, actor=actor, reason=reason)


def instance_enable_request(
    *, instance: StrategyInstance, requester: User, reason: str, expires_in_s: int | None = None
) -> ChangeRequest:
    """Ask for one symbol to be traded again.

    Raises
    ------
    Conflict : ALREADY_ENABLED.
    """
    if instance.is_enabled:
        raise Conflict("ALREADY_ENABLED", f"{instance} is enabled already")
    return change_request_create(
        kind="strategy.instance_enable",
        target=f"instance:{instance.pk}",
        payload={"instance": str(instance), "account": instance.account.name},
        diff={"enabled": [False, True]},
        reason=reason,
        requester=requester,
        expires_in_s=expires_in_s,
    )


def instance_snapshot(target: str) -> dict[str, Any]:
    instance = _by_target(target)
    return {"enabled": instance.is_enabled, **grant_snapshot(target)}


def apply_instance_enable(request: ChangeRequest, approver: User) -> None:
    """Switch the instance on as approved; runs inside the approving transaction."""
    _instance_switch(
        int(request.target.partition(":")[2]),
        enabled=True,
        actor=f"{request.requester} and {approver}",
        reason=request.reason,
    )


def _instance_switch(instance_id: int, *, enabled: bool, actor: User | str, reason: str) -> StrategyInstance:
    instance = (
        StrategyInstance.objects.select_for_update(of=("self",), no_key=True)
        .select_related("strategy", "account", "instrument")
        .get(pk=instance_id)
    )
    if instance.is_enabled == enabled:
        return instance
    instance.is_enabled = enabled
    instance.save(update_fields=["is_enabled"])
    audit_record(
        action="strategy.instance_enabled" if enabled else "strategy.instance_disabled",
        target=f"instance:{instance_id}",
        actor=actor,
        reason=reason,
        before=not enabled,
        after=enabled,
    )
    publish("trading_state", {"strategy": instance.strategy.name, "enabled": instance.strategy.is_enabled})
    if instance.makes_market:
        enqueue_on_commit(
            "trading.tasks.plan_refresh",
            queue="trading",
            account_id=instance.account_id,
            instrument_id=instance.instrument_id,
        )
    return instance


def _by_target(target: str) -> StrategyInstance:
    found = StrategyInstance.objects.filter(pk=int(target.partition(":")[2])).first()
    if found is None:
        raise NotFound("UNKNOWN_INSTANCE", f"there is no {target}")
    return found
