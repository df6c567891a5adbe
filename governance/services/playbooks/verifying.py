"""Seeing each step's effect, in a later transaction, by what the rails themselves read. One that is not seen is told
and answered with a level.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import structlog
from django.db import DatabaseError, transaction

from governance.domain.playbooks import Verb
from governance.models import PlaybookAction
from governance.services.playbooks.incidents import incident_note, incident_publish
from governance.services.playbooks.trimming import trim_missing
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.steps import step_alone
from trading.domain.errors import DomainError
from trading.domain.values import Level
from trading.models import KillEnforcement, Strategy
from trading.selectors.accounts import accounts_of_scope
from trading.selectors.blackouts import blackout_queryset, blackout_state
from trading.services.controls import effective_level, kill_raise
from trading.services.controls.limit_kinds import LIMITS
from trading.services.controls.limits_in_force import limits_in_force

log = structlog.get_logger(__name__)
WITHIN = timedelta(seconds=60)
GLOBAL = "global"
State = PlaybookAction.State


def actions_verify() -> int:
    """Look at every step that is done and not seen to work yet. Returns how many were seen. None holds up another."""
    waiting = PlaybookAction.objects.filter(
        state__in=(State.DONE, State.FAILED), verified_at=None, undo_request=""
    )
    seen = 0
    for pk in waiting.order_by("pk").values_list("pk", flat=True):
        with step_alone("action_verify", action=pk):
            seen += _verify(pk)
    return seen


@transaction.atomic
def _verify(pk: int) -> bool:
    row = (
        PlaybookAction.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
        .select_related("run__incident", "run__playbook")
        .filter(pk=pk, state__in=(State.DONE, State.FAILED), verified_at=None)
        .first()
    )
    if row is None:
        return False
    if row.state == State.DONE:
        missing = _missing(row)
        if not missing:
            row.state, row.verified_at, row.error = State.VERIFIED, now(), ""
            row.save(update_fields=["state", "verified_at", "error"])
            incident_note(row.run.incident, actor="guardian", what=f"{row.verb} {row.scope} is in force")
            return True
        if now() - row.at < WITHIN:
            return False
        row.state, row.error = State.FAILED, missing[:300]
    # Failed, or not in force after a minute: what it should have stopped is stopped the hard way.
    row.verified_at = now()
    row.save(update_fields=["state", "error", "verified_at"])
    incident = row.run.incident
    what = f"{row.verb} {row.scope} had no effect; {_stop(row)} ({row.error})"
    incident_note(incident, actor="guardian", what=what)
    incident_publish(incident, severity="critical", news=f"no_effect:{row.pk}", reason=what)
    log.error(
        "playbook_action_without_effect", action=row.pk, verb=row.verb, scope=row.scope, error=row.error
    )
    return False


def _missing(row: PlaybookAction) -> str:
    """What of a step's effect is not seen. One that cannot be looked at is not seen, and says why."""
    try:
        with transaction.atomic():
            return _EFFECTS[Verb(row.verb)](row)
    except Exception as error:
        # Whatever is wrong with the row or the look at it: it must not pass for an effect, nor end the others' turn.
        log.exception("playbook_action_not_verified", action=row.pk, verb=row.verb, scope=row.scope)
        return f"it could not be verified: {error!r}"


def _stop(row: PlaybookAction) -> str:
    """Raise the level of the scope; in words what came of it.

    To REDUCING: no new risk and no order that rests for it, while stops are placed and what is held can be sold. Higher
    only where the step itself wanted that: HALT_NEW would keep the very position that was to become smaller.
    """
    level = max(Level.REDUCING, _wanted(row))
    reason = f"{row.verb} of playbook {row.run.playbook.name} had no effect: {row.error}"
    try:
        with transaction.atomic():
            state = kill_raise(scope=row.scope, level=level, reason=reason[:500], actor="guardian")
    except (ApplicationError, DomainError, DatabaseError) as error:
        log.exception("playbook_action_not_answered", action=row.pk, scope=row.scope)
        return f"no level could be raised either: {error}"[:120]
    return f"{row.scope} is at {Level(state.level).name} instead"


def _wanted(row: PlaybookAction) -> Level:
    name = str(row.parameters.get("level", "")) if row.verb == Verb.kill else ""
    return Level[name] if name in Level.__members__ else Level.REDUCING


def _scopes(scope: str) -> list[str]:
    return [GLOBAL] if scope == GLOBAL else [GLOBAL, scope]


def _kill(row: PlaybookAction) -> str:
    wanted = Level[row.parameters["level"]]
    level, _ = effective_level(_scopes(row.scope))
    if level < wanted:
        return f"the level is {level.name}"
    if wanted < Level.CANCEL:
        return ""
    version = (row.after or {}).get("version", 0)
    for account in accounts_of_scope(row.scope):
        confirmed = KillEnforcement.objects.filter(
            scope=row.scope, account=account, state_version__gte=version, confirmed_at__isnull=False
        )
        if not confirmed.exists():
            return f"the cancels of {account.name} are not confirmed"
    return ""


def _blackout(row: PlaybookAction) -> str:
    window = blackout_queryset().filter(pk=(row.after or {}).get("blackout", 0)).first()
    if window is None:
        return "the window is gone"
    state = blackout_state(window)
    return "" if state in ("in_force", "over", "ended") else f"the window is {state}"


def _tighten(row: PlaybookAction) -> str:
    told = row.after or {}
    value = limits_in_force(_scopes(row.scope)).values[told["limit"]]
    wanted = Decimal(told["value"])
    kept = value <= wanted if LIMITS[told["limit"]].tighter == "lower" else value >= wanted
    return "" if kept else f"{told['limit']} is {value:f}"


def _disable(row: PlaybookAction) -> str:
    enabled = Strategy.objects.filter(name=row.scope.partition(":")[2], is_enabled=True).exists()
    return "it is enabled" if enabled else ""


_EFFECTS: dict[Verb, Callable[[PlaybookAction], str]] = {
    Verb.kill: _kill,
    Verb.blackout: _blackout,
    Verb.tighten: _tighten,
    Verb.trim: trim_missing,
    Verb.disable: _disable,
}
