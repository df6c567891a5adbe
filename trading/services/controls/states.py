"""Levels by scope: how they are read by whoever sends, and how they are raised. Machines only raise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.hints import enqueue_on_commit
from nautilus_site.common.services.outbox import publish
from trading import metrics
from trading.domain.errors import InvariantViolation
from trading.domain.values import Level
from trading.models import Account, TradingState
from trading.services.controls.raising import check_may_raise
from trading.services.scopes import GLOBAL, parse_scope


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


READ_WITHIN_MS = 250
CHANGES_OF_LEVELS = (
    "kill.raised",
    "kill.enforced",
    "kill.auto_raised",
    "kill.auto_ended",
    "trading_state.lowered",
)
"""Actions that change the row of a scope, or find it as they want it: each leaves its entry in the same transaction."""


class KillUnreadable(Exception):
    """The levels could not be read in time; that is HALT_NEW. The transaction that asked is over."""

    @classmethod
    def late(cls) -> KillUnreadable:
        return cls(f"the kill levels could not be read within {READ_WITHIN_MS} ms: {Level.HALT_NEW.name}")


def effective_level(scopes: Sequence[str]) -> tuple[Level, str]:
    """The highest level over the scopes as it is now, and the scope it comes from. Whoever sends asks the gate."""
    rows = TradingState.objects.filter(scope__in=scopes).only("scope", "level", "auto_level")
    return highest_level({row.scope: row.effective for row in rows})


def latched_level(scope: str) -> Level:
    """What was latched on a scope itself, locked until the transaction ends: nobody lowers it beside who decides by it.

    Neither what breakers demand, which ends by itself, nor wider scopes, which are resumed on their own.
    """
    rows = TradingState.objects.select_for_update(no_key=True)
    everything = rows.filter(scope=GLOBAL).first()  # first, as whoever raises or lowers locks it first
    scope = parse_scope(scope)
    state = everything if scope == GLOBAL else rows.filter(scope=scope).first()
    return Level(state.level) if state is not None else Level.ACTIVE


def highest_level(levels: Mapping[str, Level]) -> tuple[Level, str]:
    """The highest of some levels and its scope; without a global row nobody has ever allowed trading."""
    if GLOBAL not in levels:
        return Level.HALT_NEW, GLOBAL
    scope = max(levels, key=lambda name: levels[name])
    return levels[scope], scope


@transaction.atomic
def kill_raise(
    *, scope: str, level: Level, reason: str, actor: User | str, include_stops: bool = False
) -> TradingState:
    """Raise the level of a scope at once. Never lowers; asking again for the same level enforces it again.

    `include_stops` cancels the protective orders too, which CANCEL otherwise leaves standing. Machines raise any
    scope, people what `check_may_raise` lets them.
    """
    scope = parse_scope(scope)
    if isinstance(actor, User):
        check_may_raise(actor, scope)
    if level is Level.ACTIVE:
        raise ApplicationError("INVALID_LEVEL", "a kill raises the level; use resume to return to ACTIVE")
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    moment = now()
    state, everything = locked_states(scope, str(actor), moment)
    before = Level(state.level)
    if level > before:
        state.level, state.reason = level, reason.strip()
        state.changed_by, state.changed_at = str(actor), moment
    if include_stops and state.level >= Level.CANCEL:
        state.include_stops = True
    save_next_version(state, everything)
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
    _enforce_soon(state)
    return state


@transaction.atomic
def kill_enforce_again(*, scope: str, reason: str, actor: str) -> TradingState:
    """Enforce the level that stands on a scope once more; what was asked to lower it is void. No level changes.

    So nothing is told: a machine that finds its cause standing every few minutes has no news for people.
    """
    scope, moment = parse_scope(scope), now()
    state, everything = locked_states(scope, actor, moment)
    save_next_version(state, everything)
    audit_record(
        action="kill.enforced", target=scope, actor=actor, reason=reason, after=Level(state.level).name
    )
    _enforce_soon(state)
    return state


@transaction.atomic
def auto_level_set(*, scope: str, level: Level, reason: str, actor: str) -> None:
    """Put down what open breakers demand of a scope now. It may fall again by itself, so it never reaches CANCEL.

    What people (or machines without that policy) latched is in another column, which this never touches.
    """
    if level > Level.HALT_NEW:
        raise InvariantViolation(f"{level.name} is never reset automatically")
    scope = parse_scope(scope)
    moment = now()
    # Raising takes the global row like every raise, so that no order is authorised beside it unseen.
    state, everything = locked_states(scope, actor, moment)
    before = Level(state.auto_level)
    if level == before:
        return
    state.auto_level, state.auto_reason = level, reason[:500]
    save_next_version(state, everything)
    audit_record(
        action="kill.auto_raised" if level > before else "kill.auto_ended",
        target=scope,
        actor=actor,
        reason=reason,
        before=before.name,
        after=level.name,
    )
    publish("trading_state", state_members(state))
    _enforce_soon(state)


def locked_states(scope: str, actor: str, moment: datetime) -> tuple[TradingState, TradingState]:
    """The scope's row and the global one (the same, where they are), locked; what is missing is created."""
    rows = TradingState.objects.select_for_update(no_key=True)
    everything, _ = rows.get_or_create(
        scope=GLOBAL, defaults={"level": Level.HALT_NEW, "changed_by": actor, "changed_at": moment}
    )
    if scope == GLOBAL:
        return everything, everything
    state, _ = rows.get_or_create(
        scope=scope, defaults={"level": Level.ACTIVE, "changed_by": actor, "changed_at": moment}
    )
    return state, everything


def save_next_version(state: TradingState, everything: TradingState) -> None:
    """Every change of any scope updates the global row: that is what a send waits for."""
    everything.version += 1
    if state is not everything:
        state.version = everything.version
        state.save()
    everything.save()


def _enforce_soon(state: TradingState) -> None:
    if state.effective >= Level.REDUCING:
        for account_id in Account.objects.filter(is_active=True).values_list("pk", flat=True):
            enqueue_on_commit("trading.tasks.kill_enforce", queue="control", account_id=account_id)


def state_members(state: TradingState) -> dict[str, Any]:
    """A state as the API, the page and the event show it."""
    return {
        "scope": state.scope,
        "level": state.effective.value,
        "level_name": state.effective.name,
        "reason": state.reason_in_force,
        "changed_by": state.changed_by,
        "at": state.changed_at.isoformat(),
    }
