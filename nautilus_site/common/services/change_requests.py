"""The two-person rule: propose, decide, apply exactly what was approved."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.core.exceptions import ValidationError
from django.db import connection, transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, Forbidden, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.roles import permissions_of, permits
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.break_glass import break_glass_over
from nautilus_site.common.services.outbox import publish

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_LIFE = timedelta(hours=24)
MINIMUM_LIFE, MAXIMUM_LIFE = timedelta(seconds=1), timedelta(days=7)
DECIDING = "change.decide"


@dataclass(frozen=True, slots=True)
class Applier:
    """How one kind of change is looked at and carried out. Registered by the app that owns the target."""

    snapshot: Callable[[str], Mapping[str, Any]]
    """The target as it is now; a request is void when this changed since it was made."""
    apply: Callable[[ChangeRequest, User], None]
    """Carry it out through the owning app's service; runs inside the approving transaction."""
    effect: Callable[[str, Mapping[str, Any]], Mapping[str, Any]] = lambda target, payload: {}
    permission: str = "risk.propose"
    """What the asker's role must allow, and the credentials they ask with (`roles.py`)."""
    clean: Callable[[str, Mapping[str, Any]], Mapping[str, Any]] | None = None
    """Check a payload when it is proposed; raises ApplicationError. What it returns is what is approved."""
    bars: Callable[[str, User], str] = lambda target, person: ""
    """Why a person may not decide about this object though their role may decide the kind. Empty: they may."""
    bars_asking: Callable[[str, User], str] = lambda target, person: ""
    """The same of asking."""
    sealed: frozenset[str] = frozenset()
    """Members that hold a sealed secret: approved with the rest of the payload, told to nobody."""

    def told(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The payload as the audit trail keeps it."""
        return {name: value for name, value in payload.items() if name not in self.sealed}


_appliers: dict[str, Applier] = {}


def register_applier(kind: str, applier: Applier) -> None:
    if kind in _appliers and _appliers[kind] is not applier:
        raise ValueError(f"an applier for {kind!r} is registered already")
    _appliers[kind] = applier


def register_appliers(appliers: Mapping[str, Applier]) -> None:
    """Register the kinds of one app, by name."""
    for kind, applier in appliers.items():
        register_applier(kind, applier)


def registered_kinds() -> tuple[str, ...]:
    """Every kind of change that takes two people, sorted."""
    return tuple(sorted(_appliers))


def one_at_a_time(change: Callable[P, R]) -> Callable[P, R]:
    """Serialise what people change: a transaction that no other such change, and no approval, runs beside.

    Whether a change raises risk is judged against what is in force. Were that to move between the look and the
    write, two people who each lower something could together raise it, and an approval could undo a tightening.
    Levels and machines do not wait here: what they do only ever lowers.
    """

    @wraps(change)
    def alone(*args: P.args, **kwargs: P.kwargs) -> R:
        with transaction.atomic():
            _wait_for_turn()
            return change(*args, **kwargs)

    return alone


def _wait_for_turn() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", ["governed.change"])


def applier_for(kind: str) -> Applier:
    try:
        return _appliers[kind]
    except KeyError:
        raise ApplicationError("UNKNOWN_CHANGE", f"no change of kind {kind!r} is known") from None


def fingerprint(value: Any) -> str:
    """sha256 of the canonical JSON of a value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@transaction.atomic
def change_request_create(
    *,
    kind: str,
    target: str,
    payload: Mapping[str, Any],
    reason: str,
    requester: User,
    diff: Mapping[str, Any] | None = None,
    expires_in_s: int | None = None,
) -> ChangeRequest:
    """Propose a change. Nothing happens to the target until somebody else approves.

    Without a `diff` it is the payload against the target's snapshot, member by member.
    """
    applier = applier_for(kind)
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    if not permits(permissions_of(requester.role), applier.permission) or break_glass_over(requester):
        raise Forbidden("ROLE_REQUIRED", f"your role may not request a change of kind {kind}")
    if barred := applier.bars_asking(target, requester):
        raise Forbidden("OWN_OBJECT", f"somebody else asks: {barred}")
    life = DEFAULT_LIFE if expires_in_s is None else timedelta(seconds=expires_in_s)
    if not MINIMUM_LIFE <= life <= MAXIMUM_LIFE:
        raise ApplicationError("INVALID_EXPIRY", "expires_in_s must lie between 1 second and 7 days")
    created = now()
    payload = dict(applier.clean(target, payload) if applier.clean else payload)
    snapshot = applier.snapshot(target)
    if diff is None:
        diff = {name: [snapshot.get(name), value] for name, value in payload.items()}
    request = ChangeRequest.objects.create(
        kind=kind,
        target=target,
        payload=payload,
        payload_hash=fingerprint(payload),
        target_hash=fingerprint(snapshot),
        diff=dict(diff),
        effect=dict(applier.effect(target, payload)),
        reason=reason.strip(),
        requester=requester,
        created_at=created,
        expires_at=created + life,
    )
    audit_record(
        action="change_request.created",
        target=f"{kind}:{target}",
        actor=requester,
        reason=reason,
        after=applier.told(request.payload),
    )
    _announce(request)
    return request


def change_request_approve(*, request_id: Any, approver: User, note: str = "") -> ChangeRequest:
    """Approve and apply, or record why it can no longer be applied (expired, void) and say so."""
    outcome, request = _approve(request_id=request_id, approver=approver, note=note)
    if outcome is not None:
        raise outcome
    return request


@transaction.atomic
def _approve(*, request_id: Any, approver: User, note: str) -> tuple[ApplicationError | None, ChangeRequest]:
    request = _locked_pending(request_id)
    applier = applier_for(request.kind)
    _check_decider(request, approver, applier)
    _wait_for_turn()
    moment = now()
    if request.expires_at <= moment:
        _close(request, ChangeRequest.State.EXPIRED, "change_request.expired", actor="clock")
        return Conflict("APPROVAL_EXPIRED", "the request expired before it was approved"), request
    if fingerprint(applier.snapshot(request.target)) != request.target_hash:
        _close(request, ChangeRequest.State.VOID, "change_request.void", actor=approver)
        return Conflict("APPROVAL_VOID", "the target changed after the request was made"), request
    if fingerprint(request.payload) != request.payload_hash:
        _close(request, ChangeRequest.State.VOID, "change_request.void", actor=approver)
        return Conflict("APPROVAL_VOID", "the payload is not the one that was requested"), request
    applier.apply(request, approver)
    request.state = ChangeRequest.State.APPLIED
    request.approver, request.decision_note = approver, note
    request.decided_at = request.applied_at = moment
    request.save(update_fields=["state", "approver", "decision_note", "decided_at", "applied_at"])
    audit_record(
        action="change_request.applied",
        target=f"{request.kind}:{request.target}",
        actor=approver,
        reason=note or request.reason,
        before={"requester": request.requester.username},
        after=applier.told(request.payload),
    )
    _announce(request)
    return None, request


@transaction.atomic
def change_request_reject(*, request_id: Any, approver: User, note: str = "") -> ChangeRequest:
    """Turn a request down; the requester may withdraw their own the same way."""
    request = _locked_pending(request_id)
    withdrawing = approver.pk == request.requester_id
    if not withdrawing:
        _check_decider(request, approver, applier_for(request.kind))
        request.approver = approver
    request.decision_note = note
    _close(
        request,
        ChangeRequest.State.REJECTED,
        "change_request.withdrawn" if withdrawing else "change_request.rejected",
        actor=approver,
        reason=note,
    )
    return request


@transaction.atomic
def change_requests_expire() -> int:
    """Close every pending request whose time is over. Returns how many."""
    overdue = ChangeRequest.objects.select_for_update(skip_locked=True, no_key=True).filter(
        state=ChangeRequest.State.PENDING, expires_at__lte=now()
    )
    closed = list(overdue)
    for request in closed:
        _close(request, ChangeRequest.State.EXPIRED, "change_request.expired", actor="clock")
    return len(closed)


def _locked_pending(request_id: Any) -> ChangeRequest:
    try:
        request = (
            ChangeRequest.objects.select_for_update(of=("self",), no_key=True)
            .select_related("requester")
            .get(pk=request_id)
        )
    except (ChangeRequest.DoesNotExist, ValidationError, ValueError):
        raise NotFound("APPROVAL_NOT_FOUND", "no such approval") from None
    if request.state != ChangeRequest.State.PENDING:
        raise Conflict("APPROVAL_CLOSED", f"the request is {request.state} already")
    return request


def _check_decider(request: ChangeRequest, decider: User, applier: Applier) -> None:
    if decider.pk == request.requester_id:
        raise Forbidden("SELF_APPROVAL", "a request is decided by somebody else than its requester")
    current = User.objects.get(pk=decider.pk)
    if (
        not current.is_active
        or not permits(permissions_of(current.role), DECIDING)
        or break_glass_over(current)
    ):
        raise Forbidden("ROLE_REQUIRED", "your role may not decide this request")
    barred = applier.bars(request.target, current)
    if barred:
        raise Forbidden("OWN_OBJECT", f"somebody else decides: {barred}")


def _close(request: ChangeRequest, state: str, action: str, *, actor: User | str, reason: str = "") -> None:
    request.state, request.decided_at = state, now()
    request.save(update_fields=["state", "decided_at", "approver", "decision_note"])
    audit_record(action=action, target=f"{request.kind}:{request.target}", actor=actor, reason=reason)
    _announce(request)


def _announce(request: ChangeRequest) -> None:
    publish(
        "approvals",
        {"id": str(request.pk), "kind": request.kind, "target": request.target, "state": request.state},
    )
