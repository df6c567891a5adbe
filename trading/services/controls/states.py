"""Levels by scope. Raising one is immediate; lowering one takes a second person."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_create
from nautilus_site.common.services.hints import enqueue_on_commit
from nautilus_site.common.services.outbox import publish
from trading import metrics
from trading.domain.values import Level
from trading.models import Account, KillEnforcement, TradingState
from trading.services.scopes import GLOBAL, parse_scope


@dataclass(frozen=True, slots=True)
class KillReport:
    """What the exchange has confirmed of a kill so far."""

    scope: str
    level: Level
    cancel_requested: int
    open_orders_remaining: int | None
    confirmed: bool
    elapsed_s: float


def states_install(*, level: Level, reason: str, actor: User | str) -> None:
    """Create the permanent global row. Trading starts at `level`; an existing row is left as it is."""
    _, created = TradingState.objects.get_or_create(
        scope=GLOBAL,
        defaults={"level": level, "reason": reason, "changed_by": str(actor), "changed_at": now()},
    )
    if created:
        audit_record(
            action="trading_state.installed", target=GLOBAL, actor=actor, reason=reason, after=level.name
        )


def effective_level(scopes: Sequence[str], *, lock: bool = False) -> tuple[Level, str]:
    """The highest level over the scopes, and the scope it comes from.

    With `lock` the global row is share-locked first: every raise updates that row, so a raise that committed is
    seen, and one that did not yet has to wait for us. A missing global row means nobody has ever allowed trading.
    """
    rows = TradingState.objects.filter(scope__in=scopes)
    if lock:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("SELECT level FROM trading_tradingstate WHERE scope = %s FOR SHARE", [GLOBAL])
            cursor.fetchone()
    levels = {row.scope: Level(row.level) for row in rows}
    if GLOBAL not in levels:
        return Level.HALT_NEW, GLOBAL
    scope = max(levels, key=lambda name: levels[name])
    return levels[scope], scope


@transaction.atomic
def kill_raise(*, scope: str, level: Level, reason: str, actor: User | str) -> TradingState:
    """Raise the level of a scope at once. Never lowers; asking again for the same level enforces it again."""
    scope = parse_scope(scope)
    if level is Level.ACTIVE:
        raise ApplicationError("INVALID_LEVEL", "a kill raises the level; use resume to return to ACTIVE")
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    moment = now()
    everything, _ = TradingState.objects.select_for_update().get_or_create(
        scope=GLOBAL, defaults={"level": Level.HALT_NEW, "changed_by": str(actor), "changed_at": moment}
    )
    everything.version += 1
    state = everything
    if scope != GLOBAL:
        state, _ = TradingState.objects.select_for_update().get_or_create(
            scope=scope, defaults={"level": Level.ACTIVE, "changed_by": str(actor), "changed_at": moment}
        )
    before = Level(state.level)
    if level > before:
        state.level, state.reason, state.changed_by, state.changed_at = (
            level,
            reason.strip(),
            str(actor),
            moment,
        )
    if state is not everything:
        state.version = everything.version
        state.save()
    everything.save()
    audit_record(
        action="kill.raised",
        target=scope,
        actor=actor,
        reason=reason,
        before=before.name,
        after=Level(state.level).name,
    )
    publish("trading_state", state_members(state))
    metrics.KILL_SWITCH.inc()
    if Level(state.level) >= Level.REDUCING:
        for account_id in Account.objects.filter(is_active=True).values_list("pk", flat=True):
            enqueue_on_commit("trading.tasks.kill_enforce", queue="control", account_id=account_id)
    return state


def kill_wait(*, scope: str, timeout_s: float = 5.0) -> KillReport:
    """Watch the exchange follow a kill until it is confirmed for every account, or the time is over."""
    started = time.monotonic()
    scope = parse_scope(scope)
    while True:
        report = kill_report(scope, time.monotonic() - started)
        if report.confirmed or report.elapsed_s >= timeout_s:
            return report
        time.sleep(0.05)


def kill_report(scope: str, elapsed_s: float) -> KillReport:
    """The state of enforcement of a scope's present level, over all active accounts."""
    state = TradingState.objects.get(scope=scope)
    level = Level(state.level)
    accounts = list(Account.objects.filter(is_active=True).values_list("pk", flat=True))
    rows = KillEnforcement.objects.filter(scope=scope, state_version=state.version, account__in=accounts)
    requested, remaining, confirmed, known = 0, 0, True, True
    for account_id in accounts:
        of_account = [row for row in rows if row.account_id == account_id]
        requested += max((row.cancel_requested for row in of_account), default=0)
        counts = [row.open_orders_remaining for row in of_account if row.open_orders_remaining is not None]
        known = known and bool(counts)
        remaining += min(counts, default=0)
        confirmed = confirmed and any(row.confirmed_at for row in of_account)
    if level < Level.CANCEL:
        # Nothing has to be cancelled at HALT_NEW; the commit of the level is all there is to confirm.
        confirmed = confirmed or level is Level.HALT_NEW
    return KillReport(scope, level, requested, remaining if known else None, confirmed, round(elapsed_s, 3))


def resume_request(
    *, scope: str, to_level: Level, reason: str, requester: User, expires_in_s: int | None = None
) -> ChangeRequest:
    """Ask for a lower level. Nothing changes until somebody else approves."""
    scope = parse_scope(scope)
    state = TradingState.objects.filter(scope=scope).first()
    current = Level(state.level) if state else Level.ACTIVE
    if to_level >= current:
        raise Conflict("NOT_LOWER", f"{scope} is at {current.name}; resume lowers the level")
    return change_request_create(
        kind="trading_state.lower",
        target=scope,
        payload={"to_level": int(to_level)},
        diff={"level": [current.name, to_level.name]},
        reason=reason,
        requester=requester,
        expires_in_s=expires_in_s,
    )


def state_snapshot(scope: str) -> dict[str, Any]:
    """What must not change between a resume's request and its approval."""
    state = TradingState.objects.filter(scope=scope).first()
    return (
        {"level": state.level, "version": state.version}
        if state
        else {"level": int(Level.ACTIVE), "version": 0}
    )


def apply_lower(request: ChangeRequest, approver: User) -> None:
    """Lower the level as approved; runs inside the approving transaction."""
    level = Level(request.payload["to_level"])
    everything = TradingState.objects.select_for_update().get(scope=GLOBAL)
    everything.version += 1
    state = everything
    if request.target != GLOBAL:
        state = TradingState.objects.select_for_update().get(scope=request.target)
        state.version = everything.version
    before = Level(state.level)
    state.level, state.reason = level, request.reason
    state.changed_by, state.changed_at = f"{request.requester} and {approver}", now()
    state.save()
    if state is not everything:
        everything.save()
    audit_record(
        action="trading_state.lowered",
        target=request.target,
        actor=approver,
        reason=request.reason,
        before=before.name,
        after=level.name,
    )
    publish("trading_state", state_members(state))


def state_members(state: TradingState) -> dict[str, Any]:
    """A state as the API, the page and the event show it."""
    return {
        "scope": state.scope,
        "level": state.level,
        "level_name": Level(state.level).name,
        "reason": state.reason,
        "changed_by": state.changed_by,
        "at": state.changed_at.isoformat(),
    }
