"""Carrying out a playbook's steps through the services people use. Each lowers risk; none can raise it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import structlog
from django.db import DatabaseError, InterfaceError, connection, transaction

from governance.domain.playbooks import Action, Verb
from governance.models import PlaybookAction, PlaybookRun
from governance.services.playbooks.trimming import trim
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from trading.domain.errors import DomainError
from trading.domain.values import Level, decimal_text
from trading.models import Blackout, Strategy
from trading.services.controls import kill_enforce_again, kill_raise, latched_level
from trading.services.controls.blackouts import blackout_set
from trading.services.controls.limit_kinds import LIMITS
from trading.services.controls.limits import limit_tighten
from trading.services.controls.limits_in_force import limits_in_force
from trading.services.strategies import strategy_disable

log = structlog.get_logger(__name__)
GLOBAL = "global"
State = PlaybookAction.State


def action_carry_out(run: PlaybookRun, number: int, action: Action, *, reason: str) -> PlaybookAction:
    """Take one step and write down what was in force before and after.

    A step that fails, by whatever fault, fails alone and is told with its run: what the others set, a kill above all,
    stays. Only a database that is gone takes the run with it.
    """
    scope = GLOBAL if action.on == GLOBAL else run.scope
    row = PlaybookAction(
        run=run,
        number=number,
        verb=action.verb.value,
        scope=scope,
        parameters=action.members(),
        at=now(),
    )
    try:
        with transaction.atomic():
            _STEPS[action.verb](row, action, scope, f"playbook {run.playbook.name}: {reason}"[:500])
    except (ApplicationError, DomainError) as error:
        row.state, row.error = State.FAILED, f"{type(error).__name__}: {error}"[:300]
    except Exception as error:
        if isinstance(error, DatabaseError | InterfaceError) and not connection.is_usable():
            raise
        row.state, row.error = State.FAILED, f"{type(error).__name__}: {error}"[:300]
        log.exception("playbook_step_broken", playbook=run.playbook.name, scope=scope, verb=row.verb)
    row.save()
    return row


def _kill(row: PlaybookAction, action: Action, scope: str, reason: str) -> None:
    """Latch it on the scope itself: what a breaker demands ends by itself, and a wider scope is resumed alone."""
    level = Level[action.level]
    before = latched_level(scope)
    row.before = {"level": before.name}
    if before >= level:
        # Requests to lower it are void, too: they were made before its cause was seen standing.
        state = kill_enforce_again(scope=scope, reason=reason, actor=_actor(row))
        row.state = State.STANDING
    else:
        state = kill_raise(scope=scope, level=level, reason=reason, actor=_actor(row))
    row.after = {"level": Level(state.level).name, "version": state.version}


def _blackout(row: PlaybookAction, action: Action, scope: str, reason: str) -> None:
    ends_at = row.at + timedelta(minutes=action.minutes)
    standing = Blackout.objects.filter(
        scope=scope, ended_at=None, starts_at__lte=row.at, ends_at__gte=ends_at
    ).first()
    if standing is not None:
        row.after, row.state = {"blackout": standing.pk}, State.STANDING
        return
    window = blackout_set(scope=scope, ends_at=ends_at, reason=reason[:200], actor=_actor(row))
    row.after = {"blackout": window.pk, "ends_at": ends_at.isoformat()}


def _tighten(row: PlaybookAction, action: Action, scope: str, reason: str) -> None:
    kind = LIMITS[action.limit]
    in_force = limits_in_force([scope] if scope == GLOBAL else [GLOBAL, scope]).values[action.limit]
    row.before = {"limit": action.limit, "value": decimal_text(in_force)}
    earlier = (
        PlaybookAction.objects.filter(
            verb=Verb.tighten, scope=scope, parameters__limit=action.limit, run__playbook=row.run.playbook
        )
        .exclude(state__in=(State.FAILED, State.UNDONE, State.STANDING))
        .order_by("-pk")
        .first()
    )
    if earlier is not None and (earlier.after or {}).get("value") == decimal_text(in_force):
        # Tightened by this playbook and not undone: a second time would halve it again and again.
        row.after, row.state = dict(earlier.after or {}), State.STANDING
        return
    factor = Decimal(str(action.factor))
    value = in_force * factor if kind.tighter == "lower" else in_force / factor
    value = value.quantize(Decimal("0.0001")).normalize()
    limit_tighten(name=action.limit, scope=scope, value=value, reason=reason, actor=_actor(row))
    row.after = {"limit": action.limit, "value": decimal_text(value)}


def _disable(row: PlaybookAction, action: Action, scope: str, reason: str) -> None:
    kind, _, name = scope.partition(":")
    if kind != "strategy":
        raise ApplicationError("INVALID_ACTION", f"{scope} is no strategy")
    enabled = Strategy.objects.filter(name=name, is_enabled=True).exists()
    row.before = {"is_enabled": enabled}
    row.after = {"is_enabled": False}
    if not enabled:
        row.state = State.STANDING
        return
    strategy_disable(name=name, actor=_actor(row), reason=reason)


def _actor(row: PlaybookAction) -> str:
    return f"playbook {row.run.playbook.name}"


_STEPS: dict[Verb, Callable[[PlaybookAction, Action, str, str], Any]] = {
    Verb.kill: _kill,
    Verb.blackout: _blackout,
    Verb.tighten: _tighten,
    Verb.trim: trim,
    Verb.disable: _disable,
}
