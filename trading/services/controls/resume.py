"""Lowering a level: two people, neither of them the strategy's owner, on books that were just found clean."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from nautilus_site.common.clock import now
from nautilus_site.common.errors import Conflict, Forbidden
from nautilus_site.common.models import AuditEntry, ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_create
from nautilus_site.common.services.outbox import publish
from trading.domain.values import Level
from trading.models import Account, Divergence, Strategy, TradingState
from trading.services.controls.resume_guards import check_not_held
from trading.services.controls.states import (
    CHANGES_OF_LEVELS,
    locked_states,
    save_next_version,
    state_members,
)
from trading.services.models import model_name, owns_model
from trading.services.scopes import GLOBAL, parse_scope

RECONCILED_WITHIN = timedelta(seconds=60)


def resume_request(
    *, scope: str, to_level: Level, reason: str, requester: User, expires_in_s: int | None = None
) -> ChangeRequest:
    """Ask for a lower level. Nothing changes until somebody else approves.

    Raises
    ------
    Conflict : BREAKER_HOLDS, NOT_LOWER; REVIEW_REQUIRED, a hard stop holds the scope until it was reviewed.
    Forbidden : OWNER_MAY_NOT_RESUME.
    """
    scope = parse_scope(scope)
    state = TradingState.objects.filter(scope=scope).first()
    # One look for what is asked, told and bound: a kill right after it makes the request void, not misread.
    seen = _members(state)
    current = Level(seen["level"])
    if state is not None and to_level < state.auto_level and current <= to_level:
        raise Conflict(
            "BREAKER_HOLDS", f"{scope} is held at {state.effective.name} by a circuit breaker; reset that"
        )
    if to_level >= current:
        raise Conflict("NOT_LOWER", f"{scope} is at {current.name}; resume lowers the level")
    _check_not_owner(scope, requester)
    check_not_held(scope, to_level)
    return change_request_create(
        kind="trading_state.lower",
        target=scope,
        payload={"to_level": int(to_level)},
        diff={"level": [current.name, to_level.name]},
        seen=seen,
        reason=reason,
        requester=requester,
        expires_in_s=expires_in_s,
    )


def state_snapshot(scope: str) -> dict[str, Any]:
    """What must not change between a resume's request and its approval."""
    return _members(TradingState.objects.filter(scope=parse_scope(scope)).first())


def _members(state: TradingState | None) -> dict[str, Any]:
    """The levels of the scope itself, and what was done to it last: a kill that found its level there is a change, too.

    Not the version: that of the global row grows with every scope's, so that sends wait for it.
    """
    if state is None:
        return {"level": int(Level.ACTIVE), "auto_level": int(Level.ACTIVE), "last": 0}
    done = AuditEntry.objects.filter(target=state.scope, action__in=CHANGES_OF_LEVELS).order_by("-id")
    last = done.values_list("pk", flat=True).first() or 0
    return {"level": state.level, "auto_level": state.auto_level, "last": last}


def state_rows(scope: str) -> Rows:
    """The global row, which every kill takes first, and the scope's: a kill on its way is waited for, and seen."""
    return [TradingState.objects.filter(scope=GLOBAL), TradingState.objects.filter(scope=scope)]


def apply_lower(request: ChangeRequest, approver: User) -> None:
    """Lower the level as approved; runs inside the approving transaction.

    Raises
    ------
    Forbidden : OWNER_MAY_NOT_RESUME. Conflict : NOT_RECONCILED, below CANCEL and FLATTEN only books that were
        found clean within the last minute are traded on; REVIEW_REQUIRED.
    """
    level = Level(request.payload["to_level"])
    moment = now()
    state, everything = locked_states(request.target, str(approver), moment)
    before = Level(state.level)
    _check_not_owner(request.target, approver)
    # Under the lock: a hard stop that waits for it raises the level again, one that came first is seen.
    check_not_held(request.target, level)
    if before >= Level.CANCEL:
        _check_reconciled(request.target, moment)
    state.level, state.reason = level, request.reason
    state.changed_by, state.changed_at = f"{request.requester} and {approver}", moment
    if level < Level.CANCEL:
        state.include_stops = False
    save_next_version(state, everything)
    audit_record(
        action="trading_state.lowered",
        target=request.target,
        actor=approver,
        reason=request.reason,
        before=before.name,
        after=level.name,
    )
    publish("trading_state", state_members(state))


def _check_not_owner(scope: str, person: User) -> None:
    """Whoever a strategy or a model belongs to does not decide that it may trade again."""
    kind, _, rest = scope.partition(":")
    names = Strategy.objects.filter(owner=person)
    if kind in ("strategy", "strategy_symbol"):
        owned = names.filter(name=rest.rpartition(":")[0] if kind == "strategy_symbol" else rest).exists()
    elif kind == "model":
        owned = any(model_name(strategy) == rest for strategy in names) or owns_model(person, rest)
    else:
        owned = False
    if owned:
        raise Forbidden(
            "OWNER_MAY_NOT_RESUME", f"{scope} is {person}'s own: somebody else decides that it trades again"
        )


def _check_reconciled(scope: str, moment: datetime) -> None:
    """Every account the scope reaches was found equal to its venue within the last minute, with nothing open."""
    kind, _, rest = scope.partition(":")
    accounts = Account.objects.filter(is_active=True)
    if kind == "account":
        accounts = accounts.filter(name=rest)
    elif kind == "venue":
        accounts = accounts.filter(venue__name=rest)
    for account in accounts:
        if account.reconciled_at is None or moment - account.reconciled_at > RECONCILED_WITHIN:
            raise Conflict(
                "NOT_RECONCILED",
                f"account {account.name} was not found clean within the last {RECONCILED_WITHIN.seconds} s; "
                "reconcile, then approve again",
            )
        # Seen once it may be an order on its way; seen twice it is a difference nobody has explained.
        if Divergence.objects.filter(account=account, resolved_at=None, sightings__gte=2).exists():
            raise Conflict("NOT_RECONCILED", f"account {account.name} differs from its venue")
