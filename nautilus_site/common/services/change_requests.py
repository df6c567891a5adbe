"""The two-person rule: propose, decide, apply exactly what was approved."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import OperationalError, transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, Forbidden, NotFound
from nautilus_site.common.models import AuditEntry, ChangeRequest, User
from nautilus_site.common.roles import permissions_of, permits
from nautilus_site.common.services.appliers import Applier, TargetChanged, applier_for
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.break_glass import break_glass_over
from nautilus_site.common.services.deciders import decider_check
from nautilus_site.common.services.outbox import publish
from nautilus_site.common.services.turns import wait_for_turn

DEFAULT_LIFE = timedelta(hours=24)
MINIMUM_LIFE, MAXIMUM_LIFE = timedelta(seconds=1), timedelta(days=7)
_GAVE_WAY: Final = frozenset({"40001", "40P01"})
"""Serialization failure and deadlock, of PostgreSQL's appendix A."""
log = structlog.get_logger(__name__)
_CHANGED: Final = "the target changed after the request was made"


def fingerprint(value: Any) -> str:
    """sha256 of the canonical JSON of a value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a change would do, and of which payload and state of the target that was found out."""

    payload_hash: str
    target_hash: str
    effect: Mapping[str, Any]


def change_foreseen(
    *, kind: str, target: str, payload: Mapping[str, Any], requester: User
) -> Foreseen | None:
    """Find out what a change would do, for `change_request_create`: before the turn, for it may judge a week of orders.

    Everybody who tightens and every approval would wait for that. None where the request will be refused.
    """
    applier = applier_for(kind)
    if not _may_ask(requester, applier):
        return None
    try:
        cleaned = dict(applier.clean(target, payload) if applier.clean else payload)
        snapshot = _snapshot(applier, target)
        effect = dict(applier.effect(target, cleaned))
    except (ApplicationError, ObjectDoesNotExist):
        return None
    return Foreseen(fingerprint(cleaned), fingerprint(snapshot), effect)


def longest_target(kind: str) -> int:
    """How long a target of the kind may be: the audit trail names both, in one column."""
    longest = AuditEntry._meta.get_field("target").max_length
    assert longest is not None
    return longest - len(f"{kind}:")


@transaction.atomic
def change_request_create(
    *,
    kind: str,
    target: str,
    payload: Mapping[str, Any],
    reason: str,
    requester: User,
    diff: Mapping[str, Any] | None = None,
    seen: Mapping[str, Any] | None = None,
    expires_in_s: int | None = None,
    foreseen: Foreseen | None = None,
) -> ChangeRequest:
    """Propose a change. Nothing happens to the target until somebody else approves.

    Parameters
    ----------
    diff : what the people read; without one the payload against the snapshot, member by member.
    seen : the snapshot the diff was made from, where machines change the target too. What they changed after that
        look makes the request void; read anew, the approval would be held against a state its diff does not show.
    foreseen : its effect from before the turn; found out again where payload or target are others by now.

    Raises
    ------
    ApplicationError : REASON_REQUIRED, INVALID_EXPIRY, INVALID_TARGET, and what the kind's `clean` raises.
    Forbidden : ROLE_REQUIRED.
    """
    applier = applier_for(kind)
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    if not _may_ask(requester, applier):
        raise Forbidden("ROLE_REQUIRED", f"your role may not request a change of kind {kind}")
    life = DEFAULT_LIFE if expires_in_s is None else timedelta(seconds=expires_in_s)
    if not MINIMUM_LIFE <= life <= MAXIMUM_LIFE:
        raise ApplicationError("INVALID_EXPIRY", "expires_in_s must lie between 1 second and 7 days")
    applier.check_target(target)
    if len(target) > longest_target(kind):
        raise ApplicationError("INVALID_TARGET", f"expected at most {longest_target(kind)} characters")
    if barred := applier.bars_asking(target, requester):
        raise Forbidden("OWN_OBJECT", f"somebody else asks: {barred}")
    created = now()
    payload = dict(applier.clean(target, payload) if applier.clean else payload)
    snapshot = _snapshot(applier, target) if seen is None else seen
    if diff is None:
        diff = {name: [snapshot.get(name), value] for name, value in payload.items()}
    hashes = fingerprint(payload), fingerprint(snapshot)
    holds = foreseen is not None and hashes == (foreseen.payload_hash, foreseen.target_hash)
    request = ChangeRequest.objects.create(
        kind=kind,
        target=target,
        payload=payload,
        payload_hash=hashes[0],
        target_hash=hashes[1],
        diff=dict(diff),
        effect=dict(foreseen.effect if foreseen is not None and holds else applier.effect(target, payload)),
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
    """Approve and apply, or record why it can no longer be applied (expired, void) and say so.

    Machines take no turn. Should one of them wait for what we hold while we wait for what it holds, Postgres ends one
    of the two; where it is the approval, nothing of it has happened, and it is tried once more.
    """
    try:
        outcome, request = _approve(request_id=request_id, approver=approver, note=note)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) not in _GAVE_WAY:
            raise
        log.warning("approval_gave_way", request=str(request_id), error=str(error)[:300])
        outcome, request = _approve(request_id=request_id, approver=approver, note=note)
    if outcome is not None:
        raise outcome
    return request


