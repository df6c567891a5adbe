"""Switching strategies on and off: off is one person's, at once; on takes a second one."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_create
from nautilus_site.common.services.hints import enqueue_on_commit
from nautilus_site.common.services.outbox import publish
from trading.models import Strategy


@transaction.atomic
def strategy_disable(*, name: str, actor: User | str, reason: str) -> Strategy:
    """Stop a strategy at once. Its position stays as it is; disabling takes no second person."""
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    strategy = strategy_locked(name)
    if strategy.is_enabled:
        strategy.is_enabled, strategy.updated_at = False, now()
        strategy.save(update_fields=["is_enabled", "updated_at"])
        audit_record(
            action="strategy.disabled",
            target=f"strategy:{name}",
            actor=actor,
            reason=reason,
            before=True,
            after=False,
        )
        publish("trading_state", {"strategy": name, "enabled": False})
        # What it quotes is taken back at once; what it holds stays.
        for instance in strategy.instances.filter(makes_market=True):
            enqueue_on_commit(
                "trading.tasks.plan_refresh",
                queue="trading",
                account_id=instance.account_id,
                instrument_id=instance.instrument_id,
            )
    return strategy


def strategy_enable_request(
    *, name: str, requester: User, reason: str, expires_in_s: int | None = None
) -> ChangeRequest:
    """Ask for a strategy to be enabled."""
    strategy = Strategy.objects.filter(name=name).first()
    if strategy is None:
        raise NotFound("UNKNOWN_STRATEGY", f"no strategy is called {name!r}")
    if strategy.is_enabled:
        raise Conflict("ALREADY_ENABLED", f"{name} is enabled already")
    return change_request_create(
        kind="strategy.enable",
        target=f"strategy:{name}",
        payload={"name": name},
        diff={"enabled": [False, True]},
        reason=reason,
        requester=requester,
        expires_in_s=expires_in_s,
    )


def strategy_snapshot(target: str) -> dict[str, Any]:
    """What enabling would let loose: a request is void when any of it changes meanwhile."""
    name = target.partition(":")[2]
    strategy = Strategy.objects.filter(name=name).first()
    if strategy is None:
        raise NotFound("UNKNOWN_STRATEGY", f"no strategy is called {name!r}")
    return {
        "enabled": strategy.is_enabled,
        "kind": strategy.kind,
        "interval": strategy.interval,
        "parameters": strategy.parameters,
        "model_family": strategy.model_family,
    }


def strategy_rows(target: str) -> Rows:
    """What the snapshots of `strategy:NAME` are read from."""
    return [Strategy.objects.filter(name=target.partition(":")[2])]


def apply_enable(request: ChangeRequest, approver: User) -> None:
    """Enable as approved; runs inside the approving transaction."""
    strategy = strategy_locked(request.payload["name"])
    strategy.is_enabled, strategy.updated_at = True, now()
    strategy.save(update_fields=["is_enabled", "updated_at"])
    publish("trading_state", {"strategy": strategy.name, "enabled": True})


def strategy_locked(name: str) -> Strategy:
    """The row, locked.

    Raises
    ------
    NotFound : UNKNOWN_STRATEGY.
    """
    strategy = Strategy.objects.select_for_update(no_key=True).filter(name=name).first()
    if strategy is None:
        raise NotFound("UNKNOWN_STRATEGY", f"no strategy is called {name!r}")
    return strategy
