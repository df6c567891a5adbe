"""Who is here and what they may do. More takes an approved change; switching a person off takes one person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, Forbidden, NotFound
from nautilus_site.common.models import ChangeRequest, Role, User
from nautilus_site.common.roles import permissions_of
from nautilus_site.common.services.appliers import Applier, Rows, TargetChanged, register_appliers
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.powers import person_may
from nautilus_site.common.services.turns import one_at_a_time

USER_CHANGE, USER_CREATE = "user.change", "user.create"
FIELDS = ("role", "is_active")
WHOEVER = re.compile(r"[^\x00-\x1f\x7f]{1,150}")
NAME = re.compile(r"[a-z][a-z0-9._-]{1,30}")
MACHINES = frozenset(
    {
        "allocator",
        "beat",
        "clock",
        "control",
        "demo",
        "executor",
        "feed",
        "relay",
        "root",
        "superuser",
        "sweeper",
    }
    | {"system", "test", "trading", "training", "watchdog", "worker"}
)
"""Names the audit trail and logs use for what is no person."""


def user_snapshot(username: str) -> Mapping[str, Any]:
    """The governed part of a person."""
    user = User.objects.filter(username=username).first()
    if user is None:
        raise NotFound("USER_NOT_FOUND", f"no user {username!r}")
    return {name: getattr(user, name) for name in FIELDS}


def user_change_clean(username: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """What differs from now, out of a known role and a yes or no for being active; anything else is refused.

    Raises
    ------
    ApplicationError : INVALID_CHANGE, ROLE_CONFLICT.  NotFound : USER_NOT_FOUND.
    Conflict : NO_CHANGE; IMMEDIATE, switching a person off waits for nobody.
    """
    if not payload or set(payload) - set(FIELDS):
        raise ApplicationError("INVALID_CHANGE", f"a user's {' and '.join(FIELDS)} can be changed")
    if "role" in payload:
        payload = {**payload, "role": _one_role(payload["role"], "INVALID_CHANGE")}
    if "is_active" in payload and not isinstance(payload["is_active"], bool):
        raise ApplicationError("INVALID_CHANGE", "is_active: expected true or false")
    now_has = user_snapshot(username)
    changed = {name: value for name, value in payload.items() if value != now_has[name]}
    if not changed:
        raise Conflict("NO_CHANGE", f"{username} is that already")
    if changed.get("is_active") is False:
        raise Conflict("IMMEDIATE", f"{username} can be switched off at once, by one person")
    return changed


def _one_role(given: Any, code: str) -> str:
    """The one role a person is to have; several are refused, whether or not these two must be kept apart."""
    roles = given if isinstance(given, list) else [given]
    if len(roles) > 1:
        raise ApplicationError(
            "ROLE_CONFLICT",
            "a person has exactly one role: nobody holds trader and risk officer, model owner and risk officer, "
            "or admin and risk officer",
        )
    if not roles or roles[0] not in Role.values:
        raise ApplicationError(code, f"role: expected one of {', '.join(Role.values)}")
    return str(roles[0])


def user_change_effect(username: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What the person may do afterwards that they may not now, and the other way round."""
    user = User.objects.get(username=username)
    before = permissions_of(user.role) if user.is_active else frozenset()
    after = (
        permissions_of(payload.get("role", user.role))
        if payload.get("is_active", user.is_active)
        else frozenset()
    )
    live = user.api_tokens.filter(revoked_at=None, expires_at__gt=now()).count()
    return {
        "may_then": sorted(after - before) or "nothing more",
        "no_longer": sorted(before - after) or "nothing less",
        "live_tokens": live,
    }


def user_rows(username: str) -> Rows:
    """The person; nobody yet has a row to hold, `newcomer_create` looks once more."""
    return [User.objects.filter(username=username)]


@transaction.atomic
def user_change(request: ChangeRequest, approver: User) -> None:
    """Carry out an approved change. Open sessions and sockets notice at their next request or check."""
    user = User.objects.select_for_update(no_key=True).get(username=request.target)
    if user.pk == approver.pk:
        raise ApplicationError("SELF_APPROVAL", "nobody approves a change of their own powers", status=403)
    before = {name: getattr(user, name) for name in request.payload}
    for name, value in request.payload.items():
        setattr(user, name, value)
    user.is_staff = user.role != Role.VIEWER
    user.save(update_fields=[*request.payload, "is_staff"])
    audit_record(
        action="user.changed",
        target=f"user:{user.username}",
        actor=approver,
        reason=request.reason,
        before=before,
        after=request.payload,
    )