@transaction.atomic
def _approve(*, request_id: Any, approver: User, note: str) -> tuple[ApplicationError | None, ChangeRequest]:
    request = request_locked_pending(request_id)
    applier = applier_for(request.kind)
    wait_for_turn()
    # Whatever was waited for may have changed who these people are: they are read, and held, only now.
    request.requester, approver = people_locked(request.requester, approver)
    decider_check(request, approver)
    void = _void_because(request, applier)
    moment = now()  # not before everything was waited for
    if request.expires_at <= moment:
        _close(request, ChangeRequest.State.EXPIRED, "change_request.expired", actor="clock")
        return Conflict("APPROVAL_EXPIRED", "the request expired before it was approved"), request
    if not void:
        try:
            with transaction.atomic():
                applier.apply(request, approver)
        except TargetChanged as error:
            void = str(error) or _CHANGED
    if void:
        request.decision_note = void
        _close(request, ChangeRequest.State.VOID, "change_request.void", actor=approver, reason=void)
        return Conflict("APPROVAL_VOID", void), request
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
    request = request_locked_pending(request_id)
    withdrawing = approver.pk == request.requester_id
    if not withdrawing:
        (approver,) = people_locked(approver)
        decider_check(request, approver)
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


def _snapshot(applier: Applier, target: str) -> Mapping[str, Any]:
    try:
        return applier.snapshot(target)
    except ObjectDoesNotExist:
        raise NotFound("UNKNOWN_TARGET", f"there is no {target}") from None


def request_is_good(request: ChangeRequest) -> bool:
    """Whether a request waits, and its target is still what it was asked for: an approval now would apply it."""
    if request.state != ChangeRequest.State.PENDING or request.expires_at <= now():
        return False
    return fingerprint(_snapshot(applier_for(request.kind), request.target)) == request.target_hash


def request_locked_pending(request_id: Any) -> ChangeRequest:
    """A request that waits, held until the end of the transaction.

    Raises
    ------
    NotFound : APPROVAL_NOT_FOUND.  Conflict : APPROVAL_CLOSED.
    """
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


def people_locked(*people: User) -> list[User]:
    """The same people as they are now, and stay until the end of this transaction."""
    rows = User.objects.select_for_update(no_key=True).filter(pk__in=[person.pk for person in people])
    found = {person.pk: person for person in rows.order_by("pk")}
    return [found[person.pk] for person in people]


def _void_because(request: ChangeRequest, applier: Applier) -> str:
    """Why what would be applied is not what was asked for; empty: it is, and stays so while it is applied."""
    requester = request.requester
    if not applier.by_machine and not (requester.is_active and _may_ask(requester, applier)):
        return f"{requester} asked for it, and may not ask for it any more"
    snapshot = applier.locked_snapshot(request.target)
    if snapshot is None or fingerprint(snapshot) != request.target_hash:
        return _CHANGED
    if fingerprint(request.payload) != request.payload_hash:
        return "the payload is not the one that was requested"
    return ""


def _may_ask(person: User, applier: Applier) -> bool:
    return permits(permissions_of(person.role), applier.permission) and not break_glass_over(person)


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
