"""Windows in which a scope takes no new risk: setting one is immediate, ending one early takes two people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_create
from nautilus_site.common.services.outbox import publish
from trading.models import Blackout
from trading.selectors.controls import scope_check
from trading.services.scopes import parse_scope

LONGEST: Final = timedelta(days=31)


@transaction.atomic
def blackout_set(
    *, scope: str, ends_at: datetime, reason: str, actor: User | str, starts_at: datetime | None = None
) -> Blackout:
    """Take a scope out of trading for a while, from now unless said; what reduces a position still passes.

    Raises
    ------
    ApplicationError : INVALID_SCOPE, INVALID_WINDOW, REASON_REQUIRED.
    NotFound : UNKNOWN_SCOPE.
    """
    scope, moment = parse_scope(scope), now()
    scope_check(scope)
    starts_at = starts_at or moment
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    if ends_at <= starts_at or ends_at <= moment:
        raise ApplicationError("INVALID_WINDOW", "expected a window that ends after it starts, and after now")
    if ends_at - starts_at > LONGEST:
        raise ApplicationError("INVALID_WINDOW", f"expected a window of at most {LONGEST.days} days")
    window = Blackout.objects.create(
        scope=scope,
        starts_at=starts_at,
        ends_at=ends_at,
        reason=reason.strip()[:200],
        created_by=str(actor),
        created_at=moment,
    )
    audit_record(
        action="blackout.set",
        target=scope,
        actor=actor,
        reason=reason,
        after={"starts_at": starts_at.isoformat(), "ends_at": ends_at.isoformat()},
    )
    publish("trading_state", {"blackout": scope, "ends_at": ends_at.isoformat()})
    return window


@transaction.atomic
def blackout_extend(*, blackout_id: int, ends_at: datetime, reason: str, actor: User | str) -> Blackout:
    """Let a window that is in force end later. Like setting one it is immediate: it only keeps risk away for longer.

    Raises
    ------
    NotFound : UNKNOWN_BLACKOUT.
    Conflict : BLACKOUT_OVER.
    ApplicationError : INVALID_WINDOW, it would end no later, or in more than a month.
    """
    window, moment = Blackout.objects.select_for_update(no_key=True).filter(pk=blackout_id).first(), now()
    if window is None:
        raise NotFound("UNKNOWN_BLACKOUT", f"no blackout has the id {blackout_id}")
    if window.ended_at or window.ends_at <= moment:
        raise Conflict("BLACKOUT_OVER", "the blackout is over already")
    if not window.ends_at < ends_at <= moment + LONGEST:
        raise ApplicationError(
            "INVALID_WINDOW", f"expected a later end, and one within {LONGEST.days} days from now"
        )
    before, window.ends_at = window.ends_at, ends_at
    window.save(update_fields=["ends_at"])
    audit_record(
        action="blackout.extended",
        target=window.scope,
        actor=actor,
        reason=reason,
        before={"ends_at": before.isoformat()},
        after={"ends_at": ends_at.isoformat()},
    )
    publish("trading_state", {"blackout": window.scope, "ends_at": ends_at.isoformat()})
    return window


def blackout_end_request(
    *, blackout_id: int, requester: User, reason: str, expires_in_s: int | None = None
) -> ChangeRequest:
    """Ask for a window to end before its time, begun or not.

    Raises
    ------
    NotFound : UNKNOWN_BLACKOUT.
    Conflict : BLACKOUT_OVER.
    """
    window = Blackout.objects.filter(pk=blackout_id).first()
    if window is None:
        raise NotFound("UNKNOWN_BLACKOUT", f"no blackout has the id {blackout_id}")
    if window.ended_at or window.ends_at <= now():
        raise Conflict("BLACKOUT_OVER", "the blackout is over already")
    return change_request_create(
        kind="blackout.end",
        target=f"blackout:{window.pk}",
        payload={"blackout_id": window.pk},
        diff={"ends_at": [window.ends_at.isoformat(), "at once"]},
        reason=reason,
        requester=requester,
        expires_in_s=expires_in_s,
    )


def blackout_end_snapshot(target: str) -> Mapping[str, Any]:
    """What must not change between the request and its approval."""
    window = Blackout.objects.get(pk=_pk(target))
    return {"ends_at": window.ends_at.isoformat(), "ended": window.ended_at is not None}


def blackout_rows(target: str) -> Rows:
    """What that is read from."""
    return [Blackout.objects.filter(pk=_pk(target))]


def blackout_end_effect(target: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the second person should know: orders of which scope may add risk again, and why they could not."""
    window = Blackout.objects.get(pk=_pk(target))
    return {"scope": window.scope, "was set because": window.reason, "by": window.created_by}


def apply_blackout_end(request: ChangeRequest, approver: User) -> None:
    """End it now; runs inside the approving transaction."""
    window = Blackout.objects.select_for_update(no_key=True).get(pk=_pk(request.target))
    window.ended_at, window.ended_by = now(), str(approver)
    window.save(update_fields=["ended_at", "ended_by"])
    audit_record(
        action="blackout.ended",
        target=window.scope,
        actor=approver,
        reason=request.reason,
        before={"ends_at": window.ends_at.isoformat()},
        after={"ended_at": window.ended_at.isoformat()},
    )
    publish("trading_state", {"blackout": window.scope, "ends_at": window.ended_at.isoformat()})


def _pk(target: str) -> int:
    return int(target.partition(":")[2])