def newcomer_snapshot(username: str) -> Mapping[str, Any]:
    """Whether somebody has that name, in any spelling of its letters."""
    return {"exists": User.objects.filter(username__iexact=username).exists()}


def newcomer_clean(username: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """A new person: one known role and an address. Never a password: they choose it themselves.

    Raises
    ------
    ApplicationError : INVALID_USERNAME, INVALID_PERSON, ROLE_CONFLICT.  Conflict : USER_EXISTS.
    """
    if not NAME.fullmatch(username) or username in MACHINES:
        raise ApplicationError(
            "INVALID_USERNAME",
            "expected 2 to 31 of a-z, 0-9, dot, underscore and hyphen, beginning with a letter, and not the name of "
            f"a part of the platform; was {username[:40]!r}",
        )
    if set(payload) != {"role", "email"}:
        raise ApplicationError("INVALID_PERSON", "a new person takes role and email, nothing else")
    role, email = _one_role(payload["role"], "INVALID_PERSON"), payload["email"]
    try:
        validate_email(email)
    except ValidationError:
        raise ApplicationError("INVALID_PERSON", "email: expected an address") from None
    if newcomer_snapshot(username)["exists"]:
        raise Conflict("USER_EXISTS", f"there is a user {username!r} already")
    return {"role": role, "email": email}


def newcomer_effect(username: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What they may do once they have a password, and how many others hold the role."""
    return {
        "may_then": sorted(permissions_of(payload["role"])),
        "others_of_the_role": User.objects.filter(role=payload["role"], is_active=True).count(),
        "password": "none until the person chooses one, with a link from an admin and a code from a risk officer",
    }


@transaction.atomic
def newcomer_create(request: ChangeRequest, approver: User) -> None:
    """Make an approved person: without a password, so that nobody can log in before both halves are given.

    Raises
    ------
    TargetChanged : somebody has got that name meanwhile.
    """
    user = User(
        username=request.target,
        email=request.payload["email"],
        role=request.payload["role"],
        is_staff=request.payload["role"] != Role.VIEWER,
    )
    user.set_unusable_password()
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:
        raise TargetChanged(f"there is a user {request.target!r} by now") from None
    audit_record(
        action="user.created",
        target=f"user:{user.username}",
        actor=approver,
        reason=request.reason,
        after=dict(request.payload),
    )


@one_at_a_time
def user_deactivate(*, username: str, actor: User, reason: str) -> User:
    """Switch a person off at once. Their sessions, sockets and tokens end with their next request or check.

    Raises
    ------
    ApplicationError : REASON_REQUIRED.  NotFound : USER_NOT_FOUND.
    Forbidden : PERMISSION_DENIED; OWN_ACCOUNT, nobody locks themselves out by accident.
    Conflict : NO_CHANGE; LAST_OF_ROLE, without whom nobody could be let in again.
    """
    # Whoever had the turn before may have switched off who asks.
    actor = User.objects.get(pk=actor.pk)
    if not (actor.is_active and person_may(actor, "users.manage")):
        raise Forbidden("PERMISSION_DENIED", "your role may not switch people off")
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    user = User.objects.select_for_update(no_key=True).filter(username=username).first()
    if user is None:
        raise NotFound("USER_NOT_FOUND", f"no user {username!r}")
    if user.pk == actor.pk:
        raise Forbidden("OWN_ACCOUNT", "another admin switches you off")
    if not user.is_active:
        raise Conflict("NO_CHANGE", f"{username} is off already")
    others = User.objects.filter(role=user.role, is_active=True).exclude(pk=user.pk)
    if user.role in (Role.ADMIN, Role.RISK_OFFICER) and not others.exists():
        raise Conflict("LAST_OF_ROLE", f"{username} is the last active {user.get_role_display()}")
    user.is_active = False
    user.save(update_fields=["is_active"])
    audit_record(
        action="user.deactivated",
        target=f"user:{username}",
        actor=actor,
        reason=reason,
        before={"is_active": True},
        after={"is_active": False},
    )
    return user


register_appliers(
    {
        USER_CHANGE: Applier(
            snapshot=user_snapshot,
            apply=user_change,
            effect=user_change_effect,
            clean=user_change_clean,
            permission="users.manage",
            rows=user_rows,
            target=WHOEVER,
        ),
        USER_CREATE: Applier(
            snapshot=newcomer_snapshot,
            apply=newcomer_create,
            effect=newcomer_effect,
            clean=newcomer_clean,
            permission="users.manage",
            rows=user_rows,
            target=WHOEVER,
        ),
    }
)
